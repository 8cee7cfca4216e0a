"""The parts of the light scorers, each against the same thing written plainly."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from deita_core.scoring.light.features import (
    PAIR_FEATURES,
    TEXT_FEATURES,
    VOCABULARY,
    pair_features,
    shared_encoder,
    token_pairs,
)
from deita_core.scoring.light.heads import (
    RatingHead,
    Standardiser,
    Trees,
    perceptron,
    product,
    stored,
    term_counts,
    tfidf,
)
from deita_core.scoring.light.scorer import WEIGHTS
from deita_core.training.light_fit import TREE_PARAMETERS, flattened

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


def test_tfidf_matches_the_formula_written_out() -> None:
    encoded = shared_encoder().encode(["the cat and the dog", "a bird"])
    rng = np.random.default_rng(0)
    idf = rng.uniform(1, 5, term_counts(encoded).shape[1]).astype(np.float32)
    fast = tfidf(encoded, idf).toarray()
    counts = term_counts(encoded).toarray()
    for row in range(2):
        for part in (slice(0, VOCABULARY), slice(VOCABULARY, None)):
            seen = counts[row, part] > 0
            plain = np.where(seen, (1 + np.log(np.maximum(counts[row, part], 1))) * idf[part], 0)
            np.testing.assert_allclose(
                fast[row, part], plain / np.linalg.norm(plain), rtol=1e-5, atol=1e-7
            )


def test_mean_embedding_matches_a_loop_and_an_empty_text_is_zero() -> None:
    encoder = shared_encoder()
    encoded = encoder.encode(["two words", ""])
    ids = encoded.ids[encoded.starts[0] : encoded.starts[1]]
    plain = np.mean([encoder.embedding[i] for i in ids], axis=0)
    np.testing.assert_allclose(encoded.mean[0], plain, rtol=1e-4, atol=1e-6)
    assert not encoded.mean[1].any()


def test_token_pairs_never_cross_from_one_text_into_the_next() -> None:
    encoded = shared_encoder().encode(["one two three", "", "four"])
    rows, hashed = token_pairs(encoded, 1000)
    lengths = np.diff(encoded.starts)
    assert np.bincount(rows, minlength=3).tolist() == np.maximum(lengths - 1, 0).tolist()
    assert np.all((hashed >= 0) & (hashed < 1000))


def test_repetition_is_seen() -> None:
    encoded = shared_encoder().encode(["again " * 30, "every word here differs from others"])
    repeated = encoded.surface[:, TEXT_FEATURES.index("repeated token pairs")]
    assert repeated[0] > 0.8
    assert repeated[1] == 0


def test_pair_features_match_sets_of_tokens() -> None:
    a, b = (shared_encoder().encode([text]) for text in ("the red cat", "the cat sat"))
    set_a, set_b = set(a.ids.tolist()), set(b.ids.tolist())
    found = dict(zip(PAIR_FEATURES, pair_features(a, b)[0].tolist(), strict=True))
    assert found["shared tokens"] == len(set_a & set_b)
    assert math.isclose(
        found["response words from the instruction"], len(set_a & set_b) / len(set_b), rel_tol=1e-6
    )


def test_the_perceptron_matches_torch() -> None:
    torch = pytest.importorskip("torch")
    net = torch.nn.Sequential(
        *(torch.nn.Linear(5, 4), torch.nn.GELU("tanh"), torch.nn.Linear(4, 1))
    )
    layers = (net[0], net[2])
    ours = [(layer.weight.detach().numpy().T, layer.bias.detach().numpy()) for layer in layers]
    values = np.random.default_rng(1).normal(size=(7, 5)).astype(np.float32)
    theirs = net(torch.tensor(values)).detach().numpy()[:, 0]
    np.testing.assert_allclose(perceptron(ours, values), theirs, atol=1e-6)


def test_standardising_clips_what_was_never_seen() -> None:
    fitted = Standardiser.fit(np.array([[0, 5], [2, 5]], np.float32))
    assert fitted(np.array([[1e9, 7]], np.float32)).tolist() == [[4.0, pytest.approx(0, abs=1e-5)]]


def test_stored_token_weights_come_back_within_a_step_of_int8() -> None:
    weights = np.array([[0.5, -2.0], [0.1, 1.0]], np.float32)
    kept = stored({"x.token_weights": weights})
    back = kept["x.token_weights"] * kept["x.token_weights.scale"]
    assert np.abs(back - weights).max() <= 2.0 / 127 / 2 + 1e-6


def test_a_product_is_that_of_numpy_but_adds_up_in_one_order() -> None:
    rng = np.random.default_rng(3)
    left, right = rng.normal(size=(9, 70)), rng.normal(size=(70, 5))
    values, weights = left.astype(np.float32), right.astype(np.float32)
    whole = product(values, weights)
    np.testing.assert_allclose(whole, values.astype(float) @ weights, rtol=1e-4, atol=1e-5)
    assert whole.tobytes() == b"".join(product(row[None], weights).tobytes() for row in values)


def grown(*structures: dict[str, Any]) -> Trees:
    arrays = flattened(list(structures))
    return Trees(arrays["feature"], arrays["number"], arrays["lengths"])


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
    assert RatingHead(quality, 2).trees is not None
    assert RatingHead(complexity, 1).trees is None
