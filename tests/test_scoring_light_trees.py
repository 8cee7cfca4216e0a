"""Boosted trees: the flat form against walking each tree, and against lightgbm."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from deita_core.scoring.light.fit import TREE_PARAMETERS, flattened
from deita_core.scoring.light.heads import RatingHead, Trees, stored
from deita_core.scoring.light.scorer import WEIGHTS

STUMP = {
    "split_feature": 1,
    "threshold": 0.5,
    "left_child": {"leaf_value": -1.0},
    "right_child": {
        "split_feature": 0,
        "threshold": 2.0,
        "left_child": {"leaf_value": 3.0},
        "right_child": {"leaf_value": 4.0},
    },
}
SINGLE_LEAF = {"leaf_value": 10.0}


def grown(*structures: dict[str, Any]) -> Trees:
    arrays = flattened(list(structures))
    return Trees.from_nodes(arrays["feature"], arrays["number"], arrays["lengths"])


def walked(node: dict[str, Any], row: np.ndarray) -> float:
    while "split_feature" in node:
        goes_left = row[node["split_feature"]] <= node["threshold"]
        node = node["left_child"] if goes_left else node["right_child"]
    return float(node["leaf_value"])


def test_flat_trees_match_walking_each_tree() -> None:
    rows = np.array([[0, 0], [2, 0.5], [2, 0.6], [2.1, 9], [-5, 1]], np.float32)
    structures = (STUMP, SINGLE_LEAF, STUMP["right_child"], STUMP)
    plain = [sum(walked(s, row) for s in structures) for row in rows]
    assert grown(*structures)(rows).tolist() == plain


def test_a_value_on_the_threshold_goes_left() -> None:
    assert grown(STUMP)(np.array([[9, 0.5]], np.float32)).tolist() == [-1.0]


def test_no_rows_give_no_numbers() -> None:
    assert grown(STUMP)(np.zeros((0, 2), np.float32)).shape == (0,)


def test_trees_are_kept_unrounded_in_the_file() -> None:
    number = np.array([0.123456789], np.float32)
    assert stored({"rating.trees.number": number})["rating.trees.number"][0] == number[0]


def test_flat_trees_match_lightgbm() -> None:
    lightgbm = pytest.importorskip("lightgbm")
    values = np.random.default_rng(0).normal(size=(800, 6)).astype(np.float32)
    asked = TREE_PARAMETERS | {"boost_from_average": False, "objective": "l2"}
    data = lightgbm.Dataset(values, values[:, 0] * values[:, 1])
    model = lightgbm.train(asked, data, 20)
    ours = grown(*(tree["tree_structure"] for tree in model.dump_model()["tree_info"]))
    np.testing.assert_allclose(ours(values), model.predict(values), atol=1e-5)


def test_the_shipped_quality_head_has_trees_and_that_of_complexity_has_none() -> None:
    quality, complexity = (
        load_file(WEIGHTS / f"light-{dimension}.safetensors")
        for dimension in ("quality", "complexity")
    )
    assert RatingHead.from_arrays(quality, 2).trees is not None
    assert RatingHead.from_arrays(complexity, 1).trees is None
