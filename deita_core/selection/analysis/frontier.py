"""The frontier: what each threshold would give, before anybody chooses one."""

from __future__ import annotations

import math
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

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
from deita_core.selection.evol import RowScores
from deita_core.selection.filters import mean_scores
from deita_core.selection.outcome import Outcome, select
from deita_core.selection.pool_table import PoolTable
from deita_core.selection.rule import SelectionRule, check_threshold
from deita_core.selection.strategies import find_strategy

SPACING: Final = 0.01
LOWEST_WITHOUT_GRAPH: Final = 0.5


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


# What one threshold gives: the columns of a `Frontier` from `possible` on.
_Point = tuple[float, ...]


def frontier(
    rule: SelectionRule, table: PoolTable, thresholds: Sequence[float] | None = None
) -> Frontier:
    """The frontier of a rule on a pool: exactly what `select` gives at each threshold.

    thresholds: similarities; None: every 0.01 from the floor of the similarity graph to 1.0, and
    the rule's own. Coverage is taken at the similarity of a typical row of the pool to its nearest
    other row. Without a graph, below its floor, with quotas and for strategies other than the Repr
    Filter each threshold is a selection of its own, which takes longer. Raises SelectionError for
    a strategy without a threshold.
    """
    return finish(frontier_steps(rule, table, thresholds))


def frontier_steps(
    rule: SelectionRule, table: PoolTable, thresholds: Sequence[float] | None = None
) -> Generator[tuple[int, int], None, Frontier]:
    """`frontier` as a generator: yields how many thresholds are done, of how many."""
    strategy = find_strategy(rule.strategy)
    if not strategy.uses_threshold:
        raise SelectionError(
            f"{strategy.label} does not look at similarities, so it has no "
            "frontier over thresholds: choose the Repr Filter, or another strategy with a threshold"
        )
    grid = _grid(rule, table, thresholds)
    level = LOWEST_WITHOUT_GRAPH if table.graph is None else typical_similarity(table.graph)
    # Ranks and scores are the same at every threshold.
    top = select(replace(rule, threshold=1.0), table)
    pool = _Pool(table, top, mean_scores(table), level)
    points: list[_Point] = []
    if spans_serve(rule, table) and table.graph is not None and table.graph.serves(grid[0]):
        with ThreadPoolExecutor(cpu_threads()) as threads:
            for point in threads.map(partial(pool.of_spans, kept_spans(top, table)), grid):
                points.append(point)
                yield len(points), len(grid)
    else:
        for threshold in grid:
            points.append(pool.of_rule(replace(rule, threshold=threshold)))
            yield len(points), len(grid)
    columns = [np.array(column) for column in zip(*points, strict=True)]
    return Frontier(level, np.array(grid), *columns)


def _grid(rule: SelectionRule, table: PoolTable, thresholds: Sequence[float] | None) -> list[float]:
    if thresholds is not None:
        if not len(thresholds):
            raise SelectionError("a frontier needs at least one threshold")
        return sorted({check_threshold(float(t)) for t in thresholds})
    floor = LOWEST_WITHOUT_GRAPH if table.graph is None else table.graph.floor
    first, last = math.ceil(round(floor / SPACING, 6)), round(1 / SPACING)
    grid = {whole / last for whole in range(first, last + 1)}
    if rule.threshold >= floor:
        grid.add(rule.threshold)
    return sorted(grid)


@dataclass(frozen=True, slots=True, eq=False)
class _Pool:
    """What the points of a frontier share. top: the outcome at threshold 1.0."""

    table: PoolTable
    top: Outcome
    means: RowScores
    covered_at: float

    def of_spans(self, spans: KeptSpans, threshold: float) -> _Point:
        places = np.flatnonzero(spans.kept(threshold))
        # Pinned rows without an embedding are not in the order.
        pinned = np.flatnonzero(self.top.trace.status == st.PINNED)
        beside = np.setdiff1d(pinned, spans.order[spans.pinned])
        kept, visited, filled = within_budget(spans, places, self.top, self.table)
        rows = np.concatenate([beside, spans.order[kept]])
        return self._point(rows, len(places) + len(beside), filled, visited)

    def of_rule(self, rule: SelectionRule) -> _Point:
        possible = -1
        if all(quota.share is None for quota in rule.quotas):
            possible = len(select(replace(rule, budget=None), self.table).kept)
        trace = select(rule, self.table).trace
        return self._point(trace.kept, possible, trace.filled, trace.rank_reached)

    def _point(
        self, rows: NDArray[np.int64], possible: int, filled: bool, rank_reached: int
    ) -> _Point:
        means = (self.means.complexity, self.means.quality, self.top.scores)
        tokens = int(self.table.tokens[rows].sum(dtype=np.int64))
        return (
            possible,
            len(rows),
            filled,
            rank_reached,
            *(mean_or_nan(values[rows]) for values in means),
            tokens,
            coverage(self.table, rows, self.covered_at),
        )
