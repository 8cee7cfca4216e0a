"""Fits the boosted trees of the quality scorer. Training only: needs lightgbm."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_core.scoring.light_features import F32

TREES = 350
SEEDS = (1, 2)
PAIR_WEIGHT = 0.3
PARAMETERS: dict[str, Any] = {
    "learning_rate": 0.05,
    "num_leaves": 31,
    "min_data_in_leaf": 100,
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


def fit_trees(values: F32, ratings: F32, compared: tuple[F32, F32]) -> dict[str, NDArray[Any]]:
    """The arrays of `Trees.from_nodes`, as they are stored, and centre and scale of the rating.

    values: (n, d) float32. ratings: (n, r) float32; the trees predict the standardised mean.
    One run per seed of SEEDS, averaged.
    Loss: squared error, plus PAIR_WEIGHT times the mean Bradley-Terry loss
    -ln sigmoid(better - worse) on `compared` answers, as in `light_fit.fit_mlp`.
    """
    import lightgbm

    mean = ratings.mean(axis=1).astype(np.float64)
    wanted = (mean - mean.mean()) / mean.std()
    better, worse = compared
    rows, pairs = len(values), len(better)
    each = PAIR_WEIGHT * rows / pairs / 2  # the gradient of the squared error is halved too

    def loss(guess: NDArray[np.float64], _: Any) -> tuple[Any, Any]:
        gradient, curvature = np.empty(len(guess)), np.ones(len(guess))
        gradient[:rows] = guess[:rows] - wanted
        doubt = 1 / (1 + np.exp(guess[rows : rows + pairs] - guess[rows + pairs :]))
        gradient[rows:] = np.concatenate([-each * doubt, each * doubt])
        curvature[rows:] = np.tile(np.maximum(each * doubt * (1 - doubt), 1e-3), 2)
        return gradient, curvature

    data = lightgbm.Dataset(
        np.concatenate([values, better, worse]),
        np.concatenate([wanted, np.zeros(2 * pairs)]),
    )
    structures = []
    for seed in SEEDS:
        model = lightgbm.train({**PARAMETERS, "seed": seed, "objective": loss}, data, TREES)
        structures += [tree["tree_structure"] for tree in model.dump_model()["tree_info"]]
    grown = flattened(structures)
    grown["number"][grown["feature"] < 0] /= len(SEEDS)  # a sum over both is twice the mean
    return grown | {"scaling": np.array([mean.mean(), mean.std()], np.float32)}


def flattened(structures: list[dict[str, Any]]) -> dict[str, NDArray[Any]]:
    """lightgbm's nested trees, breadth first, as `Trees.from_nodes` reads them."""
    feature: list[int] = []
    number: list[float] = []
    lengths: list[int] = []
    for structure in structures:
        waiting = [structure]
        for node in waiting:
            if "split_feature" in node:
                feature.append(node["split_feature"])
                number.append(node["threshold"])
                waiting += [node["left_child"], node["right_child"]]
            else:
                feature.append(-1)
                number.append(node["leaf_value"])
        lengths.append(len(waiting))
    return {
        "feature": np.array(feature, np.int16),
        "number": np.array(number, np.float32),
        "lengths": np.array(lengths, np.int16),
    }
