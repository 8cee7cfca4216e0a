"""Clusters by direction."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.map.clusters import cluster, default_clusters


def parted(n: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """(n, 16) float32 in five well parted directions of unequal size, and which one."""
    rng = np.random.default_rng(seed)
    of = rng.choice(5, n, p=[0.4, 0.3, 0.15, 0.1, 0.05])
    rows = np.eye(5, 16)[of] + 0.1 * rng.normal(size=(n, 16))
    return (rows * rng.uniform(0.1, 10, (n, 1))).astype(np.float32), of


def test_well_parted_directions_are_found_the_largest_first() -> None:
    vectors, of = parted(3000)
    labels = cluster(vectors, 5)
    np.testing.assert_array_equal(labels, of)


def test_the_same_seed_gives_the_same_clusters_and_another_may_not() -> None:
    vectors = np.random.default_rng(0).normal(size=(500, 8)).astype(np.float32)
    first = cluster(vectors, 9, seed=1)
    np.testing.assert_array_equal(first, cluster(vectors, 9, seed=1))
    assert not np.array_equal(first, cluster(vectors, 9, seed=2))


def test_every_row_lies_nearer_to_its_own_centre_than_most_rows_do() -> None:
    vectors = np.random.default_rng(0).normal(size=(2000, 6))
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    labels = cluster(vectors, 12)
    centres = np.array([unit[labels == c].mean(axis=0) for c in range(12)])
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    assert ((unit @ centres.T).argmax(axis=1) == labels).mean() > 0.9


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_labels_are_dense_by_size_whatever_the_rows(data: st.DataObject) -> None:
    n = data.draw(st.integers(0, 25))
    row = st.lists(st.integers(-1, 1), min_size=2, max_size=2)
    vectors = np.array(data.draw(st.lists(row, min_size=n, max_size=n)), np.float32).reshape(n, 2)
    k = data.draw(st.integers(1, 8))
    labels = cluster(vectors, k)
    assert ((labels == -1) == ~vectors.any(axis=1)).all()
    sizes = np.bincount(labels[labels >= 0])
    assert len(sizes) <= k
    assert (sizes > 0).all()
    assert (np.diff(sizes) <= 0).all()


def test_rows_without_a_direction_are_in_no_cluster() -> None:
    vectors, _ = parted(50)
    vectors[3], vectors[8] = np.nan, 0
    assert np.flatnonzero(cluster(vectors, 4) == -1).tolist() == [3, 8]


@pytest.mark.parametrize(("rows", "expected"), [(0, 1), (1, 1), (200, 10), (10**7, 256)])
def test_the_default_number_grows_with_the_rows(rows: int, expected: int) -> None:
    assert default_clusters(rows) == expected


def test_no_clusters_are_refused() -> None:
    with pytest.raises(SelectionError, match="at least 1, got 0"):
        cluster(parted(10)[0], 0)
