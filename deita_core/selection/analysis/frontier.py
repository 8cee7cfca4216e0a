"""The frontier: what each threshold would give, before anybody chooses one."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.models.device import cpu_threads
from deita_core.progress import finish
from deita_core.selection import status as st
from deita_core.selection.analysis.diversity import coverage
from deita_core.selection.analysis.measures import mean_or_nan
from deita_core.selection.analysis.similarities import typical_similarity
from deita_core.selection.analysis.thresholds import (
    KeptSpans,
    kept_spans,
    spans_serve,
    within_budget,
)
from deita_core.selection.evol import RowScores, row_scores
from deita_core.selection.outcome import Outcome, select
from deita_core.selection.pool_table import PoolTable
from deita_core.selection.rule import SelectionRule
from deita_core.selection.strategies import find_strategy

SPACING: Final = 0.01
LOWEST_WITHOUT_GRAPH: Final = 0.5


class FrontierProgress(NamedTuple):
    """Thresholds done, of how many."""

    done: int
    total: int


@dataclass(frozen=True, slots=True, eq=False)
class Frontier:
    """For each of k thresholds, ascending, the selection it gives under the rest of the rule.

    possible: (k,) int64, rows kept without a budget; -1 where it has no meaning (a quota that is
    a share of the budget). kept: (k,) int64, rows selected at the budget, pinned ones included.
    filled: (k,) bool, the budget was reached. rank_reached: (k,) int64.
    complexity, quality, evol_score: (k,) float64, means over the rows selected, NaN without any.
    tokens: (k,) int64, their sum. coverage: (k,) float64, share of the pool's embedded rows that
    are selected or have a selected row nearer than similarity `covered_at`; NaN without a graph.
    """

    covered_at: float
    thresholds: NDArray[np.float64]
    possible: NDArray[np.int64]
    kept: NDArray[np.int64]
    filled: NDArray[np.bool_]
    rank_reached: NDArray[np.int64]
    complexity: NDArray[np.float64]
    quality: NDArray[np.float64]
    evol_score: NDArray[np.float64]
    tokens: NDArray[np.int64]
    coverage: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.thresholds)

    def lowest_that_fills(self) -> float | None:
        """The lowest threshold of the grid from which on every one fills the budget."""
        short = np.flatnonzero(~self.filled)
        first = int(short[-1]) + 1 if len(short) else 0
        return float(self.thresholds[first]) if first < len(self) else None


class _Point(NamedTuple):
    possible: int
    kept: int
    filled: bool
    rank_reached: int
    complexity: float
    quality: float
    evol_score: float
    tokens: int
    coverage: float


@dataclass(frozen=True, slots=True)
class _Pool:
    """What the points of a frontier share."""

    table: PoolTable
    scores: RowScores
    covered_at: float


def frontier(
    rule: SelectionRule,
    table: PoolTable,
    thresholds: Sequence[float] | None = None,
    covered_at: float | None = None,
) -> Frontier:
    """The frontier of a rule on a pool: exactly what `select` gives at each threshold.

    thresholds: similarities; None: every 0.01 from the floor of the similarity graph to 1.0, and
    the rule's own. covered_at: see `Frontier`, below 1; None: the similarity of a typical row of
    the pool to its nearest other row. Without a graph, below its floor, with quotas and for
    strategies other than the Repr Filter each threshold is a selection of its own, which takes
    longer. Raises SelectionError for a strategy without a threshold.
    """
    return finish(frontier_steps(rule, table, thresholds, covered_at))


def frontier_steps(
    rule: SelectionRule,
    table: PoolTable,
    thresholds: Sequence[float] | None = None,
    covered_at: float | None = None,
) -> Generator[FrontierProgress, None, Frontier]:
    """`frontier` as a generator of progress."""
    if not find_strategy(rule.strategy).uses_threshold:
        raise SelectionError(
            f"{find_strategy(rule.strategy).label} does not look at similarities, so it has no "
            "frontier over thresholds: choose the Repr Filter, or another strategy with a threshold"
        )
    grid = _grid(rule, table, thresholds)
    level = _level(table, covered_at)
    scores = row_scores(table.turn_row, table.turn_complexity, table.turn_quality, len(table))
    pool = _Pool(table, scores, level)
    points: list[_Point] = []
    # Ranks are the same at every threshold, so any outcome of the rule has the order of the rows.
    top = select(replace(rule, threshold=1.0), table)
    if spans_serve(rule, table) and table.graph is not None and table.graph.serves(grid[0]):
        spans = kept_spans(top, table)
        work = partial(_point_of_spans, pool, top, spans)
        with ThreadPoolExecutor(cpu_threads()) as threads:
            for point in threads.map(work, grid):
                points.append(point)
                yield FrontierProgress(len(points), len(grid))
    else:
        for threshold in grid:
            points.append(_point_of_select(pool, replace(rule, threshold=threshold)))
            yield FrontierProgress(len(points), len(grid))
    columns = [np.array(column) for column in zip(*points, strict=True)]
    return Frontier(level, np.array(grid), *columns)


def _grid(rule: SelectionRule, table: PoolTable, thresholds: Sequence[float] | None) -> list[float]:
    if thresholds is not None:
        if not len(thresholds):
            raise SelectionError("a frontier needs at least one threshold")
        return sorted({replace(rule, threshold=float(t)).threshold for t in thresholds})
    floor = LOWEST_WITHOUT_GRAPH if table.graph is None else table.graph.floor
    first, last = math.ceil(round(floor / SPACING, 6)), round(1 / SPACING)
    grid = {whole / last for whole in range(first, last + 1)}
    if rule.threshold >= floor:
        grid.add(rule.threshold)
    return sorted(grid)


def _level(table: PoolTable, covered_at: float | None) -> float:
    if covered_at is None:
        return LOWEST_WITHOUT_GRAPH if table.graph is None else typical_similarity(table.graph)
    if not -1.0 <= covered_at < 1.0:
        raise SelectionError(
            f"covered_at must be a similarity from -1 to below 1, got {covered_at}"
        )
    if table.graph is not None and not table.graph.serves(covered_at):
        raise SelectionError(
            f"coverage at similarity {covered_at} is not known: the similarity graph holds pairs "
            f"above {table.graph.floor} only; ask for that or more"
        )
    return float(covered_at)


def _point_of_spans(pool: _Pool, top: Outcome, spans: KeptSpans, threshold: float) -> _Point:
    places = np.flatnonzero(spans.kept(threshold))
    # Pinned rows without an embedding are not in the order.
    beside = np.setdiff1d(np.flatnonzero(top.trace.status == st.PINNED), spans.order[spans.pinned])
    kept = within_budget(spans, places, top, pool.table)
    rows = np.concatenate([beside, spans.order[kept.places]])
    return _point(pool, top.scores, rows, len(places) + len(beside), kept.filled, kept.visited)


def _point_of_select(pool: _Pool, rule: SelectionRule) -> _Point:
    possible = -1
    if all(quota.share is None for quota in rule.quotas):
        possible = len(select(replace(rule, budget=None), pool.table).kept)
    outcome = select(rule, pool.table)
    ended = (outcome.trace.filled, outcome.trace.rank_reached)
    return _point(pool, outcome.scores, outcome.kept, possible, *ended)


def _point(
    pool: _Pool,
    scores: NDArray[np.float64],
    rows: NDArray[np.int64],
    possible: int,
    filled: bool,
    rank_reached: int,
) -> _Point:
    return _Point(
        possible=possible,
        kept=len(rows),
        filled=filled,
        rank_reached=rank_reached,
        complexity=mean_or_nan(pool.scores.complexity[rows]),
        quality=mean_or_nan(pool.scores.quality[rows]),
        evol_score=mean_or_nan(scores[rows]),
        tokens=int(pool.table.tokens[rows].sum(dtype=np.int64)),
        coverage=coverage(pool.table, rows, pool.covered_at),
    )
