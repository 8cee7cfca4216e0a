"""Spans, flip points and the frontier against selections made one by one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deita_core.errors import SelectionError
from deita_core.selection import PoolTable, Quota, SelectionRule, select
from deita_core.selection.analysis.thresholds import flip_point, frontier, kept_spans
from deita_core.selection.status import KEPT, PINNED
from tests.naive_graph import naive_graph


@dataclass(frozen=True)
class Case:
    """A pool with a graph, and a rule for it."""

    table: PoolTable
    rule: SelectionRule

    def inside(self, threshold: float, row: int) -> bool:
        outcome = select(replace(self.rule, threshold=threshold), self.table)
        return bool(outcome.trace.status[row] in (KEPT, PINNED))

    def thresholds(self) -> list[float]:
        """One for each stretch on which nothing changes, from the floor up."""
        graph = self.table.graph
        assert graph is not None
        return sorted({graph.floor, *graph.similarity.tolist(), 1.0})


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Ties, copies, pins and exclusions, filters, budgets in rows or tokens."""
    n, d = draw(st.integers(1, 24)), draw(st.integers(1, 4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    vectors = rng.integers(-2, 3, (n, d)) if draw(st.booleans()) else rng.normal(size=(n, d))
    for row in np.flatnonzero(rng.random(n) < 0.3):
        vectors[row] = vectors[rng.integers(n)]
    vectors[~vectors.any(axis=1)] = 1
    vectors = vectors.astype(np.float32)
    there = np.flatnonzero(rng.random(n) < draw(st.sampled_from([0.8, 1.0])))
    scores = rng.integers(1, draw(st.integers(2, 9)), n).astype(np.float32)
    scores[rng.random(n) < draw(st.sampled_from([0.0, 0.2]))] = np.nan
    table = replace(
        PoolTable.of_scores(scores, np.ones(n), vectors),
        vectors=vectors[there],
        vector_rows=there,
        tokens=rng.integers(0, 9, n),
        turns=rng.integers(1, 5, n),
        ids=np.array([f"id{i}" for i in range(n)]),
        graph=naive_graph(vectors[there], draw(st.sampled_from([-1.0, 0.0, 0.5]))),
    )
    names = table.ids[rng.permutation(n)].tolist()
    pins = draw(st.integers(0, min(3, n)))
    tokens = draw(st.booleans())
    least = int(table.tokens[np.isin(table.ids, names[:pins])].sum()) if tokens else pins
    rule = SelectionRule(
        threshold=draw(st.sampled_from([0.5, 0.7, 0.9, 1.0])),
        budget=draw(st.one_of(st.none(), st.integers(least, least + 30))),
        budget_unit="tokens" if tokens else "rows",
        min_turns=draw(st.sampled_from([None, 2])),
        pinned=tuple(names[:pins]),
        excluded=tuple(names[pins : pins + draw(st.integers(0, 2))]),
        pin_place=draw(st.sampled_from(["first", "rank"])),
    )
    return Case(table, rule)


@settings(max_examples=150, deadline=None)
@given(cases())
def test_spans_give_the_rows_a_selection_without_a_budget_keeps(case):
    rule = replace(case.rule, budget=None)
    spans = kept_spans(select(rule, case.table), case.table)
    for threshold in case.thresholds():
        kept = select(replace(rule, threshold=threshold), case.table).kept
        beside = kept[case.table.place[kept] < 0]  # pinned without an embedding: never visited
        assert set(spans.order[spans.kept(threshold)]) | set(beside) == set(kept)


@settings(max_examples=150, deadline=None)
@given(cases())
def test_the_frontier_is_what_each_selection_gives(case):
    table = case.table
    got = frontier(case.rule, table, case.thresholds())
    for i, threshold in enumerate(got.thresholds):
        rule = replace(case.rule, threshold=float(threshold))
        outcome = select(rule, table)
        rows = outcome.kept
        assert got.kept[i] == len(rows)
        assert got.possible[i] == len(select(replace(rule, budget=None), table).kept)
        assert got.filled[i] == outcome.trace.filled
        assert got.rank_reached[i] == outcome.trace.rank_reached
        assert got.tokens[i] == table.tokens[rows].sum()
        assert got.coverage[i] == pytest.approx(
            naive_coverage(table, rows, got.covered_at), nan_ok=True
        )
        scores = outcome.scores[rows][~np.isnan(outcome.scores[rows])]
        assert got.evol_score[i] == pytest.approx(
            scores.mean() if len(scores) else np.nan, nan_ok=True
        )


def naive_coverage(table: PoolTable, rows: np.ndarray, level: float) -> float:
    chosen = table.place[rows][table.place[rows] >= 0]
    units = table.vectors.astype(np.float64)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    near = np.round(units @ units[chosen].T, 12) > level
    covered = near.any(axis=1) | np.isin(np.arange(len(units)), chosen)
    return float(covered.mean()) if len(units) else np.nan


def naive_crossings(case: Case, row: int) -> tuple[float | None, float | None]:
    """The nearest edges up and down at which the row enters or leaves, by trying all of them."""
    here, now = case.rule.threshold, case.inside(case.rule.threshold, row)
    tried = case.thresholds()
    up = [t for t in tried if t > here and case.inside(t, row) != now]
    below = [t for t in tried if t <= here]
    down = [(t, end) for t, end in pairwise(below) if case.inside(t, row) != now]
    return (up[0] if up else None, down[-1][1] if down else None)


@settings(max_examples=150, deadline=None)
@given(cases(), st.integers(0, 23))
def test_flip_points_are_those_found_by_trying_every_similarity(case, number):
    row = number % len(case.table)
    flip = flip_point(case.rule, case.table, row)
    assert flip.inside == case.inside(case.rule.threshold, row)
    up, down = naive_crossings(case, row)
    assert (flip.up.edge if flip.up else None) == up
    assert (flip.down.edge if flip.down else None) == down
    for one in (flip.up, flip.down):
        if one is not None:
            before = np.nextafter(one.edge, -2) if one.upwards else one.edge
            assert case.inside(float(before), row) == flip.inside
            assert case.inside(one.threshold, row) != flip.inside
            assert one.threshold >= one.edge if one.upwards else one.threshold < one.edge


@settings(max_examples=60, deadline=None)
@given(cases(), st.integers(0, 23))
def test_budget_flips_are_those_found_by_trying_every_budget(case, number):
    row = number % len(case.table)
    flip = flip_point(case.rule, case.table, row)
    pins = np.isin(case.table.ids, case.rule.pinned)
    tokens = case.rule.budget_unit == "tokens"
    least = int(case.table.tokens[pins].sum()) if tokens else int(pins.sum())
    most = least + 250
    now = case.rule.budget if case.rule.budget is not None else most
    others = [b for b in range(least, most + 1) if budget_side(case, b, row) != flip.inside]
    assert flip.budget == min(others, key=lambda b: abs(b - now), default=None)


def budget_side(case: Case, budget: int, row: int) -> bool:
    return Case(case.table, replace(case.rule, budget=budget)).inside(case.rule.threshold, row)


@pytest.fixture(scope="module")
def table() -> PoolTable:
    """Five rows, best first; 1 is near 0, 4 lies between 2 and 3."""
    angles = np.deg2rad([0, 10, 90, 180, 130])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    return replace(
        PoolTable.of_scores(np.array([5.0, 4, 3, 2, 1]), np.ones(5), vectors),
        ids=np.array(list("abcde")),
        turns=np.array([1, 1, 1, 1, 2]),
        source=np.array([0, 1, 0, 0, 1]),
        source_names=("a", "b"),
        graph=naive_graph(vectors, 0.5),
    )


def test_a_flip_is_told_in_words(table):
    rule = SelectionRule(threshold=0.9, budget=3)
    told = {row: flip_point(rule, table, row).sentence() for row in range(5)}
    assert told[1] == "in from similarity 0.99 (distance 0.01) up"
    assert told[3] == "out from similarity 0.99 (distance 0.01) up; out below a budget of 3"
    assert told[0] == "out below a budget of 1"
    assert flip_point(rule, table, 1).up.edge == pytest.approx(np.cos(np.deg2rad(10)), abs=1e-6)
    assert flip_point(replace(rule, budget=2), table, 3).sentence() == "in from a budget of 3"


def test_a_copy_is_in_only_at_one():
    vectors = np.ones((2, 3), np.float32)
    copies = PoolTable.of_scores(np.ones(2), np.ones(2), vectors)
    flip = flip_point(SelectionRule(), replace(copies, graph=naive_graph(vectors, 0.5)), 1)
    assert flip.sentence() == (
        "in only at similarity 1.00 (distance 0.00), where nothing counts as a near-duplicate"
    )


@pytest.mark.parametrize(
    ("rule", "row", "words"),
    [
        (SelectionRule(pinned=("a",)), 0, "unpin it"),
        (SelectionRule(excluded=("a",)), 0, "take it out of the exclusions"),
        (SelectionRule(min_turns=2), 0, "change the filter"),
        (SelectionRule(threshold=0.3), 1, "not above the floor 0.50"),
    ],
)
def test_where_no_threshold_helps_the_flip_says_what_does(table, rule, row, words):
    flip = flip_point(rule, table, row)
    assert flip.nearest is None
    assert words in flip.sentence()


def test_without_a_graph_the_flip_of_the_budget_is_still_known(table):
    flip = flip_point(SelectionRule(threshold=0.9, budget=3), replace(table, graph=None), 2)
    assert (flip.budget, flip.nearest) == (1, None)
    assert "once the similarity graph is made" in flip.sentence()


def test_under_quotas_crossings_are_found_by_selecting(table):
    rule = SelectionRule(threshold=0.99, quotas=(Quota("source", "b", most=1),))
    flip = flip_point(rule, table, 4)
    assert flip.down is not None
    assert flip.down.edge == pytest.approx(np.cos(np.deg2rad(10)), abs=1e-6)
    assert Case(table, rule).inside(flip.down.threshold, 4) != flip.inside


@pytest.mark.parametrize("strategy", ["top_score", "random", "longest_response"])
def test_strategies_without_a_threshold_flip_by_their_budget_alone(table, strategy):
    lengths = replace(table, response_characters=np.array([1, 5, 3, 2, 4], np.int32))
    rule = SelectionRule(strategy=strategy, budget=2)
    whole = select(replace(rule, budget=None), lengths).kept.tolist()
    for place, row in enumerate(whole):
        flip = flip_point(rule, lengths, row)
        assert flip.nearest is None
        assert flip.budget == (place if place < 2 else place + 1)


def test_a_frontier_needs_a_threshold(table):
    with pytest.raises(SelectionError, match="does not look at similarities"):
        frontier(SelectionRule(strategy="top_score"), table)


def test_the_grid_goes_by_hundredths_from_the_floor_and_has_the_rules_own_point(table):
    got = frontier(SelectionRule(threshold=0.777, budget=3), table)
    assert got.thresholds.tolist() == sorted({i / 100 for i in range(50, 101)} | {0.777})
    assert got.lowest_that_fills() == 0.5
    assert frontier(SelectionRule(budget=5), table).lowest_that_fills() == 0.99


@pytest.mark.parametrize("strategy", ["repr_filter", "distilabel"])
def test_quotas_other_strategies_and_low_thresholds_have_a_frontier_too(table, strategy):
    rule = SelectionRule(strategy=strategy, budget=3, quotas=(Quota("source", "a", most=2),))
    got = frontier(rule, table, [0.1, 0.6, 0.95, 1.0])
    kept = [len(select(replace(rule, threshold=t), table).kept) for t in got.thresholds]
    whole = replace(rule, budget=None)
    possible = [len(select(replace(whole, threshold=t), table).kept) for t in got.thresholds]
    assert (got.kept.tolist(), got.possible.tolist()) == (kept, possible)


def test_spans_are_refused_where_they_have_no_meaning(table):
    for rule in (
        SelectionRule(strategy="top_score"),
        SelectionRule(quotas=(Quota("source", "a", most=2),)),
    ):
        with pytest.raises(SelectionError):
            kept_spans(select(rule, table), table)
