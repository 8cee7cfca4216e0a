"""scoring.baselines: exact, whatever the batch and the order."""

from __future__ import annotations

import math
from functools import cache
from typing import Any

import numpy as np
import pytest

from deita_core.errors import ModelError
from deita_core.models import batches
from deita_core.models.options import ModelOptions
from deita_core.scoring.baselines import LossScorer, Measure
from deita_core.scoring.catalogue import load_scorer, name_of_scorer
from deita_core.scoring.protocol import TurnText
from tests.tiny_models import Kind, tiny_model, tiny_tokenizer

FP32 = ModelOptions(precision="fp32", device="cpu")
TURNS = [
    TurnText("Why " * n + "is it so?", f"Because {'it is ' * (2 * n)}so, number {n}.")
    for n in range(1, 20, 2)
]


# without a model


def test_lengths_are_counted_in_characters():
    turns = [TurnText("häß", "ab"), TurnText("", ""), TurnText("x", None)]
    assert load_scorer("instruction-length", "complexity").score(turns).scores.tolist() == [3, 0, 1]
    found = load_scorer("response-length", "quality").score(turns)
    assert found.scores[:2].tolist() == [2, 0]
    assert found.reasons == (None, None, "no response")


def test_random_scores_depend_on_seed_dimension_and_content_alone():
    scores = load_scorer("random:3", "quality").score(TURNS).scores
    again = load_scorer("random:3", "quality").score(TURNS[::-1]).scores[::-1]
    assert scores.tolist() == again.tolist()
    assert len(set(scores.tolist())) == len(TURNS)
    for name, dimension in (("random:4", "quality"), ("random:3", "complexity")):
        assert load_scorer(name, dimension).score(TURNS).scores.tolist() != scores.tolist()


def test_random_scores_fill_the_range_evenly():
    turns = [TurnText(str(n), None) for n in range(4000)]
    scores = load_scorer("random", "complexity").score(turns).scores
    assert (scores >= 1).all()
    assert (scores < 6).all()
    counts = np.histogram(scores, bins=5, range=(1, 6))[0]
    assert (abs(counts - 800) < 120).all()


@pytest.mark.parametrize("name", ["instruction-length", "response-length", "random:7"])
def test_the_id_is_the_name_that_loads_it_again(name: str):
    scorer = load_scorer(name, "complexity")
    assert name_of_scorer(scorer.id) == name
    assert scorer.dimension == "complexity"


@pytest.mark.parametrize("name", ["random:x", "random:-1", "perplexity:", "ifd:/no/such/folder"])
def test_a_name_that_loads_nothing_is_an_error(name: str):
    with pytest.raises(ModelError):
        load_scorer(name, "complexity")


# with a language model


@cache
def whole_model(kind: Kind) -> Any:
    from transformers import AutoModelForCausalLM

    return AutoModelForCausalLM.from_pretrained(tiny_model(kind, scorer=False), dtype="float32")


def naive_loss(kind: Kind, before: str, response: str) -> float:
    """Mean -log p of the response's tokens after `before`: one row, token by token."""
    import torch

    tokenizer = tiny_tokenizer(kind)
    first = tokenizer(before, add_special_tokens=False).input_ids if before else []
    then = tokenizer(response, add_special_tokens=False).input_ids
    ids = [tokenizer.bos_token_id, *first, *then]
    with torch.no_grad():
        logits = whole_model(kind)(torch.tensor([ids])).logits[0]
    chances = torch.log_softmax(logits, dim=-1)
    places = range(len(ids) - len(then), len(ids))
    return -sum(float(chances[place - 1, ids[place]]) for place in places) / len(then)


@cache
def scorer(measure: Measure, kind: Kind = "llama") -> LossScorer:
    return LossScorer(str(tiny_model(kind, scorer=False)), measure, "complexity", FP32)


@pytest.mark.parametrize("kind", ["llama", "mistral"])
def test_perplexity_is_that_of_the_response_after_its_instruction(kind: Kind):
    found = scorer("perplexity", kind).score(TURNS).scores
    expected = [math.exp(naive_loss(kind, f"{t.instruction}\n", str(t.response))) for t in TURNS]
    assert np.allclose(found, expected, rtol=1e-4)


def test_ifd_is_the_perplexity_with_the_instruction_over_that_without():
    found = scorer("ifd").score(TURNS).scores
    expected = [
        math.exp(naive_loss("llama", f"{t.instruction}\n", str(t.response)))
        / math.exp(naive_loss("llama", "", str(t.response)))
        for t in TURNS
    ]
    assert np.abs(found - expected).max() < 1e-4
    assert np.ptp(found) > 1e-3


def test_turns_without_instruction_or_response_get_the_reason():
    turns = [TurnText("a", None), TurnText("a", " "), TurnText(" ", "b"), TurnText("a", "b")]
    found = scorer("ifd").score(turns)
    assert found.reasons == ("no response", "empty response", "empty instruction", None)
    assert scorer("ifd").score([]).reasons == ()


def test_too_long_a_turn_is_cut_on_both_sides_alike_and_flagged():
    turns = [TurnText("q", "so " * 900), TurnText("why " * 900, "so " * 900), TURNS[0]]
    found = scorer("ifd").score(turns)
    assert found.truncated is not None
    assert found.truncated.tolist() == [True, True, False]
    assert np.isfinite(found.scores).all()


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_loss_has_the_same_bits_in_any_company_and_on_any_number_of_threads(
    precision: Any, monkeypatch
):
    options = ModelOptions(precision=precision, device="cpu", batch_tokens=300)
    made = LossScorer(str(tiny_model("mistral", scorer=False)), "ifd", "quality", options)
    together = made.score(TURNS).scores
    monkeypatch.setattr(batches, "cpu_threads", lambda: 5)
    assert made.score(TURNS[::-1]).scores[::-1].tolist() == together.tolist()
    assert [made.score([turn]).scores[0] for turn in TURNS] == together.tolist()


def test_running_out_of_memory_changes_no_score(monkeypatch):
    import deita_core.scoring.baselines as losses

    whole = losses._batch_losses
    expected = scorer("ifd").score(TURNS).scores

    def tight(passages: Any, model: Any) -> Any:
        if len(passages) > 2:
            raise RuntimeError("CUDA out of memory")
        return whole(passages, model)

    monkeypatch.setattr(losses, "_batch_losses", tight)
    small = LossScorer(str(tiny_model("llama", scorer=False)), "ifd", "complexity", FP32)
    small._budget = batches.TokenBudget(2048)  # as on a GPU
    assert np.abs(small.score(TURNS).scores - expected).max() < 1e-5
    assert small._budget.halved > 0


def test_a_model_that_gives_no_numbers_gives_a_reason(monkeypatch):
    import deita_core.scoring.baselines as losses

    monkeypatch.setattr(losses, "_batch_losses", lambda passages, model: [math.inf] * len(passages))
    found = scorer("perplexity").score(TURNS[:2])
    assert found.reasons == ("the model gave a number that is not finite",) * 2


def test_the_name_of_a_loss_scorer_loads_it_again():
    made = scorer("perplexity")
    again = load_scorer(name_of_scorer(made.id), "quality", FP32)
    assert (again.id, again.revision, again.dimension) == (made.id, made.revision, "quality")
