"""select: weights, conditions, quotas, pins and exclusions, with and without a graph."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deita_core.errors import SelectionError
from deita_core.selection import Condition, Outcome, PoolTable, Quota, SelectionRule, select
from deita_core.selection import status as codes
from deita_core.similarity.graph_build import build_graph

ROWS = 120
IDS = tuple(f"id{i:03d}" for i in range(ROWS))


def pool(seed: int = 0) -> PoolTable:
    """Rows in a few directions; the last two have no vector, the two before them no score."""
    rng = np.random.default_rng(seed)
    vectors = rng.integers(-2, 3, (ROWS, 3)).astype(np.float32)
    vectors[~vectors.any(axis=1)] = 1
    complexity = rng.integers(1, 7, ROWS).astype(np.float32)
    complexity[-4:-2] = np.nan
    base = PoolTable.of_scores(complexity, rng.uniform(1, 6, ROWS).astype("f4"), vectors)
    return replace(
        base,
        vectors=vectors[:-2],
        vector_rows=np.arange(ROWS - 2),
        tokens=rng.integers(1, 50, ROWS).astype(np.int32),
        source=rng.integers(0, 3, ROWS).astype(np.int16),
        source_names=("a.json", "b.json", "c.json"),
        flags=rng.integers(0, 4, ROWS).astype(np.int64),
        flag_names=("refusal", "no system"),
        cluster=rng.integers(-1, 5, ROWS).astype(np.int32),
        ids=np.array(IDS).astype(np.bytes_),
        characters=rng.integers(1, 500, ROWS).astype(np.int32),
    )


def ids(rows) -> tuple[str, ...]:
    return tuple(IDS[row] for row in rows)


some_ids = st.lists(st.integers(0, ROWS - 1), max_size=6).map(ids)
rules = st.builds(
    lambda pinned, excluded, **rest: SelectionRule(
        pinned=pinned, excluded=tuple(set(excluded) - set(pinned)), **rest
    ),
    some_ids,
    some_ids,
    strategy=st.sampled_from(["repr_filter", "top_score", "random"]),
    threshold=st.sampled_from([0.0, 0.5, 0.8, 0.95, 1.0]),
    budget=st.integers(6, 60) | st.integers(300, 900),
    budget_unit=st.sampled_from(["rows", "tokens"]),
    complexity_weight=st.sampled_from([0.0, 0.5, 1.0]),
    quotas=st.sampled_from(
        [(), (Quota("source", "*", share=0.2),), (Quota("flag", "refusal", most=3),)]
    ),
    conditions=st.sampled_from([(), (Condition("complexity", 2, 5), Condition("tokens", high=40))]),
    pin_place=st.sampled_from(["first", "rank"]),
)


def fits(rule: SelectionRule, table: PoolTable) -> bool:
    pins = table.rows_of(tuple(set(rule.pinned)))
    taken = table.tokens[pins].sum() if rule.budget_unit == "tokens" else len(pins)
    return bool(taken <= rule.budget)


@settings(max_examples=120, deadline=None)
@given(rules, st.integers(0, 5))
def test_a_selection_is_the_same_with_a_graph_and_adds_up(rule: SelectionRule, seed: int):
    table = pool(seed)
    if not fits(rule, table):
        with pytest.raises(SelectionError, match="raise the budget, or take pins out"):
            select(rule, table)
        return
    plain = select(rule, table)
    read = select(rule, replace(table, graph=build_graph(table.vectors, floor=0.4)))
    for name in ("kept", "status", "rank", "blocker", "similarity", "rank_reached", "filled"):
        np.testing.assert_array_equal(getattr(plain.trace, name), getattr(read.trace, name))
    assert plain.sentence() == read.sentence()
    assert plain.trace.count(*(s.code for s in codes.STATUSES)) == ROWS
    selected = plain.trace.count(codes.KEPT, codes.PINNED)
    assert selected == len(plain.kept) == len(set(plain.kept.tolist()))
    assert all(plain.why(row) == read.why(row) != "" for row in range(ROWS))


@settings(max_examples=120, deadline=None)
@given(rules, st.integers(0, 5))
def test_pins_are_in_exclusions_out_and_no_limit_is_passed(rule: SelectionRule, seed: int):
    table = pool(seed)
    if not fits(rule, table):
        return
    outcome = select(rule, table)
    pins = table.rows_of(rule.pinned)
    assert set(pins.tolist()) <= set(outcome.kept.tolist())
    assert not set(table.rows_of(rule.excluded).tolist()) & set(outcome.kept.tolist())
    in_tokens = rule.budget_unit == "tokens"
    assert (table.tokens[outcome.kept].sum() if in_tokens else len(outcome.kept)) <= rule.budget
    chosen = outcome.kept[~np.isin(outcome.kept, pins)]
    assert (outcome.filtered_by[chosen] == -1).all()
    assert not np.isnan(outcome.scores[chosen]).any()


def status_of(outcome: Outcome, row: int) -> str:
    return codes.STATUSES[outcome.trace.status[row]].key


def test_pinned_rows_need_neither_score_nor_vector_nor_filter():
    table = pool()
    rule = SelectionRule(
        budget=10, pinned=ids([3, 117, 119]), conditions=(Condition("tokens", high=0),)
    )
    outcome = select(rule, table)
    assert outcome.kept.tolist() == [119, 3, 117]
    assert outcome.why(3) == "pinned: selected because you pinned it, at rank 1"
    assert outcome.why(119) == "pinned: selected because you pinned it"
    assert "3 of them are pinned" in outcome.sentence()


def test_pins_come_first_or_at_their_rank():
    table = pool()
    top = select(SelectionRule(threshold=1.0, budget=20), table).kept
    rule = SelectionRule(threshold=1.0, budget=20, pinned=ids(top[[15]]))
    assert select(rule, table).kept.tolist() == [top[15], *np.delete(top, 15)]
    assert select(replace(rule, pin_place="rank"), table).kept.tolist() == top.tolist()


def test_a_pin_of_low_rank_takes_the_last_place():
    table = pool()
    order = select(SelectionRule(threshold=1.0), table).kept
    rule = SelectionRule(threshold=1.0, budget=5, pinned=ids(order[[40]]), pin_place="rank")
    outcome = select(rule, table)
    assert outcome.kept.tolist() == [*order[:4], order[40]]
    assert outcome.why(int(order[4])) == "below the cut: rank 5, the budget filled after rank 4"


def test_an_exclusion_makes_room_for_the_rows_it_blocked():
    vectors = np.array([[1, 0], [1, 0.01], [0, 1]], np.float32)
    table = PoolTable.of_scores(np.array([5.0, 4, 3]), np.ones(3), vectors)
    table = replace(table, ids=np.array(["a", "b", "c"]))
    assert select(SelectionRule(), table).kept.tolist() == [0, 2]
    outcome = select(SelectionRule(excluded=("a", "not in the pool")), table)
    assert outcome.kept.tolist() == [1, 2]
    assert outcome.why(0) == "excluded: left out because you excluded it"
    assert outcome.sentence().endswith("; 1 row was excluded")


def test_a_pin_that_is_not_in_the_pool_is_refused():
    with pytest.raises(
        SelectionError, match="1 pinned conversations are not in this pool, first zz"
    ):
        select(SelectionRule(pinned=("id003", "zz")), pool())
    with pytest.raises(SelectionError, match="came without its ids"):
        select(SelectionRule(pinned=("id003",)), replace(pool(), ids=None))


def test_conditions_say_which_bound_left_a_row_out():
    table = pool()
    rule = SelectionRule(conditions=(Condition("complexity", 2, 4.5), Condition("cluster", low=1)))
    outcome = select(rule, table)
    complexity = table.turn_complexity
    assert outcome.why(int(np.flatnonzero(complexity < 2)[0])) == "filtered: complexity below 2"
    assert outcome.why(int(np.flatnonzero(complexity > 5)[0])) == "filtered: complexity above 4.5"
    assert outcome.why(116) == "filtered: complexity not known"
    inside = np.flatnonzero((complexity >= 2) & (complexity <= 4.5) & (table.cluster == -1))
    assert outcome.why(int(inside[0])) == "filtered: cluster not known"
    assert ((complexity[outcome.kept] >= 2) & (complexity[outcome.kept] <= 4.5)).all()
    assert "complexity above 4.5: " in outcome.sentence()


def test_a_condition_on_the_evol_score_follows_the_weights():
    table = pool()
    rule = SelectionRule(conditions=(Condition("evol_score", low=9),), threshold=1.0)
    squared = select(replace(rule, complexity_weight=2, quality_weight=0), table)
    assert (squared.scores[squared.kept] >= 9).all()
    assert set(squared.kept) == set(
        np.flatnonzero((table.turn_complexity >= 3) & (table.place >= 0))
    )


def test_a_column_the_pool_does_not_have_is_named():
    with pytest.raises(SelectionError, match="no response characters to put a condition on"):
        select(SelectionRule(conditions=(Condition("response_characters", low=1),)), pool())
    with pytest.raises(SelectionError, match="make the similarity graph first"):
        select(SelectionRule(quotas=(Quota("cluster", "1", 2),)), replace(pool(), cluster=None))


@pytest.mark.parametrize(
    ("quota", "values", "most"),
    [
        (Quota("source", "*", share=0.25), "source", 10),
        (Quota("cluster", "3", most=2), "cluster", 2),
    ],
)
def test_a_quota_is_kept_and_named(quota: Quota, values: str, most: int):
    table = pool()
    outcome = select(SelectionRule(threshold=1.0, budget=40, quotas=(quota,)), table)
    counted = np.bincount(getattr(table, values)[outcome.kept] + 1)[1:]
    assert (counted if quota.name == "*" else counted[3:4]).max() == most
    out = np.flatnonzero(outcome.trace.status == codes.OVER_QUOTA)
    value = getattr(table, values)[out[0]]
    name = table.source_names[value] if values == "source" else value
    assert outcome.why(int(out[0])).startswith(f"over quota: {values} {name}: at most {most} rows")
    assert f"{len(out)} rows were over quota" in outcome.sentence()


def test_a_share_of_a_budget_in_tokens_counts_tokens():
    table = pool()
    rule = SelectionRule(
        threshold=1.0, budget=1000, budget_unit="tokens", quotas=(Quota("source", "*", share=0.1),)
    )
    outcome = select(rule, table)
    spent = np.bincount(table.source[outcome.kept], weights=table.tokens[outcome.kept])
    assert 50 < spent.max() <= 100
    assert outcome.tokens == spent.sum()


def test_a_budget_in_tokens_ends_at_the_first_row_that_would_go_over_it():
    table = pool()
    order = select(SelectionRule(threshold=1.0), table).kept
    spent = np.cumsum(table.tokens[order])
    rule = SelectionRule(threshold=1.0, budget=int(spent[9]) + 1, budget_unit="tokens")
    outcome = select(rule, table)
    assert outcome.kept.tolist() == order[: np.searchsorted(spent, spent[9] + 1, "right")].tolist()
    assert f"after rank 10 ({spent[9]:,} of {spent[9] + 1:,} tokens)" in outcome.sentence()


def test_a_dimension_of_weight_zero_is_not_needed():
    table = pool()
    rule = SelectionRule(complexity_weight=0, quality_weight=1)
    assert select(rule, table).trace.count(codes.NOT_SCORED) == 0
    assert select(rule, table).scores.tolist() == table.turn_quality.astype(float).tolist()
    assert select(SelectionRule(), table).trace.count(codes.NOT_SCORED) == 2


def test_scores_below_zero_have_no_power():
    table = replace(pool(), turn_complexity=np.full(ROWS, -2, np.float32))
    with pytest.raises(SelectionError, match=r"complexity goes down to -2.* power of 0.5"):
        select(SelectionRule(complexity_weight=0.5), table)


def test_what_is_remembered_is_not_changed_by_pins():
    table = pool()
    before = select(SelectionRule(conditions=(Condition("tokens", high=20),)), table)
    held = before.filtered_by.copy()
    long = int(np.flatnonzero(table.tokens > 20)[0])
    select(replace(before.rule, pinned=ids([long])), table)
    assert (select(before.rule, table).filtered_by == held).all()
