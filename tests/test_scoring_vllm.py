"""scoring.llm.vllm against a stand-in of vLLM that runs the tiny model with transformers."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pytest

from deita_core.errors import ModelError
from deita_core.models.options import ModelOptions
from deita_core.scoring.catalogue import load_scorer, name_of_scorer
from deita_core.scoring.llm import vllm as vllm_backend
from deita_core.scoring.llm.scorer import LLMScorer
from deita_core.scoring.protocol import TurnText
from tests.tiny_models import tiny_model

TURNS = [
    TurnText("Write a poem", "Roses are red"),
    TurnText("Count " * 2000, "One " * 2000),
    TurnText("Why?", None),
    TurnText("Name three primes.", "2, 3 and 5."),
]


class FakeLLM:
    """The few calls of vLLM's offline engine that the scorer makes."""

    def __init__(self, model: str, dtype: str, **_: Any) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self._network = AutoModelForCausalLM.from_pretrained(model, dtype="float32")
        self._tokenizer = AutoTokenizer.from_pretrained(model)
        config = SimpleNamespace(max_model_len=512, hf_config=self._network.config)
        self.llm_engine = SimpleNamespace(model_config=config)

    def get_tokenizer(self) -> Any:
        return self._tokenizer

    def generate(self, prompts: list[dict[str, Any]], params: Any, use_tqdm: bool) -> list[Any]:
        return [self._one(prompt["prompt_token_ids"], params) for prompt in prompts]

    def _one(self, ids: list[int], params: Any) -> Any:
        import torch

        assert len(ids) < 512
        with torch.no_grad():
            found = self._network(torch.tensor([ids])).logits[0, -1].log_softmax(-1)
        drawn = int(found.argmax())
        wanted = params.logprob_token_ids or found.topk(params.logprobs).indices.tolist()
        first = {t: SimpleNamespace(logprob=float(found[t])) for t in {*wanted, drawn}}
        given = SimpleNamespace(logprobs=[first], token_ids=[drawn])
        return SimpleNamespace(outputs=[given])


class NewParams:
    """Sampling parameters of a vLLM that returns exact tokens."""

    def __init__(
        self,
        max_tokens: int,
        temperature: float,
        detokenize: bool,
        logprobs: int | None = None,
        logprob_token_ids: list[int] | None = None,
    ) -> None:
        self.logprobs, self.logprob_token_ids = logprobs, logprob_token_ids


class OldParams(NewParams):
    """Of one that does not know them."""

    def __init__(self, max_tokens: int, temperature: float, detokenize: bool, logprobs: int):
        super().__init__(max_tokens, temperature, detokenize, logprobs)


@pytest.fixture(params=[NewParams, OldParams])
def installed(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    module = ModuleType("vllm")
    module.LLM, module.SamplingParams = FakeLLM, request.param  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "vllm", module)
    vllm_backend._engine.cache_clear()
    yield
    vllm_backend._engine.cache_clear()


@pytest.mark.parametrize("dimension", ["complexity", "quality"])
def test_the_scores_are_those_of_transformers(installed: None, dimension: Any):
    folder = tiny_model()
    theirs = load_scorer(f"vllm:{folder}", dimension).score(TURNS)
    ours = LLMScorer(
        folder, dimension, options=ModelOptions(precision="fp32", device="cpu", max_tokens=511)
    ).score(TURNS)
    assert theirs.reasons == ours.reasons
    np.testing.assert_allclose(theirs.scores, ours.scores, atol=1e-3)
    np.testing.assert_allclose(theirs.mass, ours.mass, atol=1e-3)
    assert theirs.truncated is not None
    assert theirs.truncated.tolist() == [False, True, False, False]


def test_a_model_that_is_no_scorer_gets_reasons(installed: None):
    found = load_scorer(f"vllm:{tiny_model(scorer=False)}", "complexity").score(TURNS[:1])
    assert found.reasons == ("less than 0.01 of the probability is on the scores 1 to 6",)


def test_its_id_is_its_name(installed: None):
    scorer = load_scorer(f"vllm:{tiny_model()}", "quality")
    assert name_of_scorer(scorer.id) == scorer.id
    assert len(scorer.revision) >= 12


def test_without_vllm_the_error_says_what_else_there_is(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(ModelError, match=r"vLLM is not installed.*endpoint:MODEL@URL"):
        load_scorer("vllm:some/model", "quality")


def test_a_precision_that_vllm_has_not_is_refused(tmp_path: Path):
    with pytest.raises(ModelError, match="int4"):
        load_scorer(f"vllm:{tmp_path}", "quality", ModelOptions(precision="int4"))
