"""A light scorer from labels of one's own: seconds to minutes on a CPU, in the shipped format.

Its parts are those of the shipped rating head. On the token models stands a ridge regression, and
perceptrons join it where there are labels enough (`MANY`): measured on ratings of Alpaca
rows, from 60 to 1,000 labels neither they nor boosted trees rank unseen rows better than ridge
alone does (Spearman within 0.03 either way).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_core.scoring.light.features import F32, shared_encoder
from deita_core.scoring.light.heads import heads_of, perceptron, stored
from deita_core.scoring.light.scorer import calibrated, load_weights
from deita_core.scoring.protocol import Dimension
from deita_core.training.labels import LabelledTurn, Told, TrainingStep
from deita_core.training.light_fit import (
    FitSizes,
    RatingData,
    Weights,
    fit_inputs,
    fit_mlp,
    named,
    save,
)
from deita_core.training.split import buckets_of, check_learnt

MANY = 2000  # labels from which on perceptrons are fitted, too
TERMS_ALPHA = 6.0  # of the ridge regressions over terms, as for the shipped weights
ALPHAS = tuple(np.logspace(0, 5, 16).tolist())
FLATTEST = 0.02  # slope of the calibration: scores must rise, however little the labels say
FOLDS, STEPS, MOST_EPOCHS = 5, 400, 40


@dataclass(frozen=True, slots=True)
class LightFit:
    """What was fitted. revision: of the weights. parts: what stands on the token models, in words.
    unseen_error: mean error on rows of the training part, each guessed without its fold."""

    revision: str
    labels: int
    parts: str
    unseen_error: float


@dataclass(frozen=True, slots=True)
class _Rows:
    """values: (n, d) what the models on top see; scores: (n,) labels; folds: (n,)."""

    values: F32
    scores: F32
    folds: NDArray[np.int64]

    def where(self, chosen: NDArray[np.bool_]) -> _Rows:
        return _Rows(self.values[chosen], self.scores[chosen], self.folds[chosen])


def train_light(
    turns: Sequence[LabelledTurn], dimension: Dimension, out: Path, told: Told, seed: int = 0
) -> LightFit:
    """Fits a scorer on all of `turns` and writes `light-<dimension>.safetensors` into `out`.

    The same labels in the same order and seed give the same bytes (on one machine and version of
    the libraries). Raises ModelError for labels that no scorer can be trained on.
    """
    from threadpoolctl import threadpool_limits

    check_learnt(turns)
    sizes = sizes_for(len(turns))
    steps = 3 + FOLDS + len(sizes.seeds)
    with threadpool_limits(1):  # sums in another order would give other last bits
        told(TrainingStep("reading the texts", 0, steps))
        data = _encoded(turns, dimension, seed)
        told(TrainingStep("token models", 1, steps, len(turns)))
        arrays, values = fit_inputs(data, TERMS_ALPHA, sizes)
        rows = _Rows(values, data.targets[:, 0], data.folds)
        guesses = _unseen(rows, sizes, seed, told, steps)
        offset, slope = calibration(guesses, rows.scores)
        arrays |= _top(rows, sizes, seed, told, steps)
    weights = stored(named("rating", arrays)) | {
        "blend.mean": np.zeros(1, np.float32),
        "blend.weight": np.ones(1, np.float32),
        "calibration": np.array([offset, slope], np.float32),
    }
    heads_of(dimension, weights)  # what is written can be read
    out.mkdir(parents=True, exist_ok=True)
    save(out, dimension, weights)
    told(TrainingStep("writing", steps, steps, len(turns)))
    error = np.abs(calibrated(guesses, offset, slope) - rows.scores).mean()
    revision = load_weights(out / f"light-{dimension}.safetensors")[1]
    return LightFit(revision, len(turns), parts_in_words(sizes), float(error))


def sizes_for(labels: int) -> FitSizes:
    """How much is fitted on that many labels."""
    if labels < MANY:
        return FitSizes(projected=16 if labels < 500 else 32, seeds=(), trees=0, tree_seeds=())
    batch = min(256, labels // 16)
    epochs = min(MOST_EPOCHS, max(10, STEPS * batch // labels))
    return FitSizes(seeds=(0, 1, 2), epochs=epochs, batch=batch, trees=0, tree_seeds=())


def parts_in_words(sizes: FitSizes) -> str:
    """ "ridge regression", and what stands beside it."""
    if not sizes.seeds:
        return f"ridge regression (perceptrons join it from {MANY:,} labels on)"
    return f"ridge regression and {len(sizes.seeds)} perceptrons, averaged"


def _encoded(turns: Sequence[LabelledTurn], dimension: Dimension, seed: int) -> RatingData:
    encode = shared_encoder().encode
    parts = [encode([turn.instruction for turn in turns])]
    if dimension == "quality":
        parts.append(encode([turn.response or "" for turn in turns]))
    scores = np.array([[turn.score] for turn in turns], np.float32)
    folds = _folds([turn.group for turn in turns], seed)
    return RatingData(tuple(parts), scores, np.ones(len(turns), np.bool_), folds)


def _folds(groups: Sequence[str], seed: int) -> NDArray[np.int64]:
    """(n,) in [0, FOLDS): groups by the order of their hashes in turn, so that none is empty."""
    known = sorted(set(groups))
    order = np.argsort(buckets_of(known, 1 << 62, f"fold {seed} "), kind="stable")
    of = {known[place]: turn % FOLDS for turn, place in enumerate(order.tolist())}
    return np.array([of[group] for group in groups], np.int64)


def _top(rows: _Rows, sizes: FitSizes, seed: int, told: Told, steps: int) -> Weights:
    """The arrays of the models on top: the ridge regression first, then the perceptrons."""
    arrays = named("mlp.0", _ridge(rows))
    for number, own in enumerate(sizes.seeds):
        arrays |= named(f"mlp.{number + 1}", _perceptron(rows, sizes, seed + own))
        told(TrainingStep("perceptrons", 2 + FOLDS + number, steps, len(rows.scores)))
    return arrays


def _unseen(rows: _Rows, sizes: FitSizes, seed: int, told: Told, steps: int) -> F32:
    """(n,) what models on top say of each row that were fitted without its fold (by one perceptron
    at most, for they differ little)."""
    guesses = np.zeros(len(rows.scores), np.float32)
    squares = 0.0
    for fold in range(FOLDS):
        inside = rows.folds == fold
        if not inside.any():  # fewer groups than folds
            continue
        others = rows.where(~inside)
        tops = [_ridge(others)]
        tops += [_perceptron(others, sizes, seed + own) for own in sizes.seeds[:1]]
        found = [perceptron(_layers(top), rows.values[inside]) for top in tops]
        guesses[inside] = np.mean(found, axis=0)
        squares += float(((guesses[inside] - rows.scores[inside]) ** 2).sum())
        seen = int((rows.folds <= fold).sum())
        loss = squares / max(seen, 1)
        told(TrainingStep("looking at rows not learnt from", 2 + fold, steps, seen, loss))
    return guesses


def _layers(arrays: Weights) -> list[tuple[F32, F32]]:
    count = sum(name.startswith("bias.") for name in arrays)
    return [(arrays[f"weight.{i}"], arrays[f"bias.{i}"]) for i in range(count)]


def _ridge(rows: _Rows) -> Weights:
    """A perceptron of one layer: linear, its penalty chosen by leaving one row out at a time."""
    from sklearn.linear_model import RidgeCV

    model = RidgeCV(ALPHAS).fit(rows.values.astype(np.float64), rows.scores.astype(np.float64))
    return {
        "weight.0": model.coef_.astype(np.float32)[:, None],
        "bias.0": np.array([model.intercept_], np.float32),
    }


def _perceptron(rows: _Rows, sizes: FitSizes, seed: int) -> Weights:
    return fit_mlp(rows.values, rows.scores[:, None], [], seed, sizes)


def calibration(guesses: F32, scores: F32) -> tuple[float, float]:
    """Offset and slope with which `calibrated` guesses are nearest the scores, by least squares.

    The slope is at least `FLATTEST`.
    """
    from scipy.optimize import least_squares

    def miss(line: NDArray[np.float64]) -> Any:
        return calibrated(guesses, line[0], line[1]) - scores

    found = least_squares(miss, [-2.8, 0.8], bounds=([-np.inf, FLATTEST], np.inf))
    return float(found.x[0]), float(found.x[1])
