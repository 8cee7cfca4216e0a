"""Diversity, distributions and the effect of the aggregation against plain formulas."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from deita_core.errors import SelectionError
from deita_core.progress import finish
from deita_core.selection import PoolTable, SelectionRule, compare, select
from deita_core.selection.analysis.measures import (
    aggregation_effects,
    coverage,
    distribution,
    distributions,
    diversity_steps,
    nearest_distance,
    pool_distance,
    random_baseline,
    vendi_score,
)
from deita_core.selection.filters import mean_scores
from tests.naive_graph import naive_graph


@pytest.fixture(scope="module")
def table() -> PoolTable:
    """80 rows of one or two turns, some copies; row 3 has no vector."""
    rng = np.random.default_rng(4)
    vectors = rng.normal(size=(79, 5)).astype(np.float32)
    vectors[60:70] = vectors[:10]
    turns = np.arange(80) % 2 + 1
    turn_row = np.repeat(np.arange(80), turns)
    return PoolTable(
        vectors=vectors,
        vector_rows=np.delete(np.arange(80), 3),
        turn_row=turn_row,
        turn_complexity=rng.uniform(1, 6, len(turn_row)),
        turn_quality=rng.uniform(1, 6, len(turn_row)),
        turns=turns,
        tokens=rng.integers(5, 500, 80),
        language=np.zeros(80, np.int16),
        language_names=("en",),
        source=np.zeros(80, np.int16),
        source_names=("a.json",),
        flags=np.zeros(80, np.int64),
        flag_names=(),
        graph=naive_graph(vectors, 0.6),
        cluster=(np.arange(80) % 3 - 1).astype(np.int32),
    )


@pytest.fixture(scope="module")
def rows() -> np.ndarray:
    return np.array([0, 3, 7, 8, 20, 41, 61, 62, 79])


def similarities(table: PoolTable, rows: np.ndarray) -> np.ndarray:
    """Of every vector (first axis) to those of the rows that have one."""
    units = table.vectors.astype(np.float64)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    return np.round(units @ units[table.place[rows[rows != 3]]].T, 12)


def test_the_nearest_distance_is_the_mean_over_the_nearest_other_row(table, rows):
    similar = similarities(table, rows)[table.place[rows[rows != 3]]] - 9 * np.eye(8)
    assert nearest_distance(table, rows) == pytest.approx(1 - similar.max(axis=1).mean())


def test_the_nearest_distance_of_copies_is_zero():
    copies = PoolTable.of_scores(np.ones(3), np.ones(3), np.ones((3, 8), np.float32))
    assert nearest_distance(copies, np.arange(3)) == 0.0
    assert nearest_distance(copies, np.arange(1)) is None


def test_a_sample_of_all_rows_is_all_rows(table):
    everyone = np.arange(80)
    assert nearest_distance(table, everyone, sample=79) == nearest_distance(table, everyone)
    assert nearest_distance(table, everyone, sample=20) != nearest_distance(table, everyone)


def test_the_vendi_score_is_that_of_the_full_kernel(table, rows):
    kernel = similarities(table, rows)[table.place[rows[rows != 3]]] / 8
    values = np.linalg.eigvalsh(kernel)
    values = values[values > 1e-9]
    expected = math.exp(-sum(v * math.log(v) for v in values))
    assert vendi_score(table, rows) == pytest.approx(expected)


def test_rows_all_alike_are_worth_one_and_rows_all_apart_their_number():
    alike = PoolTable.of_scores(np.ones(5), np.ones(5), np.ones((5, 3), np.float32))
    apart = PoolTable.of_scores(np.ones(5), np.ones(5), np.eye(5, dtype=np.float32))
    assert vendi_score(alike, np.arange(5)) == pytest.approx(1.0)
    assert vendi_score(apart, np.arange(5)) == pytest.approx(5.0)
    assert vendi_score(apart, np.arange(0)) is None


def test_the_distance_of_the_pool_is_the_mean_over_its_nearest_selected_rows(table, rows):
    expected = 1 - similarities(table, rows).max(axis=1).mean()
    assert pool_distance(table, rows) == pytest.approx(expected)
    assert pool_distance(table, np.array([3])) is None


def test_a_sample_of_the_pool_is_not_the_random_baseline(table):
    drawn = random_baseline(select(SelectionRule(budget=30), table))
    assert pool_distance(table, drawn, sample=30) > 0


def test_figures_are_the_same_without_a_graph(table, rows):
    bare = replace(table, graph=None)
    assert nearest_distance(bare, rows) == pytest.approx(nearest_distance(table, rows))
    assert pool_distance(bare, rows) == pytest.approx(pool_distance(table, rows))
    for level in (0.6, 0.8, 0.95):
        assert coverage(bare, rows, level) == coverage(table, rows, level)


def test_coverage_counts_every_row_nearer_than_the_level(table, rows):
    near = (similarities(table, rows) > 0.7).any(axis=1)
    assert coverage(table, rows, 0.7) == near.mean()
    assert coverage(table, rows[:0], 0.7) == 0.0
    assert coverage(table, np.arange(80), 0.7) == 1.0
    with pytest.raises(SelectionError, match="below 1"):
        coverage(table, rows, 1.0)


def test_all_figures_at_once_are_those_asked_for_one_by_one(table, rows):
    got = finish(diversity_steps(table, rows, 0.7))
    assert got.nearest_distance == nearest_distance(table, rows)
    assert (got.vendi, got.pool_distance) == (vendi_score(table, rows), pool_distance(table, rows))
    assert got.vendi_sample == 8
    assert got.coverage == coverage(table, rows, 0.7)


def test_a_comparison_has_clusters_where_they_are_known(table):
    rule = SelectionRule(threshold=0.7, budget=20)
    assert {s.name for s in compare(table, select(rule, table)).pool.clusters} == {"0", "1"}
    bare = replace(table, graph=None, cluster=None)
    assert compare(bare, select(rule, bare)).selection.clusters == ()


def test_distributions_hold_every_row_once(table):
    outcome = select(SelectionRule(threshold=0.7, budget=20), table)
    scores = mean_scores(table)
    values = (outcome.scores, scores.complexity, scores.quality, table.tokens, table.turns)
    for got, column in zip(distributions(table, outcome, np.arange(20)), values, strict=True):
        assert got.pool.sum() == np.isfinite(column).sum()
        assert got.selection.sum() == got.random.sum() == 20
        assert len(got.edges) == len(got.pool) + 1


def test_bins_count_like_a_histogram_up_to_a_long_tail():
    values = np.array([1.0, 2, 2, 3, np.nan, *np.linspace(1, 3, 994), 1000])
    got = distribution("evol_score", values, np.arange(3), np.array([999]), bins=4)
    inside = values[values < got.edges[-1]]
    assert got.pool.tolist()[:3] == np.histogram(inside, got.edges)[0].tolist()[:3]
    assert got.random.tolist() == [0, 0, 0, 1]
    assert (got.pool.sum(), got.open_ended) == (999, True)


def test_turns_have_a_bin_for_each_number(table):
    got = distribution("turns", table.turns, np.array([1]), np.array([0]))
    assert got.edges.tolist() == [1.0, 2.0, 3.0]
    assert (got.pool.tolist(), got.selection.tolist()) == ([40, 40], [0, 1])


def test_each_aggregation_is_measured_on_the_selection_it_gives(table):
    rule = SelectionRule(threshold=0.7, budget=20, aggregation="mean")
    effects = {e.aggregation: e for e in aggregation_effects(rule, table)}
    for name, effect in effects.items():
        kept = select(replace(rule, aggregation=name), table).kept
        assert effect.rows == len(kept)
        assert effect.turns == table.turns[kept].mean()
        assert effect.tokens == table.tokens[kept].mean()
    assert effects["mean"].shared == 1.0
    assert effects["sum"].multi_turn > effects["mean"].multi_turn
