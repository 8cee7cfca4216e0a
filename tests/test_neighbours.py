"""Nearest neighbours against the plain float64 matrix."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.similarity import neighbours as module
from deita_core.similarity.definition import cosines
from deita_core.similarity.graph_build import build_graph
from deita_core.similarity.neighbours import nearest_neighbours, similar_rows
from tests.builders import crowded


def naive(vectors: NDArray[np.float32], k: int) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    rows = np.arange(len(vectors))
    similarities = cosines(vectors, rows, rows).astype(np.float32)
    np.fill_diagonal(similarities, -np.inf)
    order = np.argsort(-similarities, axis=1, kind="stable")[:, :k]
    return order, np.take_along_axis(similarities, order, axis=1)


def assert_exact(vectors: NDArray[np.float32], k: int) -> None:
    indices, similarities = naive(vectors, k)
    for floor in (None, -1.0, 0.5, 0.99):
        graph = None if floor is None else build_graph(vectors, floor)
        found = nearest_neighbours(vectors, k, graph=graph)
        assert found.indices.dtype == np.int32
        assert found.similarities.dtype == np.float32
        np.testing.assert_array_equal(found.indices, indices)
        np.testing.assert_array_equal(found.similarities, similarities)


@pytest.mark.usefixtures("either_screen")
@pytest.mark.parametrize("noise", [3.0, 0.3, 1e-3, 1e-6])
def test_neighbours_are_those_of_the_full_matrix(noise: float) -> None:
    assert_exact(crowded(1500, 64, noise), 15)


@pytest.mark.usefixtures("either_screen")
def test_copies_are_neighbours_in_order_of_index() -> None:
    vectors = crowded(900, 32, 0.5)
    vectors[np.random.default_rng(1).integers(0, 900, 500)] = vectors[7]
    vectors[100:140] = vectors[200:240]
    assert_exact(vectors, 10)


def test_ten_thousand_copies_of_a_row_do_not_break_it() -> None:
    vectors = np.concatenate([np.ones((10_000, 16)), -np.eye(16)]).astype(np.float32)
    found = nearest_neighbours(vectors, 5)
    assert found.indices[9_999].tolist() == [0, 1, 2, 3, 4]
    assert found.indices[2].tolist() == [0, 1, 3, 4, 5]
    assert found.similarities[:10_000].min() == 1


def test_identical_rows_alone_have_each_other() -> None:
    assert_exact(np.full((6, 3), 2.0, dtype=np.float32), 5)


@pytest.mark.parametrize("n", [2, 3, 4])
def test_the_smallest_pools_work(n: int) -> None:
    assert_exact(crowded(n, 5, 1.0), n - 1)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_small_whole_numbers_full_of_ties_and_copies_are_exact(data: st.DataObject) -> None:
    n = data.draw(st.integers(2, 40))
    row = st.lists(st.integers(-1, 1), min_size=3, max_size=3).filter(any)
    vectors = np.array(data.draw(st.lists(row, min_size=n, max_size=n)), dtype=np.float32)
    assert_exact(vectors, data.draw(st.integers(1, n - 1)))


def test_small_blocks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "SCREEN_CELLS", 1)
    assert_exact(crowded(300, 16, 1e-4), 7)


def test_progress_ends_with_every_distinct_row() -> None:
    seen: list[tuple[int, int]] = []
    vectors = np.concatenate([crowded(50, 8, 1.0)] * 2)
    nearest_neighbours(vectors, 3, progress=lambda done, of: seen.append((done, of)))
    assert seen[-1] == (50, 50)


@pytest.mark.parametrize("value", [np.nan, np.inf, 0.0])
def test_a_row_without_direction_is_refused_by_number(value: float) -> None:
    vectors = crowded(10, 4, 1.0)
    vectors[6] = value
    with pytest.raises(SelectionError, match=r"row 6 of the embeddings .*\(1 such rows of 10\)"):
        nearest_neighbours(vectors, 3)


@pytest.mark.parametrize("k", [0, 10, -1])
def test_k_must_leave_enough_other_rows(k: int) -> None:
    with pytest.raises(SelectionError, match=f"other rows, 9, got {k}"):
        nearest_neighbours(crowded(10, 4, 1.0), k)


def test_a_flat_array_is_refused() -> None:
    with pytest.raises(SelectionError, match=r"\(n, d\), got \(7,\)"):
        nearest_neighbours(np.ones(7, dtype=np.float32), 3)


def test_a_graph_of_other_vectors_is_refused() -> None:
    graph = build_graph(crowded(9, 4, 1.0))
    with pytest.raises(SelectionError, match=r"9 places, 9 of them .* 10 vectors: build it again"):
        nearest_neighbours(crowded(10, 4, 1.0), 3, graph=graph)


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_rows_like_one_row_are_the_most_similar_ones(data: st.DataObject) -> None:
    n = data.draw(st.integers(1, 30))
    row = st.lists(st.integers(-2, 2), min_size=3, max_size=3)
    vectors = np.array(data.draw(st.lists(row, min_size=n, max_size=n)), dtype=np.float32)
    asked, k = data.draw(st.integers(0, n - 1)), data.draw(st.integers(1, 12))
    good = np.flatnonzero(vectors.any(axis=1) & (np.arange(n) != asked))
    if not vectors[asked].any():
        good = good[:0]
    similarity = cosines(vectors, np.array([asked]), good)[0] if len(good) else np.empty(0)
    order = np.lexsort((good, -similarity))[:k]
    for graph in (None, build_graph(vectors, 0.4)):
        places, found = similar_rows(vectors, asked, k, graph=graph)
        assert places.tolist() == good[order].tolist()
        np.testing.assert_allclose(found, similarity[order], atol=2e-12)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_rows_like_one_row_in_other_precisions(dtype: type[np.floating]) -> None:
    vectors = crowded(500, 16, 0.5).astype(dtype)
    places, similarity = similar_rows(vectors, 7, 5)
    expected = cosines(vectors, np.array([7]), np.arange(500))[0]
    expected[7] = -2
    assert places.tolist() == np.argsort(-expected, kind="stable")[:5].tolist()
    np.testing.assert_allclose(similarity, expected[places], atol=2e-12)


@pytest.mark.parametrize(("row", "k", "message"), [(10, 1, "from 0 to 9, got 10"), (3, 0, "got 0")])
def test_arguments_of_similar_rows_out_of_range_are_refused(row: int, k: int, message: str) -> None:
    with pytest.raises(SelectionError, match=message):
        similar_rows(crowded(10, 4, 1.0), row, k)
