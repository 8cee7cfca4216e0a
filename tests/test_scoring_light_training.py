"""Training of the light scorers on a small made-up set: it learns, and loads what it saved."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from deita_core.scoring import LightScorer, TurnText
from deita_core.scoring.light.heads import heads_of
from deita_core.scoring.protocol import Dimension
from deita_core.training import light_fit as fit
from recipes.light_scorers import train
from recipes.light_scorers.labels import Levelled, Pair, Rated

HARD = [
    "prove",
    "derive",
    "theorem",
    "convergence",
    "asymptotic",
    "measure",
    "eigenvalue",
    "manifold",
]
EASY = ["name", "list", "tell", "colour", "animal", "food"]
SOUND = ["because", "therefore", "first", "second", "example", "finally"]
VAGUE = ["maybe", "thing", "stuff", "well", "kind", "sort"]
ROWS = 700


def text(rng: np.random.Generator, share: float, good: list[str], plain: list[str]) -> str:
    """Thirty words, that share of them out of `good`, however long they are."""
    return " ".join(rng.choice(good if rng.random() < share else plain) for _ in range(30))


def made_up() -> tuple[Rated, Levelled, list[tuple[str, ...]], list[Pair]]:
    """Rows whose ratings follow the words they use: instruction and response count alike."""
    rng = np.random.default_rng(5)
    hard, sound = rng.random(ROWS), rng.random(ROWS)
    instructions = tuple(text(rng, share, HARD, EASY) for share in hard)
    responses = tuple(text(rng, share, SOUND, VAGUE) for share in sound)
    ratings = 2.5 * (hard + sound)[:, None] + rng.normal(0, 0.2, (ROWS, 3))
    levels = np.round(4 * hard).astype(np.float32)
    chains = [
        (text(rng, 0.1, HARD, EASY), text(rng, 0.9, HARD, EASY) + " and more") for _ in range(60)
    ]
    better = tuple(text(rng, 0.9, SOUND, VAGUE) for _ in range(200))
    worse = tuple(text(rng, 0.1, SOUND, VAGUE) for _ in range(200))
    return (
        Rated(instructions, responses, ratings.astype(np.float32)),
        Levelled(instructions, levels, ("task",) * ROWS),
        chains,
        [Pair(*texts) for texts in zip(instructions[:200], better, worse, strict=True)],
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, fit.RatingData, dict]:
    """The folder of weights, the rows and the weights as they were before they were saved."""
    pytest.importorskip("lightgbm")
    folder = tmp_path_factory.mktemp("weights")
    sizes = fit.FitSizes(seeds=(0, 1), trees=20, batch=64)
    rated, flask, chains, pairs = made_up()
    data = train.split(rated)
    data = replace(data, folds=data.folds % 3)
    weights = {
        "complexity": train.fit_complexity(data, flask, chains, sizes),
        "quality": train.fit_quality(data, pairs, sizes),
    }
    for dimension, arrays in weights.items():
        fit.save(folder, dimension, arrays)
    return folder, data, weights


def held_out_turns(data: fit.RatingData) -> tuple[np.ndarray, list[TurnText]]:
    held = np.flatnonzero(~data.rows)
    rated = made_up()[0]
    return held, [TurnText(rated.instructions[i], rated.responses[i]) for i in held]


@pytest.mark.parametrize(("dimension", "least"), [("complexity", 0.8), ("quality", 0.8)])
def test_it_ranks_rows_it_never_saw(
    dimension: Dimension, least: float, trained: tuple[Path, fit.RatingData, dict]
) -> None:
    from scipy.stats import spearmanr

    folder, data, _ = trained
    held, turns = held_out_turns(data)
    scores = LightScorer(dimension, folder).score(turns).scores
    hard = np.array([sum(word in HARD for word in turn.instruction.split()) for turn in turns])
    truth = hard if dimension == "complexity" else data.targets[held].mean(axis=1)
    assert len(held) > 40
    assert spearmanr(scores, truth).statistic > least


@pytest.mark.parametrize("dimension", ["complexity", "quality"])
def test_what_is_saved_and_loaded_scores_alike(
    dimension: Dimension, trained: tuple[Path, fit.RatingData, dict]
) -> None:
    folder, data, weights = trained
    held, turns = held_out_turns(data)
    loaded = LightScorer(dimension, folder)
    parts = data.parts[: 1 if dimension == "complexity" else 2]
    before = heads_of(dimension, weights[dimension])(parts)[held]
    assert loaded.heads(turns).tobytes() == before.tobytes()
    assert LightScorer(dimension, folder).score(turns).scores.tobytes() == (
        loaded.score(turns).scores.tobytes()
    )


def test_the_scale_is_fixed_on_the_fitted_rows(
    trained: tuple[Path, fit.RatingData, dict],
) -> None:
    folder, data, _ = trained
    rated = made_up()[0]
    turns = [TurnText(rated.instructions[i], rated.responses[i]) for i in np.flatnonzero(data.rows)]
    scores = LightScorer("quality", folder).score(turns).scores
    assert np.quantile(scores, [0.5, 0.99]) == pytest.approx(
        [train.MEDIAN_AT, train.TOP_AT], abs=0.02
    )
