"""Names of models are checked before a job starts, and no weights are read for it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from deita_core.embedding.catalogue import check_embedder
from deita_core.errors import ModelError
from deita_core.models.language_model import model_facts
from deita_core.models.options import ModelOptions
from deita_core.scoring.catalogue import check_scorer
from tests.tiny_models import tiny_model


def test_a_folder_tells_its_size_and_context_without_being_loaded() -> None:
    facts = model_facts(str(tiny_model("llama")))
    model = tiny_model("llama")
    assert facts.folder == model.resolve()
    assert facts.context == 512
    assert facts.parameters is not None
    stored = (model / "model.safetensors").stat().st_size
    assert 0 <= stored - 4 * facts.parameters < 20_000


def test_the_size_of_the_released_scorers_is_known_without_a_download() -> None:
    facts = check_scorer("deita", "quality")
    assert facts is not None
    assert facts.folder is None
    assert facts.parameters == 13_015_864_320


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("/no/such/folder", "there is no folder"),
        ("./nothing", "there is no folder"),
        ("owner/name/more", "there is no folder"),
        ("a name with blanks", "neither a folder nor a name of the hub"),
        ("owner/../other", "there is no folder"),
        ("", "no model is named"),
    ],
)
def test_a_bad_name_is_an_error_at_once(name: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        model_facts(name)


@pytest.mark.parametrize("missing", ["config.json", "model.safetensors", "tokenizer.json"])
def test_a_folder_that_lacks_something_says_what(missing: str, tmp_path: Path) -> None:
    for one in ("config.json", "model.safetensors", "tokenizer.json"):
        if one != missing:
            (tmp_path / one).write_text("{}")
    with pytest.raises(ModelError, match=missing.split(".")[0].replace("model", "weights")):
        model_facts(str(tmp_path))


def test_a_tokenizer_without_digits_is_found_before_the_job(tmp_path: Path) -> None:
    shutil.copytree(tiny_model("llama"), tmp_path / "model")
    place = tmp_path / "model" / "tokenizer.json"
    tokenizer = json.loads(place.read_text())
    spelled = {"type": "Replace", "pattern": {"String": "5"}, "content": "five"}
    tokenizer["normalizer"]["normalizers"].append(spelled)
    vocabulary = tokenizer["model"]["vocab"]
    vocabulary["<no 5>"] = vocabulary.pop("5")
    place.write_text(json.dumps(tokenizer))
    assert check_scorer(f"llm:{tiny_model('llama')}", "quality", thorough=True) is not None
    with pytest.raises(ModelError, match="digit 5 is not a single token"):
        check_scorer(f"llm:{tmp_path / 'model'}", "quality", thorough=True)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("endpoint:model", "as a scorer endpoint:MODEL@URL"),
        ("endpoint:model@http://user:secret@here", "must have no user"),
        ("random:many", "whole number"),
        ("vllm:owner/name", "vLLM is not installed"),
        ("perplexity:/no/such", "there is no folder"),
        ("nonsense", "no scorer"),
    ],
)
def test_each_kind_of_scorer_checks_its_name(name: str, said: str) -> None:
    with pytest.raises(ModelError, match=said):
        check_scorer(name, "complexity")


def test_scorers_without_weights_have_nothing_to_tell() -> None:
    for name in ("light", "response-length", "random:3", "endpoint:m@http://localhost:1"):
        assert check_scorer(name, "quality") is None


def test_more_tokens_than_the_model_reads_are_refused() -> None:
    with pytest.raises(ModelError, match="reads at most 512"):
        check_scorer(f"llm:{tiny_model('llama')}", "quality", ModelOptions(max_tokens=4000))


def test_eight_bits_without_their_package_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(ModelError, match="bitsandbytes"):
        check_scorer("llm:owner/name", "quality", ModelOptions(precision="int8"))


def test_embedders_are_checked_the_same_way() -> None:
    assert check_embedder("minilm") is None
    known = check_embedder("deita-embedder")
    assert known is not None
    assert known.parameters == 7_241_732_096
    with pytest.raises(ModelError, match="there is no folder"):
        check_embedder("llm-mean:/no/such")
    with pytest.raises(ModelError, match="not in int8"):
        check_embedder("st:owner/name", ModelOptions(precision="int8"))
