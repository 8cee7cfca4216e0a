"""The profile of a pool's similarities against plain counting."""

from __future__ import annotations

import numpy as np
import pytest

from deita_core.selection import SelectionRule, threshold_to_distance
from deita_core.selection.analysis.profile import SimilarityProfile, similarity_profile
from deita_core.selection.rule import PRESETS, find_preset
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
def profile(vectors) -> SimilarityProfile:
    return similarity_profile(naive_graph(vectors, FLOOR))


def test_shares_above_a_threshold_are_counted_row_by_row(profile, nearest):
    for threshold in (FLOOR, 0.5, 0.7, 0.9, 1.0):
        assert profile.share_above(threshold) == pytest.approx((nearest > threshold).mean())


def test_quantiles_are_those_of_the_sorted_rows(profile, nearest):
    ordered = np.sort(nearest)
    for share in (0.1, 0.25, 0.5, 0.8, 1.0):
        place = int(np.ceil(share * 60)) - 1
        assert profile.quantile(share) == pytest.approx(ordered[place])


def test_the_histogram_has_every_row_once(profile, nearest):
    got = profile.histogram(0.05)
    assert got.below + got.rows.sum() == profile.total == 60
    assert (got.copies, got.below) == (20, np.count_nonzero(nearest == FLOOR))
    for low, high, rows in zip(got.edges, got.edges[1:], got.rows, strict=False):
        assert rows == np.count_nonzero((nearest > low) & (nearest <= high))


def test_the_bins_end_at_one_and_begin_at_the_floor(profile):
    edges = profile.histogram(0.2).edges
    assert edges.tolist() == [0.3, 0.4, 0.6, 0.8, 1.0]


def test_the_suggestion_is_nearest_to_a_quarter_of_the_distinct_rows(profile):
    got = profile.suggest()
    assert got.threshold == round(got.threshold, 2)
    assert got.share == np.mean(profile.distinct > got.threshold)
    assert abs(got.share - 0.25) < 0.1
    assert f"{got.share:.0%} of the distinct rows" in got.reason


def test_crowded_rows_get_a_threshold_with_more_decimals():
    crowded = np.ones((200, 16)) + 0.03 * np.random.default_rng(1).normal(size=(200, 16))
    got = similarity_profile(naive_graph(crowded.astype(np.float32), 0.9)).suggest()
    assert 0.99 < got.threshold < 1.0
    assert abs(got.share - 0.25) < 0.05


def test_a_pool_without_near_rows_starts_at_the_floor():
    got = similarity_profile(naive_graph(np.eye(8, dtype=np.float32), 0.5)).suggest()
    assert (got.threshold, got.share) == (0.5, 0.0)
    assert "the lowest that the similarity graph knows" in got.reason


def test_presets_spell_out_their_conversion():
    for preset in PRESETS:
        rule = SelectionRule(strategy=preset.strategy, threshold=preset.threshold)
        assert f"{threshold_to_distance(rule.threshold):g}" in preset.explanation
        assert find_preset(rule.strategy, rule.threshold) == preset
    assert find_preset("repr_filter", 0.85) is None
