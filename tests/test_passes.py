"""The greedy pass: graph, blocks and the naive loop agree on every row."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deita_core.errors import SelectionError
from deita_core.progress import finish
from deita_core.selection import greedy as passes
from deita_core.selection import repr_filter, trace
from deita_core.selection import status as codes
from deita_core.selection.greedy import pass_steps
from deita_core.selection.quotas import QuotaTable
from deita_core.selection.strategies import Candidates, Choice
from deita_core.similarity.definition import cosines
from tests.naive_graph import naive_graph


@dataclass
class Fate:
    """What the naive loop decides."""

    status: list[int]
    blocker: list[int]
    kept: list[int]
    visited: int


def naive_pass(order, near, pool: Candidates, choice: Choice, threshold: float) -> Fate:
    """The rule of the pass, row by row, with all similarities at hand."""
    fate = Fate([codes.FILTERED] * len(near), [-1] * len(near), [], len(order))
    in_tokens = choice.budget_unit == "tokens"
    cost = pool.tokens if in_tokens else np.ones(len(near), int)
    left = np.inf if choice.budget is None else choice.budget - cost[pool.pinned].sum()
    quota = pool.quota
    used = quota.used.copy()

    def amounts(row):
        return [
            (c, pool.tokens[row] if quota.by_tokens[c] else 1) for c in quota.codes[row] if c >= 0
        ]

    for pin in np.flatnonzero(pool.pinned):
        for counter, amount in amounts(pin):
            used[counter] += amount
    if choice.pin_place == "first":
        order = sorted(order, key=lambda row: not pool.pinned[row])
    ended = False
    for place, row in enumerate(order):
        closest = max(fate.kept, key=lambda k: near[row][k], default=None)  # the first of equals
        if pool.pinned[row]:
            fate.status[row] = codes.PINNED
            fate.kept.append(row)
            continue
        if not ended and not in_tokens and left == 0:
            ended, fate.visited = True, place
        if ended:
            fate.status[row] = codes.BELOW_CUT
        elif any(used[c] + amount > quota.limit[c] for c, amount in amounts(row)):
            fate.status[row] = codes.OVER_QUOTA
        elif closest is not None and near[row][closest] > threshold:
            fate.status[row], fate.blocker[row] = codes.NEAR_DUPLICATE, closest
        elif cost[row] > left:
            ended, fate.visited = True, place
            fate.status[row] = codes.BELOW_CUT
        else:
            fate.status[row] = codes.KEPT
            fate.kept.append(row)
            left -= cost[row]
            for counter, amount in amounts(row):
                used[counter] += amount
    return fate


@st.composite
def pools(draw) -> tuple[Candidates, Choice, float]:
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
    quota = QuotaTable(
        rng.integers(-1, 3, (rows, columns)).astype(np.int32),
        rng.integers(0, 12, 3),
        np.zeros(3, np.int64),
        rng.random(3) < 0.3,
        ("a", "b", "c"),
    )
    eligible = pinned | (rng.random(rows) < 0.9)
    candidates = Candidates(
        vectors, scores, eligible, np.arange(rows), tokens=tokens, pinned=pinned, quota=quota
    )
    place = draw(st.sampled_from(["first", "rank"]))
    return candidates, Choice(threshold, budget, 0, unit, place), threshold


def same(trace: codes.SelectionTrace, fate: Fate, near: np.ndarray) -> None:
    assert trace.kept.tolist() == fate.kept
    assert trace.status.tolist() == fate.status
    assert trace.blocker.tolist() == fate.blocker
    assert trace.rank_reached == fate.visited
    rows = np.flatnonzero(trace.blocker >= 0)
    assert trace.similarity[rows].tolist() == near[rows, trace.blocker[rows]].astype("f4").tolist()


@settings(max_examples=300, deadline=None)
@given(pools(), st.sampled_from([1, 3, 1024]), st.booleans())
def test_graph_blocks_and_the_naive_loop_agree_on_every_row(drawn, block, floor_is_threshold):
    candidates, choice, threshold = drawn
    rows = np.arange(len(candidates.row))
    near = cosines(candidates.vectors, rows, rows)
    order = candidates.best_first()
    fate = naive_pass(order.tolist(), near, candidates, choice, threshold)
    floor = threshold if floor_is_threshold else -1.0
    with_graph = replace(candidates, graph=naive_graph(candidates.vectors, floor))
    same(finish(pass_steps(order, with_graph, choice, threshold=threshold)), fate, near)
    state = passes.PassState(passes.order_with_pins(order, candidates, choice), candidates, choice)
    if threshold < 1.0:
        same(finish(passes._blocked_steps(state, threshold, block)), fate, near)


@settings(max_examples=100, deadline=None)
@given(pools())
def test_without_a_threshold_no_row_blocks_another(drawn):
    candidates, choice, _ = drawn
    order = candidates.best_first()
    far = np.full((len(candidates.row),) * 2, -1.0)
    fate = naive_pass(order.tolist(), far, candidates, choice, 1.0)
    same(finish(pass_steps(order, candidates, choice, threshold=None)), fate, far)


@settings(max_examples=100, deadline=None)
@given(pools())
def test_the_plain_filter_is_the_same_with_a_graph(drawn):
    candidates, choice, threshold = drawn
    vectors, scores = candidates.vectors, candidates.scores
    graph = naive_graph(vectors, -0.2)
    budget = choice.budget
    plain = trace(vectors, scores, threshold, budget, candidates.eligible)
    read = trace(vectors, scores, threshold, budget, candidates.eligible, graph=graph)
    for name in ("kept", "status", "rank", "blocker", "similarity", "rank_reached", "filled"):
        np.testing.assert_array_equal(getattr(plain, name), getattr(read, name))
    kept = repr_filter(vectors, scores, threshold, budget)
    assert repr_filter(vectors, scores, threshold, budget, graph=graph).tolist() == kept.tolist()


def test_more_pins_than_the_budget_are_refused():
    pinned = Candidates(
        np.eye(3, dtype=np.float32),
        np.ones(3),
        np.ones(3, bool),
        np.arange(3),
        pinned=np.ones(3, bool),
    )
    with pytest.raises(SelectionError, match="take 3 rows, but the budget is 2: raise the budget"):
        finish(pass_steps(np.arange(3), pinned, Choice(0.9, 2, 0), threshold=0.9))


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
    many = Candidates(np.eye(8, dtype=np.float32), np.arange(8.0), np.ones(8, bool), np.arange(8))
    found = finish(pass_steps(np.arange(8), many, Choice(0.9, 0, 0), threshold=0.9))
    assert (found.rank_reached, found.count(codes.BELOW_CUT)) == (0, 8)
