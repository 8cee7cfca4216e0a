"""Facility location and QDIT: lazily greedy, the same rows as the plain greedy loop."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from deita_core.errors import SelectionError
from deita_core.selection.candidates import Candidates, Limits
from deita_core.selection.strategies.coverage import FACILITY_LOCATION, QDIT, scaled_scores
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


def naive_qdit(candidates: Candidates, limits: Limits) -> list[int]:
    room, near = NaiveRoom(candidates, limits), similarities(candidates)
    near = np.where(near > limits.threshold, np.maximum(near, 0.0), 0.0)
    group = candidates.table.graph.group
    near[group[:, None] == group[None, :]] = 1.0
    near, worth = near[:, candidates.eligible], scaled_scores(candidates)
    left = [row for row in candidates.best_first().tolist() if row not in room.rows]
    if room.is_enough():
        return room.take_in_order(left)
    while left:
        covered = near[room.rows].max(axis=0, initial=0.0)
        gains = [round(float(np.maximum(near[r] - covered, 0).sum()), 9) for r in left]
        values = [(1 - 0.7) * g + 0.7 * worth[r] for g, r in zip(gains, left, strict=True)]
        if room.take(left.pop(int(np.argmax(values)))) is None:
            break
    return room.rows


@given(pools(with_graph=True))
@settings(deadline=None)
def test_qdit_selects_what_its_plain_loop_selects(pool):
    assert run(QDIT, *pool).kept.tolist() == naive_qdit(*pool)


def test_qdit_prefers_a_much_better_row_to_one_of_a_larger_crowd():
    vectors = np.array([[1, 0], [0, 1], [0.1, 1], [-0.1, 1]], np.float32)
    limits = Limits(0.999, 1)
    pool = made(vectors, np.array([9.0, 1, 1, 1]), limits, graph=naive_graph(vectors, 0))
    assert run(QDIT, pool, limits).kept.tolist() == [0]


def test_scores_are_scaled_between_the_candidates_lowest_and_highest():
    limits = Limits(0.5, 1)
    pool = made(np.eye(4, dtype=np.float32), np.array([2.0, 6, 4, 100]), limits)
    pool = replace(pool, eligible=np.array([True, True, True, False]))
    assert scaled_scores(pool)[:3].tolist() == [0.0, 1.0, 0.5]
