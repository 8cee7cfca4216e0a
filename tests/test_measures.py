"""Figures of a selection against plain loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from deita_core.selection import PoolTable, SelectionRule, compare, select
from deita_core.selection.analysis.measures import random_baseline


@pytest.fixture(scope="module")
def table() -> PoolTable:
    """60 rows: two turns each, three languages, two sources; row 3 has no vector."""
    rng = np.random.default_rng(1)
    return PoolTable(
        vectors=rng.normal(size=(59, 4)).astype(np.float32),
        vector_rows=np.delete(np.arange(60), 3),
        turn_row=np.repeat(np.arange(60), 2),
        turn_complexity=rng.uniform(1, 6, 120).astype(np.float32),
        turn_quality=np.where(rng.random(120) < 0.1, np.nan, rng.uniform(1, 6, 120)),
        turns=np.full(60, 2),
        tokens=np.arange(60),
        language=rng.integers(0, 3, 60),
        language_names=("de", "en", "fr"),
        source=(np.arange(60) >= 45).astype(np.int16),
        source_names=("a.json", "b.json"),
        flags=np.zeros(60, np.int64),
        flag_names=(),
    )


def test_means_are_those_of_a_plain_loop(table):
    outcome = select(SelectionRule(budget=15), table)
    got = compare(table, outcome).selection
    complexity = [table.turn_complexity[2 * r : 2 * r + 2].mean() for r in outcome.kept]
    quality = [np.nanmean(table.turn_quality[2 * r : 2 * r + 2]) for r in outcome.kept]
    assert got.rows == 15
    assert got.complexity == pytest.approx(np.mean(complexity))
    assert got.quality == pytest.approx(np.mean(quality))
    assert got.evol_score == pytest.approx(outcome.scores[outcome.kept].mean())
    assert (got.turns, got.tokens_total) == (2.0, outcome.kept.sum())


def test_shares_add_up_and_the_largest_comes_first(table):
    pool = compare(table, select(SelectionRule(), table)).pool
    assert [(s.name, s.rows, s.share) for s in pool.sources] == [
        ("a.json", 45, 0.75),
        ("b.json", 15, 0.25),
    ]
    assert math.isclose(sum(s.share for s in pool.languages), 1.0)
    assert [s.rows for s in pool.languages] == sorted(
        (s.rows for s in pool.languages), reverse=True
    )


def test_the_baseline_is_as_large_and_from_the_same_candidates(table):
    outcome = select(SelectionRule(budget=15, sources=("b.json",)), table)
    drawn = random_baseline(outcome, seed=1)
    assert len(drawn) == len(outcome.kept)
    assert drawn.min() >= 45
    assert random_baseline(outcome, seed=1).tolist() == drawn.tolist()
    whole = select(SelectionRule(budget=15), table)
    assert random_baseline(whole, 1).tolist() != random_baseline(whole, 2).tolist()
    assert 3 not in random_baseline(select(SelectionRule(threshold=1.0), table))


def test_an_empty_selection_has_no_means(table):
    got = compare(table, select(SelectionRule(budget=0), table)).selection
    assert got.rows == got.tokens_total == 0
    assert math.isnan(got.complexity)
    assert got.languages == ()
