"""The blocked Repr Filter against a plain loop over the definition."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.progress import finish
from deita_core.selection.candidates import Limits
from deita_core.selection.repr_filter import (
    repr_filter,
    trace,
)
from deita_core.selection.status import BELOW_CUT, FILTERED, KEPT, NEAR_DUPLICATE
from deita_core.selection.strategies.greedy import pass_steps
from deita_core.similarity.nearest import nearest_steps
from tests.candidate_pools import made

Floats = NDArray[np.float32]


def cosine(a: Floats, b: Floats) -> float:
    x, y = a.astype(np.float64), b.astype(np.float64)
    return float(np.round(x @ y / (np.linalg.norm(x) * np.linalg.norm(y)), 12))


def naive(embeddings: Floats, scores: NDArray, threshold: float, budget: int | None) -> list[int]:
    kept: list[int] = []
    for row in sorted(range(len(scores)), key=lambda i: (-scores[i], i)):
        if budget is not None and len(kept) >= budget:
            break
        if all(cosine(embeddings[row], embeddings[k]) <= threshold for k in kept):
            kept.append(row)
    return kept


@st.composite
def pools(draw: st.DrawFn) -> tuple[Floats, Floats]:
    """Rows on a coarse grid (many equal similarities), copies, scaled copies, tied scores."""
    n, d = draw(st.integers(0, 30)), draw(st.integers(1, 5))
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    grid = draw(st.booleans())
    embeddings = rng.integers(-2, 3, (n, d)) if grid else rng.normal(size=(n, d))
    embeddings = embeddings.astype(np.float64)
    for row in np.flatnonzero(rng.random(n) < 0.3):
        factor = rng.choice([1, 1, 2, 1e-12, 1e12, 0.3])
        embeddings[row] = embeddings[rng.integers(n)] * factor
    embeddings = embeddings.astype(np.float32)
    embeddings[~(embeddings.any(axis=1) & np.isfinite(embeddings).all(axis=1))] = 1
    return embeddings, rng.integers(0, draw(st.integers(1, 20)), n).astype(np.float32)


thresholds = st.one_of(
    st.floats(-1, 1), st.sampled_from([-1.0, -0.5, 0.0, 0.5, 0.6, 0.8, 0.9, 1 - 1e-12, 1.0])
)
budgets = st.one_of(st.none(), st.integers(0, 30))


@settings(max_examples=400, deadline=None)
@given(pools(), thresholds, budgets)
def test_the_filter_keeps_what_the_plain_loop_keeps(pool, threshold, budget):
    embeddings, scores = pool
    kept = repr_filter(embeddings, scores, threshold, budget)
    assert kept.dtype == np.int64
    assert kept.tolist() == naive(embeddings, scores, threshold, budget)


@settings(max_examples=150, deadline=None)
@given(pools(), thresholds, budgets, st.integers(1, 7))
def test_the_block_size_changes_nothing(pool, threshold, budget, block):
    embeddings, scores = pool
    limits = Limits(threshold, budget)
    candidates = made(embeddings, scores.astype(np.float64), limits)
    steps = pass_steps(
        candidates.best_first(), candidates, limits, threshold=threshold, block=block
    )
    kept = finish(steps).kept
    assert kept.tolist() == naive(embeddings, scores, threshold, budget)


@settings(max_examples=200, deadline=None)
@given(pools(), thresholds, budgets)
def test_the_trace_explains_every_row(pool, threshold, budget):
    embeddings, scores = pool
    result = trace(embeddings, scores, threshold, budget)
    kept = naive(embeddings, scores, threshold, budget)
    assert result.kept.tolist() == kept
    order = sorted(range(len(scores)), key=lambda i: (-scores[i], i))
    assert [result.rank[row] for row in order] == list(range(1, len(order) + 1))
    for rank, row in enumerate(order, start=1):
        earlier = [k for k in kept if result.rank[k] < rank]
        if row in kept:
            expected = KEPT, -1
        elif budget is not None and len(earlier) >= budget:
            expected = BELOW_CUT, -1
        else:
            closest = max(earlier, key=lambda k: cosine(embeddings[row], embeddings[k]))
            expected = NEAR_DUPLICATE, closest
            similarity = cosine(embeddings[row], embeddings[closest])
            assert result.similarity[row] == np.float32(similarity)
        assert (result.status[row], result.blocker[row]) == expected


@settings(max_examples=200, deadline=None)
@given(pools(), st.integers(1, 6), st.booleans())
def test_the_nearest_row_is_the_first_of_the_most_similar(pool, block, skip_self):
    embeddings, _ = pool
    rows = np.arange(len(embeddings))
    targets = rows[::-1][: len(rows) // 2 + 1].copy()
    nearest = finish(nearest_steps(embeddings, rows, targets, skip_self=skip_self, block=block))
    for row in rows:
        allowed = [p for p, t in enumerate(targets) if not (skip_self and t == row)]
        similar = [cosine(embeddings[row], embeddings[targets[p]]) for p in allowed]
        assert nearest.place[row] == (allowed[int(np.argmax(similar))] if allowed else -1)


@pytest.fixture(scope="module")
def wide() -> tuple[Floats, Floats]:
    """2,600 rows in 384 dimensions: several blocks and tiles, clusters, copies, tied scores."""
    rng = np.random.default_rng(5)
    centres = rng.normal(size=(150, 384))
    noise = rng.normal(size=(2600, 384)) * rng.choice([0.05, 0.3, 0.8], size=(2600, 1))
    embeddings = (centres[rng.integers(0, 150, 2600)] + noise).astype(np.float32)
    embeddings[rng.integers(0, 2600, 400)] = embeddings[rng.integers(0, 2600, 400)]
    return embeddings, rng.integers(0, 500, 2600).astype(np.float32)


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.9, 0.97, 1 - 1e-12])
@pytest.mark.parametrize("budget", [40, 1500, None])
def test_blocks_and_tiles_of_real_width_keep_what_the_plain_loop_keeps(wide, threshold, budget):
    embeddings, scores = wide
    units = embeddings.astype(np.float64)
    units /= np.linalg.norm(units, axis=1, keepdims=True)
    similar = np.round(units @ units.T, 12)
    kept: list[int] = []
    for row in np.argsort(-scores, kind="stable"):
        if len(kept) != budget and not (similar[row, kept] > threshold).any():
            kept.append(int(row))
    assert repr_filter(embeddings, scores, threshold, budget).tolist() == kept


def test_a_threshold_of_one_keeps_copies_and_any_lower_one_drops_them():
    embeddings = np.random.default_rng(0).normal(size=(1, 384)).repeat(50, axis=0)
    scores = np.arange(50)
    assert len(repr_filter(embeddings, scores, 1.0)) == 50
    assert repr_filter(embeddings, scores, float(np.nextafter(1, 0))).tolist() == [49]


def test_a_million_dense_ties_at_the_threshold_stay_exact():
    embeddings = np.eye(1100, dtype=np.float32)
    assert len(repr_filter(embeddings, np.zeros(1100), 0.0)) == 1100
    assert len(repr_filter(embeddings, np.zeros(1100), -1e-9)) == 1


def test_length_and_float_type_of_the_rows_do_not_matter(wide):
    embeddings, scores = wide
    scaled = embeddings.astype(np.float64) * 1e200
    expected = repr_filter(embeddings, scores, 0.8, 300)
    assert np.array_equal(repr_filter(scaled, scores, 0.8, 300), expected)


def test_the_input_is_left_as_it_was(wide):
    embeddings, scores = wide
    before = embeddings.copy()
    trace(embeddings, scores, 0.8, 300)
    assert np.array_equal(embeddings, before)


def test_rows_that_are_not_eligible_may_hold_anything():
    embeddings = np.array([[1, 0], [np.nan, 0], [0, 0], [0, 1]], np.float32)
    scores = np.array([1, np.nan, 5, 2])
    result = trace(embeddings, scores, 0.9, None, np.array([True, False, False, True]))
    assert result.kept.tolist() == [3, 0]
    assert result.status.tolist() == [KEPT, FILTERED, FILTERED, KEPT]
    assert result.rank.tolist() == [2, 0, 0, 1]


def test_the_trace_says_whether_the_budget_filled():
    embeddings, scores = np.eye(4, dtype=np.float32), np.arange(4.0)
    assert trace(embeddings, scores, 0.9, 2).filled
    assert trace(embeddings, scores, 0.9, 2).rank_reached == 2
    assert not trace(embeddings, scores, 0.9, 9).filled
    assert not trace(embeddings, scores, 0.9, None).filled
    assert trace(embeddings, scores, 0.9, 0).filled


def test_steps_report_progress_and_return_the_rows(wide):
    embeddings, scores = wide
    expected = repr_filter(embeddings, scores, 0.9)
    limits = Limits(0.9, None)
    pool = made(embeddings, scores.astype(np.float64), limits)
    given = (pool.best_first(), pool, limits)
    seen = list(pass_steps(*given, threshold=0.9, explain=False))
    assert [s.visited for s in seen] == [1024, 2048, 2600]
    assert seen[-1].kept == len(expected)
    assert np.array_equal(finish(pass_steps(*given, threshold=0.9)).kept, expected)


@pytest.mark.parametrize(
    ("embeddings", "scores", "arguments", "words"),
    [
        (np.ones(5), np.ones(5), {}, r"\(n, d\), got \(5,\)"),
        (np.ones((2, 2, 2)), np.ones(2), {}, r"\(n, d\), got \(2, 2, 2\)"),
        (np.array([["a"]]), np.ones(1), {}, "floats"),
        (np.ones((3, 2)), np.ones(2), {}, r"\(3,\) like the embeddings, got \(2,\)"),
        (np.ones((3, 2)), np.array([1, np.nan, np.nan]), {}, "row 1 has no score .*2 such rows"),
        (np.array([[1, 1], [0, 0], [0, 0]]), np.ones(3), {}, "row 1 .*zeros.*2 such rows of 3"),
        (np.array([[1, 1], [1, np.nan]]), np.ones(2), {}, "row 1 .*NaN or inf"),
        (np.array([[np.inf, 1], [1, 1]]), np.ones(2), {}, "row 0 .*NaN or inf"),
        (np.ones((2, 0)), np.ones(2), {}, "row 0"),
        (np.ones((2, 2)), np.ones(2), {"threshold": 1.1}, "-1 to 1, got 1.1"),
        (np.ones((2, 2)), np.ones(2), {"threshold": -1.01}, "-1 to 1"),
        (np.ones((2, 2)), np.ones(2), {"threshold": float("nan")}, "got nan"),
        (np.ones((2, 2)), np.ones(2), {"budget": -1}, "0 rows or more, got -1"),
        (np.ones((2, 2)), np.ones(2), {"budget": True}, "whole number of rows, got True"),
        (np.ones((2, 2)), np.ones(2), {"budget": 2.5}, "whole number of rows, got 2.5"),
    ],
)
def test_bad_arguments_are_named(embeddings, scores, arguments, words):
    with pytest.raises(SelectionError, match=words):
        repr_filter(embeddings, scores, **arguments)


def test_very_short_and_very_long_rows_are_no_errors():
    embeddings = np.array([[1e-40, 0], [3e38, 3e38], [0, -1e-30]], np.float32)
    assert len(repr_filter(embeddings, np.ones(3), 0.9)) == 3


def test_an_empty_pool_gives_an_empty_selection():
    assert repr_filter(np.empty((0, 8), np.float32), np.empty(0)).shape == (0,)
