"""Facility location: lazily greedy, the same rows as the plain greedy loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings

from deita_core.errors import SelectionError
from deita_core.selection.candidates import Candidates, Limits
from deita_core.selection.strategies.coverage import FACILITY_LOCATION
from tests.candidate_pools import (
    NaiveRoom,
    changed,
    made,
    pools,
    run,
    similarities,
)
from tests.naive_graph import naive_graph


def naive_facility_location(candidates: Candidates, limits: Limits) -> list[int]:
    room, near = NaiveRoom(candidates, limits), similarities(candidates)
    near = np.where(near > limits.threshold, np.maximum(near, 0.0), 0.0)
    group = candidates.table.graph.group
    near[group[:, None] == group[None, :]] = 1.0
    near = near[:, candidates.eligible]
    order = candidates.best_first().tolist()
    left = [row for row in order if row not in room.rows]
    if room.is_enough():
        return room.take_in_order(left)
    while left:
        covered = near[room.rows].max(axis=0, initial=0.0)
        gains = [round(float(np.maximum(near[r] - covered, 0).sum()), 9) for r in left]
        if room.take(left.pop(int(np.argmax(gains)))) is None:
            break
    return room.rows


@given(pools(with_graph=True))
@settings(deadline=None)
def test_it_selects_what_the_plain_loop_selects(pool):
    trace = run(FACILITY_LOCATION, *pool)
    assert trace.kept.tolist() == naive_facility_location(*pool)


def test_the_floor_of_the_graph_does_not_change_the_rows():
    vectors = np.random.default_rng(1).normal(size=(80, 5)).astype(np.float32)
    limits = Limits(0.3, 20)
    pool = made(vectors, np.ones(80), limits, graph=naive_graph(vectors, 0.1))
    lower = changed(pool, graph=naive_graph(vectors, -1.0))
    one, other = (run(FACILITY_LOCATION, c, limits).kept for c in (pool, lower))
    assert one.tolist() == other.tolist()


def test_the_first_row_stands_for_the_largest_crowd():
    vectors = np.array([[1, 0], [0, 1], [0.1, 1], [-0.1, 1]], np.float32)
    limits = Limits(0.5, 2)
    pool = made(vectors, np.array([9.0, 1, 1, 1]), limits, graph=naive_graph(vectors, 0))
    assert run(FACILITY_LOCATION, pool, limits).kept.tolist() == [1, 0]


@pytest.mark.parametrize(("floor", "remedy"), [(None, "make it first"), (0.8, "raise it to 0.8")])
def test_without_a_graph_that_serves_it_names_the_remedy(floor, remedy):
    vectors = np.eye(3, dtype=np.float32)
    graph = None if floor is None else naive_graph(vectors, floor)
    limits = Limits(0.5, 1)
    pool = made(vectors, np.ones(3), limits, graph=graph)
    with pytest.raises(SelectionError, match=remedy):
        run(FACILITY_LOCATION, pool, limits)
