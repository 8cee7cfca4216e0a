"""LLM scorers on tiny models: against the plain forward pass, in any batch, with any fault."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from deita_core.errors import ModelError
from deita_core.models import batches
from deita_core.models.language_model import load_language_model
from deita_core.scoring import LLMScorer, ModelOptions, TurnText
from deita_core.scoring.catalogue import load_scorer, name_of_scorer
from deita_core.scoring.llm import scorer as llm_module
from deita_core.scoring.llm.prompts import DEITA, prompt_of
from deita_core.scoring.llm.replicas import Replica
from tests.tiny_models import DIGITS, SPEECH, Kind, random_model, tiny_model, tiny_tokenizer

pytestmark = pytest.mark.usefixtures("one_thread")

FP32 = ModelOptions(precision="fp32", device="cpu")


def texts(count: int = 24, most: int = 60) -> list[str]:
    """Texts of 0 to `most` words, the same every time."""
    rng, words = np.random.default_rng(5), SPEECH.split()
    return [" ".join(rng.choice(words, n)) for n in rng.integers(0, most, count)]


def scorer_of(kind: Kind, **more: Any) -> LLMScorer:
    return LLMScorer(tiny_model(kind), **{"options": FP32, **more})


def one_by_one(kind: Kind, turns: list[TurnText], dimension: str) -> NDArray[np.float64]:
    """The plain way: one prompt, one whole forward pass, the formula in float64."""
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(tiny_model(kind))
    scores = []
    for turn in turns:
        prompt = prompt_of(dimension, turn).text  # type: ignore[arg-type]
        ids = tiny_tokenizer(kind).encode(prompt, return_tensors="pt")
        with torch.no_grad():
            logits = model(ids).logits[0, -1, list(DIGITS[kind])].double()
        scores.append(float((logits.softmax(0) * torch.arange(1, 7)).sum()))
    return np.array(scores)


@pytest.mark.parametrize("kind", ["llama", "mistral"])
def test_scores_are_those_of_one_plain_forward_pass_a_text(kind: Kind) -> None:
    turns = [TurnText(text, text[::-1]) for text in texts() if text]
    scorer = scorer_of(kind)
    plain = one_by_one(kind, turns, "complexity")
    assert np.abs(scorer.complexity([t.instruction for t in turns]) - plain).max() < 1e-4
    pairs = [(t.instruction, t.response or "") for t in turns]
    plain = one_by_one(kind, turns, "quality")
    assert np.abs(scorer.quality(pairs) - plain).max() < 1e-4
    assert plain.std() > 0.01


def test_the_first_generated_token_gives_the_same_score() -> None:
    from transformers import AutoModelForCausalLM

    turn = TurnText("sort a list", None)
    ids = tiny_tokenizer("llama").encode(prompt_of("complexity", turn).text, return_tensors="pt")
    model = AutoModelForCausalLM.from_pretrained(tiny_model("llama"))
    said = model.generate(
        ids, max_new_tokens=2, do_sample=False, return_dict_in_generate=True, output_scores=True
    )
    weights = said.scores[0][0, list(DIGITS["llama"])].softmax(0).numpy()
    score = scorer_of("llama").complexity(["sort a list"])[0]
    assert score == pytest.approx(weights @ np.arange(1, 7), abs=1e-4)


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
@pytest.mark.parametrize("dimension", ["complexity", "quality"])
def test_a_score_has_the_same_bits_in_any_company_order_and_number_of_threads(
    precision: Any, dimension: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ModelOptions(precision=precision, device="cpu", batch_tokens=300)
    scorer = LLMScorer(tiny_model("mistral"), dimension, options=options)
    turns = [TurnText(text, text[::-1]) for text in texts() if text]
    together = scorer.score(turns)
    monkeypatch.setattr(batches, "cpu_threads", lambda: 5)
    order = np.random.default_rng(1).permutation(len(turns))
    shuffled = scorer.score([turns[place] for place in order])
    np.testing.assert_array_equal(shuffled.scores, together.scores[order])
    np.testing.assert_array_equal(shuffled.mass, together.mass[order])
    alone = np.concatenate([scorer.score([turn]).scores for turn in turns])
    np.testing.assert_array_equal(alone, together.scores)


@pytest.mark.parametrize("tokens", [1, 300, 100_000])
def test_batches_as_on_a_gpu_stay_near(tokens: int) -> None:
    wanted = scorer_of("mistral").complexity(texts())
    batched = scorer_of("mistral")
    batched._replicas[0].budget = batches.TokenBudget(tokens)
    try:
        assert batched.complexity(texts()) == pytest.approx(wanted, abs=1e-4)
    finally:
        batched._replicas[0].budget = batches.TokenBudget(None)


@pytest.mark.parametrize("kind", ["llama", "mistral"])
def test_prompts_laid_end_to_end_give_the_same_scores(kind: Kind) -> None:
    scorer = scorer_of(kind)
    wanted = scorer.complexity(texts())
    scorer._replicas[0].packed = True
    try:
        assert scorer.complexity(texts()) == pytest.approx(wanted, abs=1e-4)
    finally:
        scorer._replicas[0].packed = False


def test_several_windows_give_the_same_scores_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = scorer_of("llama").complexity(texts())
    monkeypatch.setattr(llm_module, "FIRST_WINDOW", 3)
    monkeypatch.setattr(llm_module, "WINDOW", 7)
    assert scorer_of("llama").complexity(texts()) == pytest.approx(wanted, abs=1e-4)


def test_two_devices_share_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = scorer_of("llama").complexity(texts())
    made = []

    def fresh(name: str, precision: str, device: str) -> Replica:
        made.append(Replica(load_language_model(name, precision="fp32", device="cpu")))
        return made[-1]

    monkeypatch.setattr(llm_module, "shared_replica", fresh)
    scorer = LLMScorer(tiny_model("llama"), devices=["cpu", "cpu"])
    assert scorer.complexity(texts()) == pytest.approx(wanted, abs=1e-4)
    assert len(made) == 2


def test_bfloat16_stays_near_float32() -> None:
    rough = LLMScorer(tiny_model("llama"), options=ModelOptions(precision="bf16", device="cpu"))
    assert rough.parameters["precision"] == "bf16"
    difference = rough.complexity(texts()) - scorer_of("llama").complexity(texts())
    assert 0 < np.abs(difference).max() < 0.1


def test_two_scorers_of_one_model_hold_it_once() -> None:
    first = LLMScorer(tiny_model("llama"), "complexity", options=FP32)
    second = LLMScorer(tiny_model("llama"), "quality", options=FP32)
    assert first._replicas[0] is second._replicas[0]


def test_no_texts_give_no_scores() -> None:
    assert scorer_of("llama").complexity([]).shape == (0,)


def test_turns_without_text_get_a_reason_and_the_others_a_score() -> None:
    turns = [TurnText("a", None), TurnText("", "b"), TurnText("a", " "), TurnText("a", "b")]
    batch = scorer_of("llama", dimension="quality").score(turns)
    assert batch.reasons == ("no response", "empty instruction", "empty response", None)
    assert np.isnan(batch.scores).tolist() == [True, True, True, False]


def test_the_mass_on_the_digits_of_a_trained_scorer_is_near_one() -> None:
    batch = scorer_of("mistral", dimension="complexity").score([TurnText("sort a list", None)])
    assert batch.mass is not None
    assert 0.99 < batch.mass[0] <= 1


def test_a_model_with_no_mass_on_the_digits_gives_reasons_instead_of_scores() -> None:
    scorer = LLMScorer(tiny_model("llama", scorer=False), "complexity", options=FP32)
    batch = scorer.score([TurnText("sort a list", None)])
    assert batch.reasons == ("less than 0.01 of the probability is on the scores 1 to 6",)
    assert batch.mass is not None
    assert batch.mass[0] == pytest.approx(6 / 32_000, rel=0.5)


def test_the_least_mass_can_be_waived() -> None:
    folder = tiny_model("llama", scorer=False)
    scorer = LLMScorer(folder, "complexity", options=FP32, least_mass=0)
    assert 1 <= scorer.score([TurnText("sort a list", None)]).scores[0] <= 6
    with pytest.raises(ModelError, match=r"0 to 1, got 2"):
        LLMScorer(folder, options=FP32, least_mass=2)


def test_a_text_without_a_score_is_an_error_of_the_short_ways() -> None:
    scorer = LLMScorer(tiny_model("llama", scorer=False), options=FP32)
    reason = r"2 of 2 texts no complexity, first text 0: less than 0\.01 of the probability"
    with pytest.raises(ModelError, match=reason):
        scorer.complexity(["sort a list", "sing"])
    with pytest.raises(ModelError, match=r"1 of 1 texts no quality.*or `score`"):
        scorer.quality([("sort a list", "sorted")])


def test_weights_that_are_not_numbers_give_reasons(tmp_path: Path) -> None:
    model = random_model("llama")
    with torch.no_grad():
        model.model.norm.weight[:] = torch.nan
    model.save_pretrained(tmp_path)
    tiny_tokenizer("llama").save_pretrained(tmp_path)
    batch = LLMScorer(tmp_path, "complexity", options=FP32).score([TurnText("a", None)] * 2)
    assert batch.reasons == ("the model gave a number that is not finite",) * 2


@pytest.mark.parametrize("dimension", ["complexity", "quality"])
def test_a_text_longer_than_the_context_is_cut_and_flagged(dimension: Any) -> None:
    options = ModelOptions(precision="fp32", device="cpu", max_tokens=100)
    turns = [TurnText(SPEECH * 4, SPEECH * 9), TurnText("a", "b")]
    batch = LLMScorer(tiny_model("mistral"), dimension, options=options).score(turns)
    assert batch.truncated is not None
    assert batch.truncated.tolist() == [True, False]
    assert np.isfinite(batch.scores).all()


def test_more_tokens_than_the_context_are_refused() -> None:
    with pytest.raises(ModelError, match=r"max_tokens is 600, but .* reads at most 512"):
        LLMScorer(tiny_model("llama"), options=ModelOptions(max_tokens=600))


class Fails:
    """A replica's `logits` that runs out of memory for batches of more than `most` rows."""

    def __init__(self, scorer: LLMScorer, most: int, *, after: int = 0) -> None:
        self.real, self.most, self.after = scorer._replicas[0].logits, most, after
        self.sizes: list[int] = []

    def __call__(self, tokens: Any, rows: Any, digits: Any) -> Any:
        self.sizes.append(len(rows))
        if len(rows) > self.most and len(self.sizes) > self.after:
            raise torch.OutOfMemoryError("CUDA out of memory (pretended)")
        return self.real(tokens, rows, digits)


def test_out_of_memory_in_the_middle_halves_the_batches_and_goes_on(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scorer = scorer_of("llama")
    wanted = scorer.complexity(texts())
    monkeypatch.setattr(scorer._replicas[0], "budget", batches.TokenBudget(2000))
    fails = Fails(scorer, 5, after=1)
    monkeypatch.setattr(scorer._replicas[0], "logits", fails)
    assert scorer.complexity(texts()) == pytest.approx(wanted, abs=1e-4)
    assert max(fails.sizes) > 5
    assert fails.sizes[-1] <= 5


def test_a_text_that_does_not_fit_alone_gets_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    scorer = scorer_of("llama", dimension="complexity")
    real = scorer._replicas[0].logits

    def small(tokens: Any, rows: Any, digits: Any) -> Any:
        if max(len(tokens[row]) for row in rows) > 100:
            raise torch.OutOfMemoryError("CUDA out of memory (pretended)")
        return real(tokens, rows, digits)

    monkeypatch.setattr(scorer._replicas[0], "logits", small)
    batch = scorer.score([TurnText("a", None), TurnText(SPEECH, None), TurnText("b", None)])
    assert np.isnan(batch.scores).tolist() == [False, True, False]
    assert "out of memory" in str(batch.reasons[1])


def test_the_identity_is_the_folder_and_the_content_of_its_files() -> None:
    scorer = scorer_of("llama", dimension="quality")
    assert scorer.id == f"llm:{tiny_model('llama').resolve()}"
    assert scorer.revision != scorer_of("mistral").revision
    assert scorer.revision == scorer_of("llama").revision
    assert set(scorer.parameters) == {"precision", "max_tokens", "template", "least_mass"}


def test_the_catalogue_loads_a_folder_and_finds_its_name_again() -> None:
    scorer = load_scorer(f"llm:{tiny_model('llama')}", "quality", FP32)
    assert scorer.dimension == "quality"
    assert scorer.parameters["precision"] == "fp32"
    assert name_of_scorer(scorer.id) == scorer.id
    assert {name_of_scorer(name) for name in DEITA.values()} == {"deita"}


def test_deita_names_the_released_model_of_the_dimension(monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []

    def refuse(name: str, *_: object, **__: object) -> None:
        asked.append(name)
        raise ModelError("no network here")

    monkeypatch.setattr(llm_module, "shared_replica", refuse)
    for dimension in DEITA:
        with pytest.raises(ModelError, match="no network"):
            load_scorer("deita", dimension)
    assert asked == ["hkust-nlp/deita-complexity-scorer", "hkust-nlp/deita-quality-scorer"]


def test_a_released_scorer_is_not_used_for_the_other_dimension() -> None:
    with pytest.raises(ModelError, match="scores quality, not complexity: use hkust"):
        LLMScorer(DEITA["quality"], "complexity")


def test_a_scorer_without_a_dimension_asks_for_it() -> None:
    with pytest.raises(ModelError, match="name the dimension"):
        scorer_of("llama").score([TurnText("a", "b")])


def test_a_folder_without_a_model_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be loaded"):
        LLMScorer(tmp_path)
