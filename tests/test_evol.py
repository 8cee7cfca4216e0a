"""Evol scores against a plain loop over turns, and the order of rows by score."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays as whole_arrays

from deita_core.errors import SelectionError
from deita_core.selection.evol import AGGREGATIONS, evol_scores, from_highest, row_scores

NAMES = [a.name for a in AGGREGATIONS]
score = st.one_of(st.just(math.nan), st.floats(1, 6, width=32))
turns = st.lists(st.tuples(st.integers(0, 7), score, score), max_size=40)


def arrays(rows_of_turns):
    rows = np.array([t[0] for t in rows_of_turns], np.int64)
    complexity = np.array([t[1] for t in rows_of_turns], np.float32)
    return rows, complexity, np.array([t[2] for t in rows_of_turns], np.float32)


def plain(rows_of_turns, rows: int, aggregation: str) -> list[float]:
    result = []
    for row in range(rows):
        products = [c * q for r, c, q in rows_of_turns if r == row and not math.isnan(c * q)]
        ways = {"sum": sum, "mean": lambda p: sum(p) / len(p), "max": max, "last": lambda p: p[-1]}
        result.append(ways[aggregation](products) if products else math.nan)
    return result


@settings(deadline=None)
@given(turns, st.sampled_from(NAMES))
def test_evol_scores_equal_a_plain_loop(rows_of_turns, aggregation):
    got = evol_scores(*arrays(rows_of_turns), 8, aggregation)
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, plain(rows_of_turns, 8, aggregation), rtol=1e-12)


@settings(deadline=None)
@given(turns)
def test_row_scores_are_means_over_the_turns_that_have_them(rows_of_turns):
    got = row_scores(*arrays(rows_of_turns), 8)
    for row in range(8):
        for values, column in ((got.complexity, 1), (got.quality, 2)):
            there = [t[column] for t in rows_of_turns if t[0] == row and not math.isnan(t[column])]
            mean = sum(there) / len(there) if there else math.nan
            np.testing.assert_allclose(values[row], mean, rtol=1e-12)


def test_an_unanswered_last_message_leaves_the_other_turns():
    rows, complexity = np.array([0, 0]), np.array([2.0, 5.0], np.float32)
    quality = np.array([3.0, np.nan], np.float32)
    for aggregation in NAMES:
        assert evol_scores(rows, complexity, quality, 1, aggregation).tolist() == [6.0]


def test_a_row_without_a_complete_turn_is_nan():
    got = evol_scores(np.array([1]), np.array([2.0]), np.array([np.nan]), 2)
    assert np.isnan(got).tolist() == [True, True]


def test_the_sum_favours_long_chats_and_the_mean_does_not():
    rows, ones = np.array([0, 1, 1]), np.ones(3)
    assert evol_scores(rows, ones, ones, 2, "sum").tolist() == [1.0, 2.0]
    assert evol_scores(rows, ones, ones, 2, "mean").tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("rows_of_turns", "rows", "aggregation", "words"),
    [
        (np.array([0]), 1, "median", "one of sum, mean, max, last, got 'median'"),
        (np.array([0, 3]), 2, "sum", "from 0 to 1, got 0 to 3"),
        (np.array([-1]), 2, "sum", "got -1 to -1"),
        (np.array([[0]]), 2, "sum", r"\(t,\) each"),
    ],
)
def test_bad_turns_are_named(rows_of_turns, rows, aggregation, words):
    ones = np.ones(len(rows_of_turns))
    with pytest.raises(SelectionError, match=words):
        evol_scores(rows_of_turns, ones, ones, rows, aggregation)


values = st.sampled_from([0.0, -0.0, 1.5, 2.5, -3.0, np.inf, -np.inf, np.nan]) | st.floats()


@given(whole_arrays(np.float64, st.integers(0, 40), elements=values))
def test_the_order_is_that_of_a_stable_sort(scores):
    np.testing.assert_array_equal(from_highest(scores), np.argsort(-scores, kind="stable"))


def test_ties_of_a_large_pool_are_visited_by_place():
    scores = np.random.default_rng(0).integers(0, 50, 100_000).astype(np.float64)
    np.testing.assert_array_equal(from_highest(scores), np.argsort(-scores, kind="stable"))
