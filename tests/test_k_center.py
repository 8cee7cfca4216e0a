"""K-center greedy: farthest first, as the plain loop chooses."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from deita_core.progress import finish
from deita_core.selection import status as st
from deita_core.selection.candidates import Candidates, Limits
from deita_core.selection.strategies.coverage import K_CENTER, farthest_steps
from deita_core.similarity.definition import cosines
from tests.candidate_pools import (
    NaiveRoom,
    pools,
    run,
    similarities,
)


def naive_k_center(candidates: Candidates, limits: Limits) -> list[int]:
    room, near = NaiveRoom(candidates, limits), similarities(candidates)
    left = [row for row in candidates.best_first().tolist() if row not in room.rows]
    if room.is_enough():
        return room.take_in_order(left)
    while left:
        row = left[0]
        if room.rows:
            row = min(left, key=lambda r: (near[r, room.rows].max(), r))
        left.remove(row)
        if room.take(row) is None:
            break
    return room.rows


@given(pools())
@settings(deadline=None)
def test_it_selects_what_the_plain_loop_selects(pool):
    trace = run(K_CENTER, *pool)
    assert trace.kept.tolist() == naive_k_center(*pool)


@given(pools())
@settings(deadline=None)
def test_every_candidate_has_an_honest_status(pool):
    candidates, limits = pool
    trace = run(K_CENTER, candidates, limits)
    kept = np.isin(np.arange(len(candidates.eligible)), trace.kept)
    assert (np.isin(trace.status, (st.KEPT, st.PINNED)) == kept).all()
    out = candidates.eligible & ~kept
    assert np.isin(trace.status[out], (st.BELOW_CUT, st.OVER_QUOTA)).all()
    assert (trace.rank[kept] > 0).all()


def naive_farthest(vectors, rows, centres, count):
    centres, rows = list(centres), list(rows)
    chosen = []
    while rows and len(chosen) < count:
        near = cosines(vectors, np.array(rows), np.array(centres)).max(axis=1)
        chosen.append(rows.pop(int(near.argmin())))
        centres.append(chosen[-1])
    return chosen


def take(count):
    left = [True] * count
    return lambda row: left.pop() if left else None


@given(some.integers(0, 2**32), some.integers(1, 9), some.sampled_from((1.0, 1e-20, 1e18)))
@settings(deadline=None)
def test_small_batches_of_rows_give_the_same_order(seed, active, scale):
    draw = np.random.default_rng(seed)
    vectors = draw.normal(size=(60, 4)).round(0) + 0.1
    vectors = (vectors * scale).astype(np.float32)
    rows = np.arange(2, 60)
    found = finish(farthest_steps(vectors, rows, np.array([1, 0]), take(40), active=active))
    assert found.tolist() == naive_farthest(vectors, rows, [1, 0], 40)


@pytest.mark.parametrize("kind", [np.float32, np.float64, np.float16])
def test_near_ties_are_settled_by_the_definition(kind):
    draw = np.random.default_rng(3)
    vectors = (draw.normal(size=64) + draw.normal(size=(300, 64)) * 1e-3).astype(kind)
    rows = np.arange(1, 300)
    found = finish(farthest_steps(vectors, rows, np.array([0]), take(100), active=32))
    assert found.tolist() == naive_farthest(vectors, rows, [0], 100)


def test_ten_thousand_copies_come_after_what_differs():
    vectors = np.ones((10_000, 2), np.float32)
    vectors[7000], vectors[9000] = (1, 0), (0, 1)
    found = finish(farthest_steps(vectors, np.arange(1, 10_000), np.array([0]), take(4)))
    assert found.tolist() == [7000, 9000, 1, 2]
