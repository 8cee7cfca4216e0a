"""Every strategy on the whole way from a rule to an outcome."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from deita_core.errors import SelectionError
from deita_core.selection import STRATEGIES, PoolTable, SelectionRule, select
from deita_core.selection import status as st
from deita_core.selection.strategies import find_strategy
from tests.naive_graph import naive_graph

NAMES = tuple(strategy.name for strategy in STRATEGIES)
names = pytest.mark.parametrize("name", NAMES)


def pool(rows: int = 60, seed: int = 0) -> PoolTable:
    """Rows with copies and all that a strategy may ask for; some without score or vector."""
    draw = np.random.default_rng(seed)
    vectors = draw.normal(size=(rows, 4)).astype(np.float32)
    vectors[draw.random(rows) < 0.3] = vectors[:1]
    numbers = np.flatnonzero(draw.random(rows) < 0.9)
    quality = draw.uniform(1, 6, rows).astype(np.float32)
    quality[draw.random(rows) < 0.1] = np.nan
    characters = draw.integers(0, 50, (3, rows)).astype(np.int32)
    return PoolTable(
        vectors=vectors[numbers],
        vector_rows=numbers,
        turn_row=np.arange(rows),
        turn_complexity=draw.uniform(1, 6, rows).astype(np.float32),
        turn_quality=quality,
        turns=np.ones(rows, np.int32),
        tokens=draw.integers(1, 9, rows).astype(np.int32),
        language=np.zeros(rows, np.int16),
        language_names=("en",),
        source=draw.integers(0, 2, rows).astype(np.int16),
        source_names=("a.json", "b.json"),
        flags=np.zeros(rows, np.int64),
        flag_names=(),
        graph=naive_graph(vectors[numbers], -1.0),
        cluster=draw.integers(-1, 3, rows).astype(np.int32),
        tags=draw.random((rows, 3)) < 0.4,
        tag_names=("easy", "long", "odd"),
        ids=np.array([f"id{row}" for row in range(rows)]),
        characters=characters.sum(axis=0, dtype=np.int32),
        instruction_characters=characters[0],
        response_characters=characters[1],
    )


@given(
    some.sampled_from(NAMES),
    some.integers(0, 50),
    some.none() | some.integers(4, 40),
    some.sampled_from(("rows", "tokens")),
    some.sampled_from((0.0, 0.5, 0.9)),
    some.sampled_from(("first", "rank")),
)
@settings(deadline=None, max_examples=150)
def test_pins_exclusions_and_the_budget_are_honoured(name, seed, budget, unit, threshold, place):
    table = pool(seed=seed)
    budget = budget if budget is None or unit == "rows" else 9 * budget
    by_hand = {"pinned": ("id3", "id7", "id50"), "excluded": ("id0", "id9"), "pin_place": place}
    rule = SelectionRule(name, threshold, budget, budget_unit=unit, **by_hand)
    outcome = select(rule, table)
    kept = outcome.kept.tolist()
    assert {3, 7, 50} <= set(kept)
    assert not {0, 9} & set(kept)
    assert len(kept) == len(set(kept)) == outcome.trace.count(st.KEPT, st.PINNED)
    assert outcome.trace.count(*(s.code for s in st.STATUSES)) == len(table)
    used = len(kept) if unit == "rows" else table.tokens[kept].sum()
    assert budget is None or used <= budget
    assert all(outcome.why(row) for row in range(len(table)))


@names
def test_the_same_rule_selects_the_same_rows(name):
    rule = SelectionRule(name, 0.5, 20)
    assert select(rule, pool()).kept.tolist() == select(rule, pool()).kept.tolist()


@names
def test_an_empty_pool_is_no_error(name):
    assert len(select(SelectionRule(name, 0.5, 20), pool(rows=0)).kept) == 0


@names
def test_the_sentence_says_how_rows_were_selected(name):
    sentence = select(SelectionRule(name, 0.5, 20), pool()).sentence()
    strategy = find_strategy(name)
    expected = "at similarity 0.50 (distance 0.50)" if strategy.uses_threshold else strategy.phrase
    assert expected in sentence
    assert name == "repr_filter" or strategy.phrase in sentence


@names
def test_it_uses_the_threshold_only_if_it_says_so(name):
    rows = {tuple(select(SelectionRule(name, t, 20), pool()).kept) for t in (-0.5, 0.2, 0.9)}
    assert (len(rows) > 1) == find_strategy(name).uses_threshold


@names
def test_what_it_needs_is_missed_when_it_is_not_there(name):
    bare = pool()
    object.__setattr__(bare, "graph", None)
    object.__setattr__(bare, "cluster", None)
    object.__setattr__(bare, "tags", None)
    strategy = find_strategy(name)
    if strategy.needs_graph or strategy.needs_clusters or strategy.needs_tags:
        missing = "no row has one: tag rows first" if strategy.needs_tags else "similarity graph"
        with pytest.raises(SelectionError, match=missing):
            select(SelectionRule(name, 0.5, 20), bare)
    else:
        assert len(select(SelectionRule(name, 0.9, 20), bare).kept) > 0


def test_only_some_strategies_have_near_duplicates():
    for strategy in STRATEGIES:
        outcome = select(SelectionRule(strategy.name, 0.5), pool())
        assert bool(outcome.trace.count(st.NEAR_DUPLICATE)) == bool(strategy.duplicate_of)


def test_a_row_held_against_one_that_is_out_itself_says_so():
    outcome = select(SelectionRule("distilabel", 0.9), pool())
    twins = np.flatnonzero(outcome.trace.status == st.NEAR_DUPLICATE)
    assert "itself near-duplicate: similarity 1.000" in outcome.why(int(twins[0]))


def test_a_row_that_k_center_never_came_to_has_no_rank():
    outcome = select(SelectionRule("k_center", budget=5), pool())
    below = np.flatnonzero((outcome.trace.status == st.BELOW_CUT) & (outcome.trace.rank == 0))
    why = outcome.why(int(below[0]))
    assert why == "below the cut: the budget filled with 5 rows that came first"
