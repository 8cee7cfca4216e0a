"""SemDeDup, NeMo Curator's and distilabel's conventions against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from deita_core.errors import SelectionError
from deita_core.selection import status as st
from deita_core.selection.candidates import Candidates, Limits
from deita_core.selection.strategies.deduplication import (
    DISTILABEL,
    NEMO_CURATOR,
    SEMDEDUP,
)
from tests.candidate_pools import (
    NaiveRoom,
    changed,
    column,
    made,
    pins_of,
    pools,
    run,
    similarities,
)
from tests.naive_graph import naive_graph

STRATEGIES = (SEMDEDUP, NEMO_CURATOR, DISTILABEL)


def best_without(candidates: Candidates, limits: Limits, dropped: set[int]) -> list[int]:
    order = [row for row in candidates.best_first().tolist() if row not in dropped]
    return NaiveRoom(candidates, limits).take_in_order(order)


def naive_clusters(candidates: Candidates, *, last_on_ties: bool) -> list[list[int]]:
    vectors, clusters = candidates.table.vectors, column(candidates, "cluster")
    units = vectors / np.linalg.norm(vectors.astype(float), axis=1)[:, None]
    pins, lists = pins_of(candidates), []
    for cluster in range(3):
        centre = units[clusters == cluster].sum(axis=0)
        length = np.linalg.norm(centre)
        near = np.round(units @ (centre / length if length > 1e-9 else centre * 0), 12)
        rows = np.flatnonzero(candidates.eligible & (clusters == cluster)).tolist()
        sign = -1 if last_on_ties else 1
        lists.append(sorted(rows, key=lambda r: (r not in pins, near[r], sign * r)))
    return lists


def naive_semdedup(candidates: Candidates, limits: Limits) -> list[int]:
    near, dropped = similarities(candidates), set()
    for rows in naive_clusters(candidates, last_on_ties=False):
        upper = np.triu(near[np.ix_(rows, rows)], 1) - 2 * np.tri(len(rows))
        over = upper.max(axis=0, initial=-2) > limits.threshold
        dropped |= {row for row, out in zip(rows, over, strict=True) if out}
    return best_without(candidates, limits, dropped - set(pins_of(candidates)))


def naive_nemo_curator(candidates: Candidates, limits: Limits) -> list[int]:
    near, dropped = similarities(candidates), set()
    for rows in naive_clusters(candidates, last_on_ties=True):
        for place, row in enumerate(rows):
            if any(near[row, earlier] >= limits.threshold for earlier in rows[:place]):
                dropped.add(row)
    return best_without(candidates, limits, dropped - set(pins_of(candidates)))


def naive_distilabel(candidates: Candidates, limits: Limits) -> list[int]:
    near = similarities(candidates)
    near[np.diag_indices(len(near))] = -2
    near[:, ~candidates.eligible] = -2
    distance_kept = near.max(axis=1) <= limits.threshold  # distance >= 1 - threshold
    dropped = set(np.flatnonzero(~distance_kept).tolist()) - set(pins_of(candidates))
    return best_without(candidates, limits, dropped)


@given(pools())
@settings(deadline=None)
def test_semdedup_selects_what_the_papers_pseudo_code_selects(pool):
    if (column(pool[0], "cluster") >= 0).any():
        assert run(SEMDEDUP, *pool).kept.tolist() == naive_semdedup(*pool)


@given(pools())
@settings(deadline=None)
def test_nemo_curator_selects_what_a_plain_loop_selects(pool):
    if (column(pool[0], "cluster") >= 0).any():
        assert run(NEMO_CURATOR, *pool).kept.tolist() == naive_nemo_curator(*pool)


@given(pools())
@settings(deadline=None)
def test_distilabel_selects_what_a_plain_loop_selects(pool):
    assert run(DISTILABEL, *pool).kept.tolist() == naive_distilabel(*pool)


@given(pools(with_graph=True), some.sampled_from((-1.0, 0.3, 0.8)))
@settings(deadline=None)
def test_the_trace_is_the_same_with_and_without_a_graph(pool, floor):
    cluster = np.maximum(column(pool[0], "cluster"), 0)
    candidates = changed(pool[0], graph=naive_graph(pool[0].table.vectors, floor), cluster=cluster)
    for strategy in STRATEGIES:
        one = run(strategy, candidates, pool[1])
        other = run(strategy, changed(candidates, graph=None), pool[1])
        assert one.kept.tolist() == other.kept.tolist()
        assert one.status.tolist() == other.status.tolist()
        assert one.blocker.tolist() == other.blocker.tolist()
        assert np.array_equal(one.similarity, other.similarity, equal_nan=True)


@given(pools())
@settings(deadline=None)
def test_every_near_duplicate_names_its_twin_and_has_no_rank(pool):
    candidates, limits = (
        changed(pool[0], cluster=np.zeros(len(pool[0].eligible), np.int32)),
        pool[1],
    )
    near = similarities(candidates)
    for strategy in STRATEGIES:
        trace = run(strategy, candidates, limits)
        out = np.flatnonzero(trace.status == st.NEAR_DUPLICATE)
        assert (trace.rank[out] == 0).all()
        assert (trace.blocker[out] >= 0).all()
        assert np.allclose(trace.similarity[out], near[out, trace.blocker[out]])
        assert not np.isin(trace.kept, out).any()


@pytest.mark.parametrize("cluster", [None, np.full(3, -1, np.int32)])
def test_without_clusters_the_error_names_the_remedy(cluster):
    vectors = np.eye(3, dtype=np.float32)
    limits = Limits(0.9, None)
    pool = made(vectors, np.ones(3), limits, cluster=cluster)
    with pytest.raises(SelectionError, match="make the similarity graph"):
        run(SEMDEDUP, pool, limits)


def test_at_exactly_the_threshold_nemo_curator_drops_and_semdedup_keeps():
    vectors = np.array([[1, 0], [0.6, 0.8]], np.float32)
    limits, exact = Limits(0.6, None), vectors.astype(np.float64).round(1)
    pool = made(exact, np.ones(2), limits, cluster=np.zeros(2, np.int32))
    kept = [len(run(s, pool, limits).kept) for s in STRATEGIES]
    assert kept == [2, 1, 2]


def test_of_two_twins_distilabel_drops_both():
    vectors = np.array([[1, 0], [1, 0], [0, 1]], np.float32)
    limits = Limits(0.9, None)
    pool = made(vectors, np.array([3.0, 2, 1]), limits)
    trace = run(DISTILABEL, pool, limits)
    assert trace.kept.tolist() == [2]
    assert trace.blocker.tolist() == [1, 0, -1]
