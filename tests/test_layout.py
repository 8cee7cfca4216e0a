"""The layout: its curve, its independence of threads, and what it does to edges."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse
from scipy.sparse import csr_matrix

from deita_core.map import projection as layout
from deita_core.map.projection import curve, epochs_for, lay_out


def ring(n: int) -> tuple[csr_matrix, NDArray[np.float32]]:
    """A graph that joins each point with the next, and random places for the points."""
    at = np.arange(n)
    ends = np.concatenate([at, (at + 1) % n]), np.concatenate([(at + 1) % n, at])
    places = np.random.default_rng(0).uniform(0, 10, (n, 2)).astype(np.float32)
    return csr_matrix((np.ones(2 * n, dtype=np.float32), ends), (n, n)), places


def test_joined_points_end_up_near_each_other() -> None:
    graph, places = ring(60)
    found = lay_out(graph, places, min_dist=0.1, seed=0)
    joined = np.linalg.norm(found - np.roll(found, 1, axis=0), axis=1)
    others = np.linalg.norm(found - np.roll(found, 30, axis=0), axis=1)
    assert np.median(joined) < 0.2 * np.median(others)


def test_the_number_of_threads_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, places = ring(90)
    alone = lay_out(graph, places, min_dist=0.1, seed=5)
    monkeypatch.setattr(layout, "POINTS_PER_THREAD", 10)
    monkeypatch.setattr(layout, "cpu_threads", lambda: 7)
    np.testing.assert_array_equal(alone, lay_out(graph, places, min_dist=0.1, seed=5))


def test_the_start_is_left_as_it_was() -> None:
    graph, places = ring(10)
    before = places.copy()
    lay_out(graph, places, min_dist=0.1, seed=0)
    np.testing.assert_array_equal(places, before)


def test_the_curve_is_the_known_one_for_the_usual_distance() -> None:
    # The values that umap-learn prints for spread 1 and min_dist 0.1.
    np.testing.assert_allclose(curve(0.1), (1.5769, 0.8951), atol=2e-3)


def test_points_pack_tighter_with_a_smaller_distance() -> None:
    graph, places = ring(60)
    gaps = []
    for min_dist in (0.0, 0.9):
        found = lay_out(graph, places, min_dist=min_dist, seed=0)
        gaps.append(np.median(np.linalg.norm(found - np.roll(found, 1, axis=0), axis=1)))
    assert gaps[0] < gaps[1]


def test_large_maps_take_fewer_epochs() -> None:
    assert [epochs_for(n) for n in (10_000, 52_002, 300_000)] == [500, 200, 100]


def test_the_order_of_the_rows_does_not_drag_the_map() -> None:
    """A chain in the order of the rows: its middle stays where it was, whatever its ends do."""
    n = 400
    near = sparse.diags_array([1.0] * 8, offsets=[-4, -3, -2, -1, 1, 2, 3, 4], shape=(n, n))
    across = np.linspace(0, 10, n, dtype=np.float32)
    places = np.stack([across, np.full(n, 5, np.float32)], axis=1)
    places += np.random.default_rng(0).normal(scale=0.1, size=places.shape).astype(np.float32)
    laid = lay_out(sparse.csr_matrix(near, dtype=np.float32), places, min_dist=0.1, seed=1)
    moved = np.abs(laid.mean(axis=0) - places.mean(axis=0))
    assert moved.max() < 0.2 * (laid.max(axis=0) - laid.min(axis=0)).max()
