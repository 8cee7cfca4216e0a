"""Rules, strategies and the outcome of a selection."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deita_core.errors import SelectionError
from deita_core.progress import finish
from deita_core.selection import (
    STATUSES,
    STRATEGIES,
    PoolTable,
    SelectionRule,
    repr_filter,
    select,
    select_steps,
)
from deita_core.selection.filters import FILTERS
from deita_core.selection.rule import similarity_text, threshold_to_distance
from deita_core.selection.status import KEPT, NEAR_DUPLICATE
from deita_core.selection.strategies.greedy import random_order


def pool(rows: int = 200, seed: int = 0) -> PoolTable:
    """Rows with copies, one to three turns, gaps in scores and vectors, flags and languages."""
    rng = np.random.default_rng(seed)
    turns = rng.integers(1, 4, rows)
    vectors = rng.normal(size=(rows, 6)).astype(np.float32)
    vectors[rng.random(rows) < 0.3] = vectors[:1]
    vectors[rng.random(rows) < 0.03] = np.nan
    numbers = np.flatnonzero(rng.random(rows) < 0.95)
    flags = rng.integers(0, 4, rows).astype(np.int64)
    quality = rng.uniform(1, 6, turns.sum()).astype(np.float32)
    quality[np.repeat(flags & 1 == 1, turns)] = np.nan
    complexity = rng.uniform(1, 6, turns.sum()).astype(np.float32)
    complexity[rng.random(turns.sum()) < 0.05] = np.nan
    return PoolTable(
        vectors=vectors[numbers],
        vector_rows=numbers,
        turn_row=np.repeat(np.arange(rows), turns),
        turn_complexity=complexity,
        turn_quality=quality,
        turns=turns,
        tokens=rng.integers(5, 900, rows),
        language=rng.integers(0, 3, rows).astype(np.int16),
        language_names=("de", "en", "unknown"),
        source=np.zeros(rows, np.int16),
        source_names=("pool.json",),
        flags=flags,
        flag_names=("no response", "refusal"),
    )


# The pool has neither a similarity graph, nor clusters, nor tags, nor lengths of texts.
needy = {s.name for s in STRATEGIES if s.needs_graph or s.needs_clusters or s.needs_tags}
needy |= {"longest_response", "longest_instruction"}
rules = st.builds(
    SelectionRule,
    strategy=st.sampled_from([s.name for s in STRATEGIES if s.name not in needy]),
    threshold=st.floats(-1, 1),
    budget=st.one_of(st.none(), st.integers(0, 60)),
    aggregation=st.sampled_from(["sum", "mean", "max", "last"]),
    include_no_response=st.booleans(),
    languages=st.sampled_from([(), ("en",), ("de", "xx")]),
    excluded_flags=st.sampled_from([(), ("refusal",)]),
    min_turns=st.sampled_from([None, 2]),
    max_tokens=st.sampled_from([None, 500]),
    seed=st.integers(0, 5),
)


@settings(max_examples=150, deadline=None)
@given(rules, st.integers(0, 80), st.integers(0, 9))
def test_counts_add_up_and_every_row_has_a_reason(rule, rows, seed):
    table = pool(rows, seed)
    outcome = select(rule, table)
    assert outcome.trace.count(*(s.code for s in STATUSES)) == rows
    assert outcome.trace.count(KEPT) == len(outcome.kept) == len(set(outcome.kept.tolist()))
    assert set(outcome.trace.status.tolist()) <= {s.code for s in STATUSES}
    assert all(outcome.why(row) for row in range(rows))
    assert outcome.sentence().startswith(f"{len(outcome.kept):,} of {rows:,} selected")


@settings(max_examples=60, deadline=None)
@given(rules, st.integers(0, 9))
def test_rows_without_score_or_vector_are_never_selected(rule, seed):
    table = pool(80, seed)
    outcome = select(rule, table)
    assert not np.isnan(outcome.scores[outcome.kept]).any()
    assert (table.place[outcome.kept] >= 0).all()
    assert (outcome.filtered_by[outcome.kept] == -1).all()


@settings(max_examples=60, deadline=None)
@given(rules)
def test_a_rule_comes_back_from_json(rule):
    assert SelectionRule.from_json(rule.to_json()) == rule
    assert json.loads(rule.to_json())["version"] == 2


def test_the_selection_is_the_repr_filter_on_the_usable_rows():
    table = pool(300)
    outcome = select(SelectionRule(threshold=0.6, budget=50, include_no_response=True), table)
    usable = np.flatnonzero((table.place >= 0) & ~np.isnan(outcome.scores))
    expected = repr_filter(table.vectors[table.place[usable]], outcome.scores[usable], 0.6, 50)
    assert outcome.kept.tolist() == usable[expected].tolist()


def test_the_blocker_is_a_kept_row_of_the_pool_above_the_threshold():
    outcome = select(SelectionRule(threshold=0.7), pool(300))
    blocked = np.flatnonzero(outcome.trace.status == 1)
    blockers = outcome.trace.blocker[blocked]
    assert len(blocked) > 20
    assert np.isin(blockers, outcome.kept).all()
    assert (outcome.trace.similarity[blocked] > 0.7).all()
    assert (outcome.trace.rank[blockers] < outcome.trace.rank[blocked]).all()


def test_top_score_takes_the_highest_scores():
    outcome = select(SelectionRule(strategy="top_score", budget=10), pool())
    candidates = outcome.scores[outcome.trace.rank > 0]
    highest = np.sort(candidates)[::-1][:10]
    assert outcome.scores[outcome.kept].tolist() == highest.tolist()


def test_random_rows_depend_on_the_seed_alone():
    rule = SelectionRule(strategy="random", budget=20, seed=3)
    first = select(rule, pool()).kept.tolist()
    assert select(rule, pool()).kept.tolist() == first
    assert select(replace(rule, seed=4), pool()).kept.tolist() != first


def test_random_order_is_a_shuffle_that_other_rows_do_not_disturb():
    order = random_order(np.arange(10_000), 7)
    assert sorted(order.tolist()) == list(range(10_000))
    assert abs(order[:5000].mean() - 4999.5) < 150
    even = np.arange(0, 10_000, 2)
    assert (even[random_order(even, 7)] == order[order % 2 == 0]).all()
    assert order[:5].tolist() == [4950, 3955, 4613, 9343, 4344]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"languages": ("xx",)}, "language"),
        ({"sources": ("other.json",)}, "source"),
        ({"excluded_flags": ("refusal",)}, "flag"),
        ({"min_turns": 3}, "turns"),
        ({"max_tokens": 100}, "tokens"),
        ({}, "no response"),
    ],
)
def test_filters_name_their_reason(change, reason):
    outcome = select(SelectionRule(**change), pool())
    rows = np.flatnonzero(outcome.filtered_by == FILTERS.index(reason))
    assert len(rows) > 10
    assert outcome.why(int(rows[0])) == f"filtered: {reason}"


def test_rows_not_admitted_are_filtered():
    table = replace(pool(), admitted=np.arange(200) < 50)
    assert select(SelectionRule(), table).kept.max() < 50


def test_rows_without_a_response_rank_by_complexity_when_asked_for():
    table = PoolTable.of_scores(
        np.array([5.0, 2.0]), np.array([np.nan, 1.5]), np.eye(2, dtype=np.float32)
    )
    table = replace(table, flags=np.array([1, 0]), flag_names=("no response",))
    assert select(SelectionRule(), table).kept.tolist() == [1]
    both = select(SelectionRule(include_no_response=True), table)
    assert both.kept.tolist() == [0, 1]
    assert both.scores.tolist() == [5.0, 3.0]


def scored(scores, vectors) -> PoolTable:
    return PoolTable.of_scores(np.array(scores, float), np.ones(len(scores)), vectors)


def test_sentence_when_the_budget_fills():
    vectors = np.array([[1, 0], [1, 0.01], [0, 1], [1, 1]], np.float32)
    outcome = select(SelectionRule(budget=2), scored([4, 3, 2, 1], vectors))
    assert outcome.sentence() == (
        "2 of 4 selected at similarity 0.90 (distance 0.10): the budget filled after rank 3; "
        "1 row was too close to a better one"
    )
    assert [outcome.why(row) for row in range(4)] == [
        "kept at rank 1",
        "near-duplicate of row 0, kept at rank 1: similarity 1.000; its own rank is 2",
        "kept at rank 3",
        "below the cut: rank 4, the budget filled after rank 3",
    ]


def test_sentence_when_the_pool_runs_out():
    outcome = select(SelectionRule(budget=9), scored([2, 1, np.nan], np.eye(3)))
    assert outcome.sentence() == (
        "2 of 3 selected at similarity 0.90 (distance 0.10): the pool ran out, only 2 of the 9 "
        "asked for; 1 has no score"
    )


def test_sentence_without_a_budget():
    outcome = select(SelectionRule(threshold=0.5), scored([1, 1, 1], np.ones((3, 2))))
    assert outcome.sentence() == (
        "1 of 3 selected at similarity 0.50 (distance 0.50) without a budget; "
        "2 rows were too close to a better one"
    )


def test_sentences_of_strategies_that_ignore_similarity():
    table = scored([1, 2], np.eye(2))
    top = select(SelectionRule(strategy="top_score", budget=1), table).sentence()
    assert top == "1 of 2 selected by top score: the budget filled after rank 1"
    drawn = select(SelectionRule(strategy="random", seed=8), table).sentence()
    assert drawn == "2 of 2 selected at random (seed 8) without a budget"


def test_sentences_of_empty_and_unscored_pools():
    assert select(SelectionRule(), pool(0)).sentence().endswith(": the pool is empty")
    unscored = select(SelectionRule(), scored([np.nan, np.nan], np.eye(2)))
    assert unscored.sentence().endswith(": no row has all it takes to be selected; 2 have no score")


def test_steps_of_a_selection_end_in_the_same_outcome():
    rule, table = SelectionRule(budget=30), pool()
    progress = list(select_steps(rule, table))
    assert progress[-1].kept == 30
    assert progress[-1].explained == select(rule, table).trace.count(NEAR_DUPLICATE)
    assert finish(select_steps(rule, table)).kept.tolist() == select(rule, table).kept.tolist()


def test_a_rule_describes_itself():
    rule = SelectionRule(
        threshold=0.925, budget=6000, languages=("en", "de"), min_turns=2, max_tokens=2048
    )
    assert rule.describe() == (
        "Repr Filter at similarity 0.925 (distance 0.075); budget 6,000; turns: sum; "
        "languages: en, de; at least 2 turns; at most 2,048 tokens"
    )


def test_similarity_and_distance_are_both_shown():
    assert threshold_to_distance(0.9) == 0.1
    assert similarity_text(-0.5) == "similarity -0.50 (distance 1.50)"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('{"strategy": "best"}', "one of repr_filter, top_score, random, .*, got 'best'"),
        ('{"threshold": 9}', "from -1 to 1, got 9"),
        ('{"threshold": "0.9"}', "threshold must be a number, got '0.9'"),
        ('{"budget": -3}', "0 rows or more, got -3"),
        ('{"aggregation": "median"}', "got 'median'"),
        ('{"languages": "en"}', "languages must be a list of names, got 'en'"),
        ('{"min_turns": 3, "max_turns": 2}', "min_turns 3 is greater than max_turns 2"),
        ('{"max_tokens": 0.5}', "max_tokens must be a whole number"),
        ('{"seed": -1}', "seed must be a whole number of 0 or more"),
        ('{"treshold": 0.9}', "no 'treshold'; it has strategy, threshold"),
        ('{"version": 3}', "version 3, but version 2 is all"),
        ("[]", "JSON object"),
        ("{", "must be JSON"),
    ],
)
def test_bad_rules_are_named(text, words):
    with pytest.raises(SelectionError, match=words):
        SelectionRule.from_json(text)


def test_a_table_with_columns_of_different_length_is_refused():
    with pytest.raises(SelectionError, match=r"tokens must be \(200,\) like turns, got \(3,\)"):
        replace(pool(), tokens=np.zeros(3, int))
    with pytest.raises(SelectionError, match="vector_rows must ascend"):
        replace(pool(), vector_rows=pool().vector_rows[::-1].copy())


def test_importing_selection_loads_neither_torch_nor_pandas():
    code = (
        "import sys, deita_core.selection as s; "
        "print([m for m in ('torch', 'pandas', 'scipy', 'numba') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
