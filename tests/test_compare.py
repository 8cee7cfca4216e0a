"""Two sets of rows side by side, and how much of a selection survives a change."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import ks_2samp

from deita_core.errors import SelectionError
from deita_core.progress import finish
from deita_core.selection import SelectionRule, select
from deita_core.selection.analysis.compare import (
    RowSet,
    SetComparison,
    compare_sets,
    ks_distance,
    measure_sets,
    random_set,
)
from deita_core.selection.analysis.measures import diversity_steps
from deita_core.selection.analysis.novelty import novel_sum
from deita_core.selection.analysis.stability import (
    Survival,
    changes_of,
    stability,
    stability_sentence,
)
from deita_core.selection.filters import rule_scores
from tests.test_strategies import pool

SCORES = rule_scores(SelectionRule(), pool())


def compared(a: list[int], b: list[int]) -> SetComparison:
    sets = [RowSet(name, np.array(rows, np.int64)) for name, rows in (("A", a), ("B", b))]
    return compare_sets(pool(), *sets, SCORES)


def test_rows_in_both_and_in_one_alone_are_told_in_their_order():
    found = compared([9, 3, 5, 1], [5, 7, 9])
    assert found.both.tolist() == [9, 5]
    assert found.only_a.tolist() == [3, 1]
    assert found.only_b.tolist() == [7]
    assert found.jaccard == pytest.approx(2 / 5)


def test_the_sentence_says_what_is_shared_and_what_differs_most():
    found = compared([9, 3, 5, 1], [5, 7, 9])
    said = found.sentence()
    assert said.startswith("A and B share 2 rows (Jaccard 0.40), 2 only in A, 1 only in B; ")
    assert f"what differs most is {found.numbers[0].column.replace('_', ' ')}: median" in said


def test_sets_of_the_same_rows_are_said_to_be_the_same():
    assert compared([3, 1], [1, 3]).sentence() == "A and B hold the same 2 rows"


@pytest.mark.parametrize("seed", range(5))
def test_the_ks_distance_is_that_of_scipy(seed):
    draw = np.random.default_rng(seed)
    a, b = draw.integers(0, 9, 40).astype(float), draw.integers(2, 12, 25).astype(float)
    assert ks_distance(a, b) == pytest.approx(ks_2samp(a, b).statistic)


def test_numeric_columns_come_with_the_largest_difference_first():
    table = pool()
    longest = np.argsort(-table.response_characters)[:20].tolist()
    shortest = np.argsort(table.response_characters)[:20].tolist()
    numbers = compared(longest, shortest).numbers
    assert numbers[0].column in ("characters", "response_characters")
    assert [one.ks for one in numbers] == sorted((one.ks for one in numbers), reverse=True)
    mean = table.response_characters[longest].mean()
    assert next(n for n in numbers if n.column == "response_characters").mean_a == mean


def test_shares_count_each_language_source_and_cluster():
    table = pool()
    shares = {(s.column, s.name): s for s in compared(list(range(20)), list(range(40, 60))).shares}
    source = shares["source", "a.json"]
    assert (source.rows_a, source.rows_b) == tuple(
        int((table.source[rows] == 0).sum()) for rows in (range(20), range(40, 60))
    )
    assert source.share_a == source.rows_a / 20
    assert shares["language", "en"].share_b == 1.0
    assert {name for column, name in shares if column == "cluster"} <= {"0", "1", "2"}


def test_figures_are_the_measures_of_each_set_and_of_random_rows():
    table, a, b = pool(), list(range(30)), list(range(20, 50))
    found = finish(measure_sets(table, compared(a, b), SCORES, covered_at=0.5, seeds=(4, 5)))
    figures = {one.name: one for one in found.figures}
    by_itself = finish(diversity_steps(table, np.array(a), 0.5))
    assert figures["coverage"].a == by_itself.coverage
    assert figures["nearest_distance"].a == by_itself.nearest_distance
    assert figures["tokens"].b == table.tokens[b].sum()
    fewest = min((table.place[rows] >= 0).sum() for rows in (a, b))
    assert figures["novel_sum"].b == novel_sum(table, np.array(b), int(fewest))
    draw = random_set(table, SCORES, 30, 4)
    assert figures["tokens"].random[0] == table.tokens[draw].sum()
    assert figures["tokens"].random_mean == sum(figures["tokens"].random) / 2
    both = len(set(draw) & set(a))
    assert found.chance[0] == both / (60 - both)


def test_without_vectors_the_figures_of_diversity_are_not_known():
    bare = replace(pool(), vectors=np.empty((0, 0)), vector_rows=np.empty(0, np.int64), graph=None)
    sets = RowSet("A", np.arange(9)), RowSet("B", np.arange(5, 20))
    found = finish(measure_sets(bare, compare_sets(bare, *sets, SCORES), SCORES))
    figures = {figure.name: figure for figure in found.figures}
    for name in ("vendi", "novel_sum", "nearest_distance", "pool_distance", "coverage"):
        assert (figures[name].a, figures[name].random_mean) == (None, None)


def test_an_empty_set_shares_nothing():
    found = compared([], [4, 5])
    assert found.jaccard == 0.0
    assert found.sentence().startswith("A and B share 0 rows (Jaccard 0.00), 0 only in A, 2 only")


@pytest.mark.parametrize(("rows", "said"), [([1, 60], "rows 0 to 59"), ([1, 1], "a row twice")])
def test_rows_that_cannot_be_are_refused(rows, said):
    with pytest.raises(SelectionError, match=said):
        compared(rows, [1])


def test_random_rows_are_scored_and_embedded_where_there_are_enough():
    table = pool()
    drawn = random_set(table, SCORES, 20, 0)
    assert (table.place[drawn] >= 0).all()
    assert not np.isnan(SCORES[drawn]).any()
    assert len(random_set(table, SCORES, 60, 0)) == 60


# stability


RULE = SelectionRule("repr_filter", 0.5, 15)


def test_the_share_that_survives_is_that_of_the_changed_rules_rows():
    table, rows = pool(), select(RULE, pool()).kept
    found = finish(stability(RULE, table, rows, {}))
    again = {change: rule for _, change, rule in changes_of(RULE)}
    for one in found[:-1]:
        kept = select(again[one.change], table).kept
        assert one.share == len(set(kept) & set(rows)) / len(rows)
        assert one.rows == len(kept)


def test_the_rule_as_it_stands_gives_the_selection_again():
    found = finish(stability(RULE, pool(), select(RULE, pool()).kept, {}))
    assert (found[0].change, found[0].share) == ("the rule as it stands", 1.0)


def test_the_last_line_is_what_chance_would_share():
    rows = select(RULE, pool()).kept
    last = finish(stability(RULE, pool(), rows, {}))[-1]
    assert last.kind == "chance"
    assert last.share == len(rows) / len(pool().vectors)


@pytest.mark.parametrize(
    ("rule", "kinds"),
    [
        (RULE, {"as it stands", "threshold", "aggregation"}),
        (SelectionRule("top_score"), {"as it stands", "aggregation"}),
        (SelectionRule("random"), {"as it stands", "aggregation", "seed"}),
    ],
)
def test_only_what_the_strategy_looks_at_is_changed(rule, kinds):
    assert {kind for kind, _, _ in changes_of(rule)} == kinds


def test_a_threshold_of_one_is_not_raised():
    changed = [r.threshold for k, _, r in changes_of(SelectionRule(threshold=1.0)) if k[0] == "t"]
    assert changed == [0.98]


def test_another_table_is_tried_with_the_rule_as_it_is():
    other = pool(seed=1)
    rows = select(RULE, pool()).kept
    found = finish(stability(RULE, pool(), rows, {("embedder", "embedder x"): other}))
    line = next(one for one in found if one.kind == "embedder")
    assert line.survived == len(set(select(RULE, other).kept) & set(rows))


def test_a_change_that_cannot_be_tried_says_why():
    bare = replace(pool(), graph=None)
    rule = SelectionRule("facility_location", 0.5, 10)
    rows = select(rule, pool()).kept
    found = finish(stability(rule, pool(), rows, {("embedder", "x"): bare}))
    line = next(one for one in found if one.kind == "embedder")
    assert "similarity graph" in line.reason
    assert np.isnan(line.share)


def test_the_sentence_tells_the_least_and_the_most_that_is_left():
    stands = Survival("as it stands", "the rule as it stands", 10, 7, 0.7)
    mean = Survival("aggregation", "turns: mean", 10, 8, 0.8)
    lower = Survival("threshold", "similarity 0.68", 10, 9, 0.9)
    none = Survival("embedder", "embedder x", 0, 0, float("nan"), "it has no vectors")
    chance = Survival("chance", "random rows", 10, 3, 0.3)
    assert stability_sentence([stands, mean, lower, none, chance]) == (
        "other choices keep 80.0% to 90.0% of it, least: turns: mean; random rows would share 30.0%"
    )
    assert "keep 80.0% of it" in stability_sentence([stands, mean])
    assert stability_sentence([stands, none, chance]) == "no other choice could be tried"


def test_an_empty_selection_has_no_stability():
    with pytest.raises(SelectionError, match="holds no rows"):
        finish(stability(RULE, pool(), np.empty(0, np.int64), {}))
