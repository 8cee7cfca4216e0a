"""The greedy pass: graph, blocks and the naive loop agree on every row."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deita_core.errors import SelectionError
from deita_core.progress import finish
from deita_core.selection import repr_filter, trace
from deita_core.selection import status as codes
from deita_core.selection.candidates import Candidates, Limits, QuotaTable
from deita_core.selection.strategies.greedy import pass_steps
from deita_core.similarity.definition import cosines
from tests.candidate_pools import changed, column, made
from tests.naive_graph import naive_graph


@dataclass
class Decided:
    """What the naive loop decides."""

    status: list[int]
    blocker: list[int]
    kept: list[int]
    visited: int


def naive_pass(order, near, pool: Candidates, limits: Limits, threshold: float) -> Decided:
    """The rule of the pass, row by row, with all similarities at hand."""
    decided = Decided([codes.FILTERED] * len(near), [-1] * len(near), [], len(order))
    in_tokens = limits.budget_unit == "tokens"
    tokens, ledger = column(pool, "tokens"), pool.ledger
    cost = tokens if in_tokens else np.ones(len(near), int)
    left = np.inf if limits.budget is None else limits.budget - cost[pool.pinned].sum()
    used = np.zeros(len(ledger.limit), int)

    def amounts(row):
        codes = ledger.codes[pool.rows[row]]
        return [(c, tokens[row] if ledger.by_tokens[c] else 1) for c in codes if c >= 0]

    for pin in np.flatnonzero(pool.pinned):
        for counter, amount in amounts(pin):
            used[counter] += amount
    if limits.pin_place == "first":
        order = sorted(order, key=lambda row: not pool.pinned[row])
    ended = False
    for place, row in enumerate(order):
        closest = max(decided.kept, key=lambda k: near[row][k], default=None)  # the first of equals
        if pool.pinned[row]:
            decided.status[row] = codes.PINNED
            decided.kept.append(row)
            continue
        if not ended and not in_tokens and left == 0:
            ended, decided.visited = True, place
        if ended:
            decided.status[row] = codes.BELOW_CUT
        elif any(used[c] + amount > ledger.limit[c] for c, amount in amounts(row)):
            decided.status[row] = codes.OVER_QUOTA
        elif closest is not None and near[row][closest] > threshold:
            decided.status[row], decided.blocker[row] = codes.NEAR_DUPLICATE, closest
        elif cost[row] > left:
            ended, decided.visited = True, place
            decided.status[row] = codes.BELOW_CUT
        else:
            decided.status[row] = codes.KEPT
            decided.kept.append(row)
            left -= cost[row]
            for counter, amount in amounts(row):
                used[counter] += amount
    return decided


@st.composite
def pools(draw) -> tuple[Candidates, Limits, float]:
    """Few directions, so that there are copies, scaled copies and similarities exactly equal."""
    rows = draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 10_000)))
    vectors = rng.integers(-2, 3, (rows, draw(st.integers(2, 3)))).astype(np.float32)
    vectors[~vectors.any(axis=1)] = 1
    scores = rng.integers(0, 6, rows).astype(float)
    near = cosines(vectors, np.arange(rows), np.arange(rows))
    exact = float(near.flat[draw(st.integers(0, near.size - 1))])
    threshold = draw(st.sampled_from([exact, 0.0, 0.5, 0.9, 1.0]))
    pinned = rng.random(rows) < draw(st.sampled_from([0.0, 0.1, 0.3]))
    tokens = rng.integers(0, 9, rows).astype(np.int32)
    unit = draw(st.sampled_from(["rows", "tokens"]))
    taken = int(tokens[pinned].sum() if unit == "tokens" else pinned.sum())
    budget = draw(st.one_of(st.none(), st.integers(taken, taken + (20 if unit == "rows" else 90))))
    columns = draw(st.integers(0, 2))
    quotas = QuotaTable(
        rng.integers(-1, 3, (rows, columns)).astype(np.int32),
        rng.integers(0, 12, 3),
        rng.random(3) < 0.3,
        ("a", "b", "c"),
    )
    eligible = pinned | (rng.random(rows) < 0.9)
    place = draw(st.sampled_from(["first", "rank"]))
    limits = Limits(threshold, budget, 0, unit, place)
    candidates = made(
        vectors, scores, limits, eligible=eligible, tokens=tokens, pinned=pinned, quotas=quotas
    )
    return candidates, limits, threshold


def same(trace: codes.SelectionTrace, decided: Decided, near: np.ndarray) -> None:
    assert trace.kept.tolist() == decided.kept
    assert trace.status.tolist() == decided.status
    assert trace.blocker.tolist() == decided.blocker
    assert trace.rank_reached == decided.visited
    rows = np.flatnonzero(trace.blocker >= 0)
    assert trace.similarity[rows].tolist() == near[rows, trace.blocker[rows]].astype("f4").tolist()


@settings(max_examples=300, deadline=None)
@given(pools(), st.sampled_from([1, 3, 1024]), st.booleans())
def test_graph_blocks_and_the_naive_loop_agree_on_every_row(drawn, block, floor_is_threshold):
    candidates, limits, threshold = drawn
    rows = np.arange(len(candidates.eligible))
    near = cosines(candidates.table.vectors, rows, rows)
    order = candidates.best_first()
    decided = naive_pass(order.tolist(), near, candidates, limits, threshold)
    floor = threshold if floor_is_threshold else -1.0
    with_graph = changed(candidates, graph=naive_graph(candidates.table.vectors, floor))
    same(finish(pass_steps(order, with_graph, limits, threshold=threshold)), decided, near)
    blocked = pass_steps(order, candidates, limits, threshold=threshold, block=block)
    same(finish(blocked), decided, near)


@settings(max_examples=100, deadline=None)
@given(pools())
def test_without_a_threshold_no_row_blocks_another(drawn):
    candidates, limits, _ = drawn
    order = candidates.best_first()
    far = np.full((len(candidates.eligible),) * 2, -1.0)
    decided = naive_pass(order.tolist(), far, candidates, limits, 1.0)
    same(finish(pass_steps(order, candidates, limits, threshold=None)), decided, far)


@settings(max_examples=100, deadline=None)
@given(pools())
def test_the_plain_filter_is_the_same_with_a_graph(drawn):
    candidates, limits, threshold = drawn
    vectors, scores = candidates.table.vectors, candidates.scores
    graph = naive_graph(vectors, -0.2)
    budget = limits.budget
    plain = trace(vectors, scores, threshold, budget, candidates.eligible)
    read = trace(vectors, scores, threshold, budget, candidates.eligible, graph=graph)
    for name in ("kept", "status", "rank", "blocker", "similarity", "rank_reached", "filled"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(read, name))
    kept = repr_filter(vectors, scores, threshold, budget)
    assert repr_filter(vectors, scores, threshold, budget, graph=graph).tolist() == kept.tolist()


def test_more_pins_than_the_budget_are_refused():
    vectors, pinned = np.eye(3, dtype=np.float32), np.ones(3, bool)
    with pytest.raises(SelectionError, match="take 3 rows, but the budget is 2: raise the budget"):
        made(vectors, np.ones(3), Limits(0.9, 2), pinned=pinned)


def test_long_lists_of_edges_are_read_to_their_end():
    rng = np.random.default_rng(0)
    vectors = (rng.normal(size=(500, 4)) + 0.8).astype(np.float32)
    scores = rng.integers(0, 9, 500).astype(float)
    graph = naive_graph(vectors, 0.0)
    assert np.diff(graph.start).max() > 300
    for threshold in np.linspace(0.0, 0.99, 12).tolist():
        plain, read = (
            trace(vectors, scores, threshold),
            trace(vectors, scores, threshold, graph=graph),
        )
        assert plain.kept.tolist() == read.kept.tolist()
        assert plain.blocker.tolist() == read.blocker.tolist()


def test_a_graph_in_memory_maps_is_read_like_one_in_memory(tmp_path):
    vectors = np.random.default_rng(1).normal(size=(60, 2)).astype(np.float32)
    graph = naive_graph(vectors, 0.5)
    arrays = {}
    for name in ("group", "member", "member_start", "start", "neighbour", "similarity"):
        np.save(tmp_path / f"{name}.npy", getattr(graph, name))
        arrays[name] = np.load(tmp_path / f"{name}.npy", mmap_mode="r")
    scores = np.arange(60.0)
    kept = repr_filter(vectors, scores, 0.8, graph=replace(graph, **arrays))
    assert kept.tolist() == repr_filter(vectors, scores, 0.8).tolist()


def test_a_walk_gives_up_when_nothing_more_can_be_kept():
    limits = Limits(0.9, 0)
    many = made(np.eye(8, dtype=np.float32), np.arange(8.0), limits)
    found = finish(pass_steps(np.arange(8), many, limits, threshold=0.9))
    assert (found.rank_reached, found.count(codes.BELOW_CUT)) == (0, 8)
