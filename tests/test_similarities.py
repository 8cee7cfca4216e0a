"""Similarities to the nearest other row, over a pool, against plain counting."""

from __future__ import annotations

import numpy as np
import pytest

from deita_core.selection import SelectionRule
from deita_core.selection.analysis.similarities import NearestSimilarities, nearest_similarities
from deita_core.selection.rule import PRESETS, threshold_to_distance
from tests.naive_graph import naive_graph

FLOOR = 0.3


@pytest.fixture(scope="module")
def vectors() -> np.ndarray:
    """60 rows, the last ten copies of the first ten."""
    vectors = np.random.default_rng(3).normal(size=(60, 6)).astype(np.float32)
    vectors[50:] = vectors[:10]
    return vectors


@pytest.fixture(scope="module")
def nearest(vectors) -> np.ndarray:
    """Each row's similarity to its nearest other row, the floor where it is less."""
    units = vectors.astype(np.float64)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    similar = np.round(units @ units.T, 12)
    np.fill_diagonal(similar, -1)
    return np.maximum(similar.max(axis=1), FLOOR)


@pytest.fixture(scope="module")
def known(vectors) -> NearestSimilarities:
    return nearest_similarities(naive_graph(vectors, FLOOR))


def test_shares_above_a_threshold_are_counted_row_by_row(known, nearest):
    for threshold in (FLOOR, 0.5, 0.7, 0.9, 1.0):
        assert known.share_above(threshold) == pytest.approx((nearest > threshold).mean())


def test_the_histogram_has_every_row_once(known, nearest):
    counts, edges = known.histogram(0.05)
    assert counts.sum() + np.count_nonzero(nearest == FLOOR) == 60
    for low, high, rows in zip(edges, edges[1:], counts, strict=False):
        assert rows == np.count_nonzero((nearest > low) & (nearest <= high))


def test_the_bins_end_at_one_and_begin_at_the_floor(known):
    _, edges = known.histogram(0.2)
    assert edges.tolist() == [0.3, 0.4, 0.6, 0.8, 1.0]


def test_the_suggestion_is_nearest_to_a_quarter_of_the_distinct_rows(known):
    got = known.suggest()
    assert got.threshold == round(got.threshold, 2)
    assert got.share == np.mean(known.distinct > got.threshold)
    assert abs(got.share - 0.25) < 0.1
    assert f"{got.share:.0%} of the distinct rows" in got.reason


def test_crowded_rows_get_a_threshold_with_more_decimals():
    crowded = np.ones((200, 16)) + 0.03 * np.random.default_rng(1).normal(size=(200, 16))
    got = nearest_similarities(naive_graph(crowded.astype(np.float32), 0.9)).suggest()
    assert 0.99 < got.threshold < 1.0
    assert abs(got.share - 0.25) < 0.05


def test_a_pool_without_near_rows_starts_at_the_floor():
    got = nearest_similarities(naive_graph(np.eye(8, dtype=np.float32), 0.5)).suggest()
    assert (got.threshold, got.share) == (0.5, 0.0)
    assert "the lowest that the similarity graph knows" in got.reason


def test_presets_spell_out_their_conversion():
    for preset in PRESETS:
        rule = SelectionRule(strategy=preset.strategy, threshold=preset.threshold)
        assert f"{threshold_to_distance(rule.threshold):g}" in preset.explanation
