"""The relevance check: low for another question's answer, the same bits in any batch."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from deita_core.errors import ModelError
from deita_core.scoring import Scorer, TurnText
from deita_core.scoring.catalogue import check_scorer, load_scorer, name_of_scorer
from deita_core.scoring.light.features import VOCABULARY, shared_encoder
from deita_core.scoring.light.relevance import RelevanceScorer, Sides, expanded
from deita_core.scoring.light.scorer import WEIGHTS

OWN = [
    TurnText(
        "How do I bake sourdough bread at home?",
        "Mix flour, water and salt with your sourdough starter, let the dough rise overnight, "
        "shape a loaf and bake it in a hot oven until the crust of the bread is dark.",
    ),
    TurnText(
        "Explain how photosynthesis works in plants.",
        "Plants take in carbon dioxide and water; with the energy of sunlight, chlorophyll in the "
        "leaves turns them into sugar and sets oxygen free. This is called photosynthesis.",
    ),
    TurnText(
        "What are the main causes of inflation in an economy?",
        "Prices rise when demand grows faster than supply, when costs of production go up, or when "
        "the central bank lets the supply of money grow: these drive inflation.",
    ),
    TurnText(
        "Write a Python function that reverses a string.",
        "def reverse(string):\n    return string[::-1]\n\nThe slice walks the string backwards.",
    ),
]
SWAPPED = [TurnText(a.instruction, b.response) for a, b in zip(OWN, OWN[1:] + OWN[:1], strict=True)]


@pytest.fixture(scope="module")
def relevance() -> Scorer:
    return load_scorer("light-relevance", "quality")


def test_answers_swapped_between_questions_drop_to_two(relevance: Scorer) -> None:
    own, swapped = (relevance.score(turns).scores for turns in (OWN, SWAPPED))
    assert own.min() > 4
    assert swapped.max() < 2.2
    assert np.median(swapped) < 2


def test_the_bits_do_not_depend_on_the_batch(relevance: Scorer) -> None:
    turns = (OWN + SWAPPED) * 3
    together = relevance.score(turns).scores
    alone = np.concatenate([relevance.score([turn]).scores for turn in turns])
    assert together.tobytes() == alone.tobytes()


def test_nothing_to_judge_gets_a_reason(relevance: Scorer) -> None:
    found = relevance.score([TurnText("", "a"), TurnText("Hi", None), TurnText("Hi", " ")])
    assert found.reasons == ("empty instruction", "no response", "empty response")
    assert relevance.score([]).scores.shape == (0,)


@pytest.mark.parametrize("text", ["你好，请问巴黎在哪里？", "\udcff", "🙂" * 500, "x" * 50_000])
def test_any_text_gets_a_score_inside_the_scale(relevance: Scorer, text: str) -> None:
    (score,) = relevance.score([TurnText(text, text)]).scores
    assert 1 < score < 6


def test_the_numbers_are_those_written_out() -> None:
    rng = np.random.default_rng(0)
    arrays = {
        f"{side}.{name}": rng.uniform(0, 1, shape).astype(np.float32)
        for side in ("question", "answer")
        for name, shape in (("token_weights", VOCABULARY), ("directions", (256, 5)))
    }
    encoder = shared_encoder()
    question, answer = encoder.encode(["the cat and the dog é"]), encoder.encode(["a dog barks"])
    (found,) = Sides(arrays).numbers(question, answer)
    vectors, masses = [], []
    for side, text in (("question", question), ("answer", answer)):
        weights = arrays[f"{side}.token_weights"][text.ids]
        vectors.append(weights @ encoder.embedding[text.ids] @ arrays[f"{side}.directions"])
        masses.append(weights.sum())
    of_question = arrays["question.token_weights"]
    asked, given = set(question.ids.tolist()), set(answer.ids.tolist())
    shared = of_question[list(asked & given)].sum() / of_question[list(asked)].sum()

    def cosine(a: np.ndarray, b: np.ndarray) -> float:
        return float(a @ b / np.linalg.norm(a) / np.linalg.norm(b))

    plain = [
        cosine(*vectors),
        shared,
        cosine(question.mean[0], answer.mean[0]),
        *np.log1p(masses),
        np.log1p(1),
        0,
    ]
    np.testing.assert_allclose(found, plain, rtol=1e-4, atol=1e-6)


def test_each_two_numbers_are_multiplied_once_and_far_ones_clipped() -> None:
    values = np.array([[1.0, 200.0]], np.float32)
    found = expanded(values, np.zeros(2, np.float32), np.array([1.0, 2.0], np.float32))
    assert found.tolist() == [[1, 4, 1, 4, 16]]


def test_complexity_is_refused_with_what_to_do() -> None:
    with pytest.raises(ModelError, match="it scores quality, not complexity: choose another"):
        check_scorer("light-relevance", "complexity")


def test_its_id_leads_back_to_its_name(relevance: Scorer) -> None:
    assert name_of_scorer(relevance.id) == "light-relevance"


def test_missing_weights_are_told(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match=r"no weights at light-relevance\.safetensors"):
        RelevanceScorer(weights=tmp_path)


def test_figures_and_card_belong_to_the_shipped_weights(relevance: Scorer) -> None:
    figures = json.loads((WEIGHTS / "relevance_held_out.json").read_text(encoding="utf-8"))
    assert figures["revision"] == relevance.revision
    assert relevance.revision in (WEIGHTS / "MODEL_CARD.md").read_text(encoding="utf-8")
