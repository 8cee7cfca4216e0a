"""The similarity graph against all pairs compared one by one."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.similarity import graph_build as module
from deita_core.similarity import screen
from deita_core.similarity.definition import pair_cosines
from deita_core.similarity.graph import SimilarityGraph
from deita_core.similarity.graph_build import build_graph
from tests.builders import crowded


def naive_pairs(vectors: NDArray[np.floating], floor: float) -> dict[tuple[int, int], float]:
    """Every pair of rows with a direction above the floor, and its similarity."""
    rows = [i for i, v in enumerate(vectors) if np.isfinite(v).all() and v.any()]
    pairs = [(a, b) for a in rows for b in rows if a < b]
    if not pairs:
        return {}
    one, other = np.array(pairs).T
    found = pair_cosines(vectors, one, other)
    return {p: s for p, s in zip(pairs, found.tolist(), strict=True) if s > floor}


def pairs_of(graph: SimilarityGraph) -> dict[tuple[int, int], float]:
    """The same, read off a graph."""
    members = [
        graph.member[graph.member_start[j] : graph.member_start[j + 1]].tolist()
        for j in range(graph.groups)
    ]
    found = {(a, b): 1.0 for group in members for a in group for b in group if a < b}
    found = found if graph.floor < 1 else {}
    for j in range(graph.groups):
        for edge in range(graph.start[j], graph.start[j + 1]):
            for a in members[j]:
                for b in members[graph.neighbour[edge]]:
                    if a < b:
                        found[a, b] = float(graph.similarity[edge])
    return found


@pytest.mark.usefixtures("either_screen")
@pytest.mark.parametrize("noise", [1.0, 0.3, 1e-3, 1e-6])
@pytest.mark.parametrize("floor", [0.5, -0.2, 0.97])
def test_the_graph_holds_the_pairs_above_the_floor_and_no_other(noise: float, floor: float) -> None:
    vectors = crowded(400, 48, noise)
    graph = build_graph(vectors, floor, most_pairs=10**6)
    assert graph.floor == graph.wanted_floor == floor
    assert pairs_of(graph) == naive_pairs(vectors, floor)


@settings(max_examples=80, deadline=None)
@given(st.data())
def test_pools_full_of_ties_copies_scaled_copies_and_empty_rows_are_exact(
    data: st.DataObject,
) -> None:
    n = data.draw(st.integers(0, 30))
    row = st.lists(st.integers(-2, 2), min_size=3, max_size=3)
    vectors = np.array(data.draw(st.lists(row, min_size=n, max_size=n)), np.float32).reshape(n, 3)
    vectors[data.draw(st.lists(st.integers(0, n - 1), max_size=2)) if n else []] = np.nan
    floor = data.draw(st.sampled_from([-1.0, -0.5, 0.0, 0.3, 0.9, 1.0]))
    most = data.draw(st.sampled_from([0, 3, 20, 1000]))
    graph = build_graph(vectors, floor, most_pairs=most)
    assert graph.pairs <= most
    assert graph.floor >= floor
    assert pairs_of(graph) == naive_pairs(vectors, graph.floor)


def test_edges_stand_both_ways_most_similar_first_and_ties_by_group() -> None:
    rng = np.random.default_rng(0)
    vectors = rng.integers(-1, 2, (200, 4)).astype(np.float32)
    graph = build_graph(vectors, -1.0, most_pairs=10**6)
    both = set()
    for j in range(graph.groups):
        part = slice(graph.start[j], graph.start[j + 1])
        keys = list(zip(-graph.similarity[part], graph.neighbour[part], strict=True))
        assert keys == sorted(keys)
        both |= {(j, int(other)) for other in graph.neighbour[part]}
    assert both == {(b, a) for a, b in both}
    assert len(both) == 2 * graph.pairs


def test_small_tiles_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = crowded(300, 16, 0.5)
    whole = build_graph(vectors, 0.4)
    monkeypatch.setattr(screen.Screen, "tile", 16)
    monkeypatch.setattr(module, "TILES_AT_ONCE", 2)
    small = build_graph(vectors, 0.4)
    for name in ("start", "neighbour", "similarity", "group", "member"):
        np.testing.assert_array_equal(getattr(whole, name), getattr(small, name))


def test_ten_thousand_copies_are_one_group_without_edges() -> None:
    vectors = np.concatenate([np.ones((10_000, 8)), np.eye(8)]).astype(np.float32)
    graph = build_graph(vectors, 0.9)
    assert graph.groups == 9
    assert graph.pairs == 0
    assert (graph.group[:10_000] == 0).all()
    assert graph.member[graph.member_start[0] : graph.member_start[1]].tolist() == [*range(10_000)]


def test_rows_without_a_direction_are_in_no_group() -> None:
    vectors = crowded(20, 4, 1.0)
    vectors[3], vectors[7], vectors[9] = 0, np.nan, np.inf
    graph = build_graph(vectors)
    assert np.flatnonzero(graph.group == -1).tolist() == [3, 7, 9]
    assert len(graph.member) == 17


def test_a_budget_of_edges_raises_the_floor_to_the_lowest_that_fits() -> None:
    vectors = crowded(500, 24, 0.8)
    graph = build_graph(vectors, 0.1, most_pairs=5_000, seed=3)
    assert graph.wanted_floor == 0.1
    assert graph.pairs <= 5_000
    below = round(graph.floor - 0.01, 2)
    assert len(naive_pairs(vectors, below)) > 5_000
    assert pairs_of(graph) == naive_pairs(vectors, graph.floor)


def test_a_wrong_estimate_is_put_right_while_building(monkeypatch: pytest.MonkeyPatch) -> None:
    vectors = crowded(500, 24, 0.8)
    expected = build_graph(vectors, 0.1, most_pairs=5_000)
    monkeypatch.setattr(module, "_likely_floor", lambda *_: 0.1)
    graph = build_graph(vectors, 0.1, most_pairs=5_000)
    assert graph.floor == expected.floor
    np.testing.assert_array_equal(graph.similarity, expected.similarity)


@pytest.mark.parametrize("dtype", [np.float16, np.float64])
def test_other_precisions_are_taken_as_they_are(dtype: type[np.floating]) -> None:
    vectors = crowded(200, 12, 0.4).astype(dtype)
    assert pairs_of(build_graph(vectors, 0.6)) == naive_pairs(vectors, 0.6)


def test_huge_and_tiny_rows_have_a_similarity() -> None:
    vectors = crowded(60, 6, 0.5).astype(np.float64)
    vectors[::3] *= 1e200
    vectors[1::3] *= 1e-200
    assert pairs_of(build_graph(vectors, 0.2)) == naive_pairs(vectors, 0.2)


def test_progress_counts_pairs_to_the_last() -> None:
    calls: list[tuple[int, int, int, float]] = []
    graph = build_graph(crowded(3000, 8, 1.0), progress=lambda *call: calls.append(call))
    counts = [done for done, *_ in calls]
    assert counts == sorted(counts)
    assert calls[-1] == (3000 * 2999 // 2, 3000 * 2999 // 2, graph.pairs, graph.floor)


def test_an_error_of_progress_stops_the_work() -> None:
    calls: list[int] = []

    def cancelled(done: int, total: int, pairs: int, floor: float) -> None:
        calls.append(done)
        if len(calls) == 2:
            raise KeyboardInterrupt

    before = threading.active_count()
    with pytest.raises(KeyboardInterrupt):
        build_graph(crowded(3000, 8, 1.0), progress=cancelled)
    assert len(calls) == 2
    assert threading.active_count() == before


@pytest.mark.parametrize("floor", [1.5, -2.0, float("nan")])
def test_a_floor_that_is_no_similarity_is_refused(floor: float) -> None:
    with pytest.raises(SelectionError, match="from -1 to 1, got"):
        build_graph(crowded(10, 4, 1.0), floor)


def test_a_negative_budget_is_refused() -> None:
    with pytest.raises(SelectionError, match="0 or more, got -1"):
        build_graph(crowded(10, 4, 1.0), most_pairs=-1)
