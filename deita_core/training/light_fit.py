"""Fits the rating head of a light scorer: token models, perceptrons and boosted trees on top.

Everything is seeded and runs on one thread, so the same labels give the same weights.
Needs scikit-learn and torch; trees are grown by lightgbm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deita_core.scoring.light.features import F32, Encoded
from deita_core.scoring.light.heads import (
    TERMS,
    RatingHead,
    Standardiser,
    blocks,
    rating_inputs,
    term_counts,
    views,
)
from deita_core.scoring.protocol import Dimension

PAIR_WEIGHT = 0.05
TREE_PAIR_WEIGHT = 0.3
TREE_PARAMETERS: dict[str, Any] = {
    "learning_rate": 0.05,
    "num_leaves": 31,
    "min_sum_hessian_in_leaf": 1.0,
    "feature_fraction": 0.3,
    "bagging_fraction": 0.7,
    "bagging_freq": 1,
    "lambda_l2": 10.0,
    "max_bin": 63,
    "num_threads": 1,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}

Mask = NDArray[np.bool_]
Weights = dict[str, NDArray[Any]]


@dataclass(frozen=True, slots=True)
class FitSizes:
    """How much is fitted; the defaults are those of the shipped weights, for 50,000 labels.

    projected: main directions kept of a mean embedding. seeds: a perceptron each, with `hidden`
    units, trained `epochs` times over the rows in batches of `batch` at the rate `rate`. trees: of
    each of `tree_seeds`, with at least `leaf` rows in a leaf.
    """

    projected: int = 64
    seeds: tuple[int, ...] = (0, 1, 2, 3, 4, 5)
    hidden: int = 128
    epochs: int = 10
    batch: int = 256
    rate: float = 2e-3
    trees: int = 350
    tree_seeds: tuple[int, ...] = (1, 2)
    leaf: int = 100


SHIPPED = FitSizes()


@dataclass(frozen=True, slots=True)
class RatingData:
    """What a rating head is fitted on, of the rows marked: (n, r) targets, a column a rater, whose
    mean is predicted. folds: (n,) from 0 up, equal for rows with the same instruction."""

    parts: tuple[Encoded, ...]
    targets: F32
    rows: Mask
    folds: NDArray[np.int64]


class PairData(NamedTuple):
    """Answers to the same instructions, the better ones and the worse ones."""

    instruction: Encoded
    better: Encoded
    worse: Encoded


def fit_idf(encoded: Encoded, rows: Mask, at_least: int) -> F32:
    """Smoothed idf of the terms of the marked rows; 0 for terms in fewer than `at_least`."""
    counts = term_counts(encoded)[np.flatnonzero(rows)]
    seen = np.bincount(counts.indices, minlength=TERMS)
    idf = np.log((1 + counts.shape[0]) / (1 + seen)) + 1
    idf[seen < at_least] = 0
    return np.asarray(idf, np.float32)


def fit_rating(
    data: RatingData, alpha: float, pairs: PairData | None = None, sizes: FitSizes = SHIPPED
) -> Weights:
    """The arrays of a RatingHead: token models first, then the perceptrons on top of them,
    and, where there are pairs, boosted trees on the same inputs."""
    arrays, values = fit_inputs(data, alpha, sizes)
    targets = data.targets[data.rows]
    compared: list[F32] = []
    if pairs is not None:
        head = RatingHead(named("rating", arrays), 2)
        compared = [head.inputs((pairs.instruction, one)) for one in (pairs.better, pairs.worse)]
    for number, seed in enumerate(sizes.seeds):
        arrays |= named(f"mlp.{number}", fit_mlp(values, targets, compared, seed, sizes))
    if pairs is not None:
        arrays |= named("trees", fit_trees(values, targets, compared, sizes))
    return arrays


def fit_inputs(data: RatingData, alpha: float, sizes: FitSizes) -> tuple[Weights, F32]:
    """The token models of a RatingHead, and what perceptrons and trees see of the fitted rows.

    alpha: of the ridge regressions. Returns the arrays, and (fitted rows, d) standardised numbers;
    the token models' are out of fold.
    """
    idf = [fit_idf(part, data.rows, 3) for part in data.parts]
    outputs, arrays = _fit_token_models(blocks(data.parts, idf), data, alpha)
    projections = [_principal(part.mean[data.rows], sizes.projected) for part in data.parts]
    inputs = rating_inputs(data.parts, projections, outputs)[data.rows]
    standardise = Standardiser.fit(inputs)
    arrays |= scaling(standardise) | _numbered("idf", idf) | _numbered("projection", projections)
    return arrays, standardise(inputs)


def named(head: str, arrays: Weights) -> Weights:
    """The arrays under the names that they have in a weights file."""
    return {f"{head}.{name}": array for name, array in arrays.items()}


def _numbered(name: str, arrays: Sequence[NDArray[Any]]) -> Weights:
    return {f"{name}.{i}": array for i, array in enumerate(arrays)}


def scaling(standardise: Standardiser) -> Weights:
    """The arrays of a Standardiser."""
    return {"mean": standardise.mean, "deviation": standardise.deviation}


def _fit_token_models(terms: Sequence[Any], data: RatingData, alpha: float) -> tuple[F32, Weights]:
    """Ridge per view of the texts: each rater from all texts. With a response, also the mean
    rating from either text alone, and how long a response the instruction usually gets.

    Returns (n, k) outputs, out-of-fold for the fitted rows; weights per view, and intercepts.
    """
    raters = tuple(data.targets.T)
    targets: list[tuple[F32, ...]] = [raters]
    if len(terms) == 2:
        mean, length = data.targets.mean(axis=1), np.log1p(np.diff(data.parts[1].starts))
        targets = [(mean, length), (mean,), raters]
    arrays: Weights = {}
    fitted = []
    for number, (view, wanted) in enumerate(zip(views(terms), targets, strict=True)):
        ridges = [_stacked_ridge(view, target, data, alpha) for target in wanted]
        arrays[f"view.{number}.token_weights"] = np.stack([r[1] for r in ridges], axis=1)
        fitted += ridges
    arrays["token_intercepts"] = np.array([r[2] for r in fitted], np.float32)
    return np.stack([r[0] for r in fitted], axis=1), arrays


def _stacked_ridge(
    terms: Any, target: F32, data: RatingData, alpha: float
) -> tuple[F32, F32, float]:
    """Out-of-fold guesses for the marked rows, guesses for the others; weights; intercept."""
    from sklearn.linear_model import Ridge

    def fit(rows: Mask) -> Any:
        model = Ridge(alpha, solver="sparse_cg", tol=1e-3)
        return model.fit(terms[np.flatnonzero(rows)], target[rows])

    final = fit(data.rows)
    guess = final.predict(terms)
    for fold in np.unique(data.folds[data.rows]):
        inside = data.rows & (data.folds == fold)
        guess[inside] = fit(data.rows & (data.folds != fold)).predict(terms[np.flatnonzero(inside)])
    return guess.astype(np.float32), final.coef_.astype(np.float32), float(final.intercept_)


def _principal(vectors: F32, count: int) -> F32:
    """(d, count): the main directions of (n, d) vectors, signs fixed."""
    centred = vectors - vectors.mean(axis=0)
    _, directions = np.linalg.eigh(centred.T.astype(np.float64) @ centred)
    top = directions[:, ::-1][:, :count]
    signs = np.sign(top[np.abs(top).argmax(axis=0), np.arange(count)])
    return np.asarray(top * signs, np.float16).astype(np.float32)


def fit_mlp(
    values: F32, targets: F32, compared: Sequence[F32], seed: int, sizes: FitSizes = SHIPPED
) -> Weights:
    """One perceptron with an output per rater, folded into one output: their mean.

    Loss: squared error on standardised ratings, plus PAIR_WEIGHT times the Bradley-Terry loss
    -ln sigmoid(better - worse) on `compared` answers, if any.
    """
    import torch
    from torch import nn

    torch.set_num_threads(1)
    torch.manual_seed(seed)
    mean, deviation = targets.mean(axis=0), targets.std(axis=0)
    wanted, inputs = torch.tensor((targets - mean) / deviation), torch.tensor(values)
    net = _network(values.shape[1], sizes.hidden, targets.shape[1])
    batch = sizes.batch
    steps = sizes.epochs * (len(values) // batch)
    optimiser = torch.optim.AdamW(net.parameters(), sizes.rate, weight_decay=0.3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, sizes.rate, total_steps=steps + 1)
    answers = [torch.tensor(inputs) for inputs in compared]
    rng = np.random.default_rng(seed)
    for _ in range(sizes.epochs):
        order = rng.permutation(len(values))
        for start in range(0, len(order) - batch + 1, batch):
            rows = order[start : start + batch]
            loss = ((net(inputs[rows]) - wanted[rows]) ** 2).mean()
            if answers:
                some = rng.integers(0, len(answers[0]), batch // 2)
                margin = (net(answers[0][some]) - net(answers[1][some])).mean(dim=1)
                loss = loss + PAIR_WEIGHT * nn.functional.softplus(-margin).mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
    return _exported(net, mean, deviation)


def _network(width: int, hidden: int, outputs: int) -> Any:
    from torch import nn

    return nn.Sequential(
        *(nn.Dropout(0.1), nn.Linear(width, hidden), nn.GELU("tanh"), nn.Dropout(0.4)),
        *(nn.Linear(hidden, hidden // 2), nn.GELU("tanh"), nn.Dropout(0.4)),
        nn.Linear(hidden // 2, outputs),
    )


def _exported(net: Any, mean: F32, deviation: F32) -> Weights:
    linear = [layer for layer in net if hasattr(layer, "weight")]
    weights = [layer.weight.detach().numpy().T.copy() for layer in linear]
    biases = [layer.bias.detach().numpy().copy() for layer in linear]
    biases[-1] = np.array([(biases[-1] * deviation + mean).mean()], np.float32)
    weights[-1] = (weights[-1] * deviation).mean(axis=1, keepdims=True)
    return _numbered("weight", weights) | _numbered("bias", biases)


def fit_trees(
    values: F32, ratings: F32, compared: Sequence[F32], sizes: FitSizes = SHIPPED
) -> Weights:
    """The arrays of `Trees`, as they are stored, and centre and scale of the rating.

    They predict the standardised mean of (n, r) ratings from (n, d) values, by one run per seed,
    averaged. Loss: as `fit_mlp`, with TREE_PAIR_WEIGHT.
    """
    import lightgbm

    mean = ratings.mean(axis=1).astype(np.float64)
    wanted = (mean - mean.mean()) / mean.std()
    better, worse = compared
    rows, pairs = len(values), len(better)
    each = TREE_PAIR_WEIGHT * rows / pairs / 2  # the gradient of the squared error is halved too

    def loss(guess: NDArray[np.float64], _: Any) -> tuple[Any, Any]:
        gradient, curvature = np.empty(len(guess)), np.ones(len(guess))
        gradient[:rows] = guess[:rows] - wanted
        doubt = 1 / (1 + np.exp(guess[rows : rows + pairs] - guess[rows + pairs :]))
        gradient[rows:] = np.concatenate([-each * doubt, each * doubt])
        curvature[rows:] = np.tile(np.maximum(each * doubt * (1 - doubt), 1e-3), 2)
        return gradient, curvature

    inputs = np.concatenate([values, better, worse])
    data = lightgbm.Dataset(inputs, np.concatenate([wanted, np.zeros(2 * pairs)]))
    structures = []
    fixed = {**TREE_PARAMETERS, "min_data_in_leaf": sizes.leaf, "objective": loss}
    for seed in sizes.tree_seeds:
        model = lightgbm.train({**fixed, "seed": seed}, data, sizes.trees)
        structures += [tree["tree_structure"] for tree in model.dump_model()["tree_info"]]
    grown = flattened(structures)
    grown["number"][grown["feature"] < 0] /= len(
        sizes.tree_seeds
    )  # a sum over both is twice the mean
    return grown | {"scaling": np.array([mean.mean(), mean.std()], np.float32)}


def flattened(structures: list[dict[str, Any]]) -> dict[str, NDArray[Any]]:
    """lightgbm's nested trees, breadth first, as `Trees` reads them."""
    nodes: list[tuple[int, float]] = []
    lengths: list[int] = []
    for structure in structures:
        waiting = [structure]
        for node in waiting:
            if "split_feature" in node:
                nodes.append((node["split_feature"], node["threshold"]))
                waiting += [node["left_child"], node["right_child"]]
            else:
                nodes.append((-1, node["leaf_value"]))
        lengths.append(len(waiting))
    return {
        "feature": np.array([feature for feature, _ in nodes], np.int16),
        "number": np.array([number for _, number in nodes], np.float32),
        "lengths": np.array(lengths, np.int16),
    }


def save(out: Path, dimension: Dimension, weights: Weights) -> None:
    """Writes one weights file, arrays in order of name, so equal weights give equal bytes."""
    from safetensors.numpy import save_file

    arrays = {name: np.ascontiguousarray(weights[name]) for name in sorted(weights)}
    save_file(arrays, out / f"light-{dimension}.safetensors")
