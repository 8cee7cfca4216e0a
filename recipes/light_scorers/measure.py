"""Measures the light scorers on held-out labels, each figure beside the length-only baseline.

Spearman throughout for ratings; for pairs the share in which the better one scores higher (a
tie counts half). "length" is the number of characters: of the instruction for complexity, of
the response for quality.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_core.scoring.light.features import F32, shared_encoder
from deita_core.scoring.light.heads import difficulty_head, stored
from deita_core.scoring.light.scorer import LightScorer
from deita_core.scoring.protocol import TurnText
from deita_core.training import light_fit as fit
from deita_core.training.split import buckets_of
from recipes.light_scorers import labels as labels_of
from recipes.light_scorers.fit import fit_difficulty

Figures = dict[str, Any]
Numbers = NDArray[np.floating[Any]]
DIFFICULTY_FOLDS, TASK_FOLDS = 10, 20


def measure(labels: Path, pools: Path, weights: Path, test_bucket: int) -> Figures:
    """Every figure of the model card, for the weights in a folder."""
    complexity, quality = (LightScorer(d, weights) for d in ("complexity", "quality"))
    rated = labels_of.read_rated(labels, pools)
    test = buckets_of(rated.instructions, 10) == test_bucket
    fitted = {t for t, held in zip(rated.instructions, test, strict=True) if not held}
    return {
        "revisions": {"complexity": complexity.revision, "quality": quality.revision},
        "alpaca ratings, held-out tenth": _ratings(complexity, quality, rated, test),
        "FLASK difficulty, cross-validated": flask_figures(complexity, labels),
        "harder of two neighbours, unseen half of the chains": {
            "evolved chains": _chain_figures(complexity, labels_of.read_evol_chains(labels)),
            "FollowBench levels": _chain_figures(complexity, labels_of.read_followbench(labels)),
        },
        "better of two answers": {
            "AlpacaEval half A": _pair_figures(quality, labels_of.read_alpaca_eval(labels), set()),
            "UltraFeedback": _pair_figures(quality, labels_of.read_ultrafeedback(labels), set()),
            "expert revisions": _pair_figures(quality, labels_of.read_revisions(labels), fitted),
        },
        "Auto-J ratings": _autoj(quality, labels),
    }


def _ratings(
    complexity: LightScorer,
    quality: LightScorer,
    rated: labels_of.Rated,
    test: NDArray[np.bool_],
) -> Figures:
    rows = np.flatnonzero(test)
    turns = [TurnText(rated.instructions[i], rated.responses[i]) for i in rows]
    mean = rated.ratings[rows].mean(axis=1)
    alone = complexity.heads(turns)[:, 1]  # the rating head
    asked = np.array([len(t.instruction) for t in turns])
    answered = np.array([len(t.response or "") for t in turns])
    scored = quality.score(turns).scores
    shipped = complexity.score(turns).scores
    return {
        "n": len(rows),
        "empty responses, left out of quality": int(np.isnan(scored).sum()),
        "quality score": _beside(scored, answered, mean),
        "rating head of complexity (instruction alone)": _beside(alone, asked, mean),
        "complexity score (a blend: not meant to match this)": _beside(shipped, asked, mean),
    }


def flask_figures(complexity: LightScorer, labels: Path) -> Figures:
    """The difficulty head is refitted without each fold; the other heads never saw FLASK."""
    flask = labels_of.read_flask(labels)
    turns = [TurnText(text, None) for text in flask.instructions]
    lengths = np.array([len(text) for text in flask.instructions])
    heads = complexity.heads(turns)
    figures: Figures = {"n": len(turns), "length": _spearman(lengths, flask.levels)}
    for name, keys, count in (
        ("rows", flask.instructions, DIFFICULTY_FOLDS),
        ("tasks", flask.tasks, TASK_FOLDS),
    ):
        difficulty = _unseen_difficulty(flask, buckets_of(keys, count, name))
        blended = complexity.blend(np.column_stack([difficulty, heads[:, 1:]]).astype(np.float32))
        figures[f"difficulty head, unseen {name}"] = _spearman(difficulty, flask.levels)
        figures[f"complexity score, unseen {name}"] = _spearman(blended, flask.levels)
    return figures


def _unseen_difficulty(flask: labels_of.Levelled, folds: NDArray[np.int64]) -> F32:
    encoded = shared_encoder().encode(flask.instructions)
    guess = np.zeros(len(folds), np.float32)
    for fold in np.unique(folds):
        fitted = fit_difficulty(encoded, flask.levels, folds != fold)
        arrays = stored(fit.named("difficulty", fitted))
        guess[folds == fold] = difficulty_head(arrays)((encoded,))[folds == fold]
    return guess


def _chain_figures(complexity: LightScorer, chains: Sequence[tuple[str, ...]]) -> Figures:
    unseen = [chain for chain in chains if not labels_of.in_training_half(chain)]
    lower = [chain[i] for chain in unseen for i in range(len(chain) - 1)]
    upper = [chain[i + 1] for chain in unseen for i in range(len(chain) - 1)]
    harder, plainer = ([TurnText(text, None) for text in texts] for texts in (upper, lower))
    margin = complexity.score(harder).scores - complexity.score(plainer).scores
    length = np.array([len(t) for t in upper]) - np.array([len(t) for t in lower])
    return {"pairs": len(lower), "score": _right(margin), "length": _right(length)}


def _pair_figures(
    quality: LightScorer, pairs: Sequence[labels_of.Pair], fitted: set[str]
) -> Figures:
    unseen = [
        pair
        for pair in pairs
        if pair.instruction not in fitted and not labels_of.in_training_half(pair)
    ]
    better = quality.score([TurnText(pair.instruction, pair.better) for pair in unseen])
    worse = quality.score([TurnText(pair.instruction, pair.worse) for pair in unseen])
    margin = better.scores - worse.scores
    length = np.array([len(pair.better) - len(pair.worse) for pair in unseen])
    shorter = length < 0
    return {
        "pairs": len(unseen),
        "score": _right(margin),
        "length": _right(length),
        "pairs whose better answer is shorter": int(shorter.sum()),
        "score on those (length: 0)": _right(margin[shorter]),
    }


def _autoj(quality: LightScorer, labels: Path) -> Figures:
    rows = labels_of.read_autoj(labels)
    scores = quality.score([TurnText(asked, answer) for asked, answer, _ in rows]).scores
    lengths = np.array([len(answer) for _, answer, _ in rows])
    ratings = np.array([rating for _, _, rating in rows], np.float32)
    good = np.isfinite(scores)
    return {"n": int(good.sum())} | _beside(scores[good], lengths[good], ratings[good])


def _beside(scores: Numbers, lengths: Numbers | NDArray[np.int64], truth: Numbers) -> Figures:
    return {"spearman": _spearman(scores, truth), "length": _spearman(lengths, truth)}


def _right(margin: Numbers | NDArray[np.int64]) -> float:
    return round(float(np.mean((margin > 0) + 0.5 * (margin == 0))), 3)


def _spearman(left: Any, right: Any) -> float:
    from scipy.stats import spearmanr

    good = np.isfinite(left)
    return round(float(spearmanr(left[good], right[good]).statistic), 4)
