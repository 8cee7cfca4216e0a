"""review.queue_rule: which rows a queue gets, in which order."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import assume, given, settings

from deita_core.errors import ReviewError
from deita_core.review.queue_rule import (
    QueueInput,
    QueueRule,
    choose_rows,
    rows_near_cut,
    rows_near_flip,
)
from deita_core.selection import status as codes
from deita_core.selection.analysis.thresholds import kept_spans
from deita_core.selection.outcome import select
from deita_core.selection.pool_table import PoolTable
from deita_core.selection.rule import SelectionRule
from tests.test_thresholds import cases


def table_of(rows: int = 40) -> PoolTable:
    random = np.random.default_rng(3)
    quality = random.uniform(1, 6, rows)
    table = PoolTable.of_scores(np.ones(rows), quality, random.normal(size=(rows, 4)))
    flags = np.zeros(rows, np.int64)
    flags[::5] = 1
    flags[::4] |= 2
    return replace(
        table,
        flags=flags,
        flag_names=("loop", "cut"),
        cluster=(np.arange(rows) % 4 - 1).astype(np.int32),
    )


def test_a_random_queue_is_the_same_by_its_seed_and_grows_at_its_end() -> None:
    table = table_of()
    ten, twenty = (choose_rows(QueueRule("random", n), table).tolist() for n in (10, 20))
    assert twenty[:10] == ten
    assert len(set(twenty)) == 20
    assert choose_rows(QueueRule("random", 10, seed=1), table).tolist() != ten


def test_given_rows_keep_their_order_and_stand_once() -> None:
    within = np.array([7, 3, 7, 5])
    assert choose_rows(QueueRule("rows"), table_of(), within=within).tolist() == [7, 3, 5]


def test_the_top_are_the_selected_rows_with_the_highest_scores() -> None:
    table = table_of()
    outcome = select(SelectionRule(threshold=1.0, budget=12), table)
    found = choose_rows(QueueRule("top", 5), table, QueueInput(outcome))
    assert found.tolist() == np.argsort(-table.turn_quality)[:5].tolist()


def test_rows_near_the_cut_are_those_by_rank_on_both_sides() -> None:
    table = table_of()
    outcome = select(SelectionRule(threshold=1.0, budget=12), table)
    by_rank = np.argsort(-table.turn_quality)
    assert set(rows_near_cut(outcome)[:6].tolist()) == set(by_rank[9:15].tolist())
    assert rows_near_cut(select(SelectionRule(threshold=1.0), table)).tolist() == []


@settings(max_examples=60, deadline=None)
@given(cases())
def test_rows_near_a_flip_are_ordered_as_by_their_spans_one_by_one(case) -> None:
    outcome = select(case.rule, case.table)
    assume(outcome.trace.rank_reached)
    spans = kept_spans(outcome, case.table)
    distance = {}
    for place, row in enumerate(spans.order.tolist()):
        own = slice(spans.bounds[place], spans.bounds[place + 1])
        edges = [*spans.low[own].tolist(), *spans.high[own].tolist()]
        apart = [abs(e - case.rule.threshold) for e in edges if spans.floor < e < 1.0]
        visited = outcome.trace.rank[row] <= outcome.trace.rank_reached
        if apart and visited and not spans.pinned[place]:
            distance[row] = min(apart)
    found = rows_near_flip(outcome, case.table).tolist()
    assert set(found) == set(distance)
    assert [distance[row] for row in found] == sorted(distance.values())


@settings(max_examples=60, deadline=None)
@given(cases())
def test_a_boundary_queue_takes_from_the_cut_and_the_flips_in_turn(case) -> None:
    outcome = select(case.rule, case.table)
    cut, flip = rows_near_cut(outcome).tolist(), rows_near_flip(outcome, case.table).tolist()
    wanted = list(
        dict.fromkeys(
            r for n in range(len(case.table)) for r in (*cut[n : n + 1], *flip[n : n + 1])
        )
    )
    assume(wanted)
    found = choose_rows(QueueRule("boundary", 99), case.table, QueueInput(outcome))
    assert found.tolist() == wanted


def test_rows_where_scorers_are_weak_come_first() -> None:
    table = table_of(4)
    values = np.array([0.5, np.nan, 0.1, 0.5])
    low = choose_rows(QueueRule("low-mass"), table, QueueInput(mass=values))
    apart = choose_rows(QueueRule("disagree"), table, QueueInput(rank_difference=values))
    assert (low.tolist(), apart.tolist()) == ([2, 0, 3], [0, 3, 2])


def test_flagged_rows_are_those_with_one_of_the_flags() -> None:
    table = table_of()
    found = choose_rows(QueueRule("flagged", flags=("loop",)), table)
    assert sorted(found.tolist()) == list(range(0, 40, 5))
    assert len(choose_rows(QueueRule("flagged"), table)) == 16


def test_a_quota_takes_so_many_of_each_cluster_and_none_without_one() -> None:
    table = table_of()
    order = choose_rows(QueueRule("random", 40), table)
    found = choose_rows(QueueRule("random", 40, per_cluster=3), table)
    wanted = []
    for row in order.tolist():
        same = [r for r in wanted if table.cluster[r] == table.cluster[row]]
        if table.cluster[row] >= 0 and len(same) < 3:
            wanted.append(row)
    assert found.tolist() == wanted


def test_a_rule_can_be_held_to_a_view() -> None:
    within = np.array([1, 2, 3, 5, 8])
    assert set(choose_rows(QueueRule("random"), table_of(), within=within).tolist()) == set(
        within.tolist()
    )


@pytest.mark.parametrize(
    ("rule", "words"),
    [
        (QueueRule("rows"), "needs them"),
        (QueueRule("top"), "looks at a selection"),
        (QueueRule("boundary"), "looks at a selection"),
        (QueueRule("low-mass"), "score with a language model"),
        (QueueRule("disagree"), "no two scorers of quality"),
        (QueueRule("flagged", flags=("odd",)), "has the flag 'odd'; it has loop, cut"),
    ],
)
def test_what_a_rule_needs_is_said(rule: QueueRule, words: str) -> None:
    with pytest.raises(ReviewError, match=words):
        choose_rows(rule, table_of())


def test_no_row_is_left_or_no_clusters_are_there() -> None:
    table = table_of()
    with pytest.raises(ReviewError, match="no row is left for a queue of at random"):
        choose_rows(QueueRule("random"), table, within=np.empty(0, np.int64))
    with pytest.raises(ReviewError, match="has no clusters"):
        choose_rows(QueueRule("random", per_cluster=1), replace(table, cluster=None))


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"kind": "best"}, "made by rows, random"),
        ({"kind": "random", "size": 0}, "at least 1 row, got 0"),
        ({"kind": "random", "per_cluster": 0}, "at least 1 row of a cluster"),
    ],
)
def test_a_rule_out_of_range_is_refused(options, words: str) -> None:
    with pytest.raises(ReviewError, match=words):
        QueueRule(**options)


def test_a_rule_comes_back_from_its_json() -> None:
    rule = QueueRule("flagged", 5, 2, "complexity", ("loop",), 3)
    assert QueueRule.from_json(rule.to_json()) == rule
    with pytest.raises(ReviewError, match="no rule of a queue"):
        QueueRule.from_json('{"kind": "random", "more": 1}')


def test_only_kept_rows_and_those_below_the_cut_are_near_it() -> None:
    table = table_of()
    outcome = select(SelectionRule(threshold=0.5, budget=8), table)
    near = outcome.trace.status[rows_near_cut(outcome)]
    assert set(near.tolist()) == {codes.KEPT, codes.BELOW_CUT}
