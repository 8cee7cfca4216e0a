"""How the values of a column are spread: in the pool, the selection, and a random baseline.

What a selection looks like, beside the pool and a random one of the same size.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.selection import status as st
from deita_core.selection.analysis.diversity import (
    SAMPLE,
    coverage,
    nearest_similarity,
    typical_similarity,
)
from deita_core.selection.evol import RowScores, row_scores
from deita_core.selection.outcome import Outcome
from deita_core.selection.pool_table import SelectionInput
from deita_core.selection.strategies import random_order

BINS: Final = 40
COLUMNS: Final = ("evol_score", "complexity", "quality", "tokens", "turns")
_WHOLE: Final = ("tokens", "turns")
_TAIL: Final = 0.995


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """Rows by the value of a column.

    edges: (b + 1,) float64, ascending; a bin holds edges[i] <= value < edges[i + 1], the last one
    everything above too (`open_ended`: there is something). pool, selection, random: (b,) int64.
    missing: rows of the pool without a value.
    """

    column: str
    edges: NDArray[np.float64]
    open_ended: bool
    pool: NDArray[np.int64]
    selection: NDArray[np.int64]
    random: NDArray[np.int64]
    missing: int


def distributions(
    table: SelectionInput, outcome: Outcome, random_rows: NDArray[np.int64]
) -> tuple[Distribution, ...]:
    """The distribution of every column of `COLUMNS` over the same bins for all three sets.

    random_rows: (k,) int64, see `random_baseline`.
    """
    scores = row_scores(table.turn_row, table.turn_complexity, table.turn_quality, len(table))
    values = (outcome.scores, scores.complexity, scores.quality, table.tokens, table.turns)
    return tuple(
        distribution(name, column, outcome.kept, random_rows)
        for name, column in zip(COLUMNS, values, strict=True)
    )


def distribution(
    name: str,
    values: NDArray[np.number],
    selection: NDArray[np.int64],
    random_rows: NDArray[np.int64],
    bins: int = BINS,
) -> Distribution:
    """The distribution of one column: (n,) values of the pool's rows, NaN where missing.

    The bins are even up to the 99.5th percentile of the pool; the last one takes the rest.
    """
    if bins < 1:
        raise SelectionError(f"a distribution needs 1 bin or more, got {bins}")
    column = values.astype(np.float64)
    present = column[~np.isnan(column)]
    edges = _edges(present, name in _WHOLE, bins)

    def counts(rows: NDArray[np.float64]) -> NDArray[np.int64]:
        inside = np.searchsorted(edges, rows[~np.isnan(rows)], side="right") - 1
        return np.bincount(np.minimum(inside, len(edges) - 2), minlength=len(edges) - 1)

    return Distribution(
        column=name,
        edges=edges,
        open_ended=bool((present >= edges[-1]).any()),
        pool=counts(column),
        selection=counts(column[selection]),
        random=counts(column[random_rows]),
        missing=len(column) - len(present),
    )


def _edges(present: NDArray[np.float64], whole: bool, bins: int) -> NDArray[np.float64]:
    if not len(present):
        return np.array([0.0, 1.0])
    low, high = float(present.min()), float(np.quantile(present, _TAIL))
    if whole:
        low, high = np.floor(low), np.floor(high) + 1
        step = max(1.0, np.ceil((high - low) / bins))
        edges: NDArray[np.float64] = low + step * np.arange(int(np.ceil((high - low) / step)) + 1)
        return edges
    return np.linspace(low, high, bins + 1) if high > low else np.array([low, low + 1.0])


_NO_CANDIDATES: Final = (st.EXCLUDED, st.FILTERED, st.NOT_SCORED, st.NOT_EMBEDDED)


@dataclass(frozen=True, slots=True)
class Share:
    """A name (a language, a source) and its share of the rows, 0 to 1."""

    name: str
    rows: int
    share: float


@dataclass(frozen=True, slots=True)
class Measures:
    """Figures of a set of rows. Means are over the rows that have the value, NaN without any.

    complexity, quality: mean over rows of their mean turn, 1 to 6. evol_score: mean, as the rule
    aggregates turns. turns, tokens: mean per row. tokens_total: sum. nearest_similarity: mean over
    (a seeded sample of) the rows of the cosine similarity to the nearest other row of the set:
    lower is more diverse; None where it was not asked for. coverage: share of the pool's embedded
    rows that are in the set or nearer than `Comparison.covered_at` to a row of it; None without a
    similarity graph (`coverage` finds it all the same, in its own time). languages, sources,
    clusters: shares, largest first; no clusters where none are known, rows in none are left out.
    """

    rows: int
    complexity: float
    quality: float
    evol_score: float
    turns: float
    tokens: float
    tokens_total: int
    nearest_similarity: float | None
    languages: tuple[Share, ...]
    sources: tuple[Share, ...]
    clusters: tuple[Share, ...]
    coverage: float | None


@dataclass(frozen=True, slots=True)
class Comparison:
    """The pool, the selection, and a random selection of as many of the same candidates.

    covered_at: the similarity of the coverage; None without a similarity graph.
    """

    pool: Measures
    selection: Measures
    random: Measures
    random_rows: NDArray[np.int64]
    covered_at: float | None


def compare(
    table: SelectionInput,
    outcome: Outcome,
    *,
    seed: int = 0,
    nearest: bool = True,
    sample: int = SAMPLE,
    covered_at: float | None = None,
) -> Comparison:
    """The selection beside the pool and the random baseline.

    nearest: also the similarity to the nearest row within selection and baseline (0.5 s for 6,000
    rows of 384 dimensions on two cores, less with a similarity graph); the pool is left out, its
    size makes it no match.
    sample: rows to take that mean over, at most. covered_at: similarity below 1 that the graph
    reaches; None: the typical similarity of a row to its nearest other one.
    """
    if table.graph is not None and covered_at is None:
        covered_at = typical_similarity(table.graph)
    scores = row_scores(table.turn_row, table.turn_complexity, table.turn_quality, len(table))
    baseline = random_baseline(outcome, seed)
    sets = (np.arange(len(table)), outcome.kept, baseline)
    pool, selection, drawn = (
        replace(
            _measure(table, outcome, scores, rows),
            nearest_similarity=nearest_similarity(table, rows, sample, seed) if near else None,
            coverage=_coverage(table, rows, covered_at),
        )
        for rows, near in zip(sets, (False, nearest, nearest), strict=True)
    )
    return Comparison(pool, selection, drawn, baseline, covered_at)


def random_baseline(outcome: Outcome, seed: int = 0) -> NDArray[np.int64]:
    """As many rows as the selection has, drawn from the same candidates: (k,) int64."""
    candidates = np.flatnonzero(~np.isin(outcome.trace.status, _NO_CANDIDATES))
    drawn: NDArray[np.int64] = candidates[random_order(candidates, seed)[: len(outcome.kept)]]
    return drawn


def _coverage(
    table: SelectionInput, rows: NDArray[np.int64], covered_at: float | None
) -> float | None:
    if table.graph is None or covered_at is None or not table.graph.serves(covered_at):
        return None
    return coverage(table, rows, covered_at)


def _measure(
    table: SelectionInput, outcome: Outcome, scores: RowScores, rows: NDArray[np.int64]
) -> Measures:
    tokens = table.tokens[rows]
    clusters = np.empty(0, np.int32) if table.cluster is None else table.cluster[rows]
    names = tuple(map(str, range(int(clusters.max(initial=-1)) + 1)))
    return Measures(
        rows=len(rows),
        complexity=mean_or_nan(scores.complexity[rows]),
        quality=mean_or_nan(scores.quality[rows]),
        evol_score=mean_or_nan(outcome.scores[rows]),
        turns=mean_or_nan(table.turns[rows]),
        tokens=mean_or_nan(tokens),
        tokens_total=int(tokens.sum(dtype=np.int64)),
        nearest_similarity=None,
        languages=_shares(table.language[rows], table.language_names),
        sources=_shares(table.source[rows], table.source_names),
        clusters=_shares(clusters[clusters >= 0], names),
        coverage=None,
    )


def mean_or_nan(values: NDArray[np.floating] | NDArray[np.integer]) -> float:
    """The mean of the values that are there; NaN when none is."""
    present = values[~np.isnan(values)]
    return float(present.mean(dtype=np.float64)) if len(present) else float("nan")


def _shares(codes: NDArray[np.integer], names: tuple[str, ...]) -> tuple[Share, ...]:
    numbers = np.bincount(codes.astype(np.int64), minlength=len(names))
    order = np.argsort(-numbers, kind="stable")
    return tuple(
        Share(names[code], int(numbers[code]), float(numbers[code] / len(codes)))
        for code in order.tolist()
        if numbers[code]
    )
