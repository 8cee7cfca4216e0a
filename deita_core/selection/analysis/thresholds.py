"""At which thresholds a row is in: the greedy pass made once for all of them.

A row is dropped at threshold t when a row kept before it has a similarity s > t to it. So the
thresholds at which it is dropped are the union, over the rows before it, of the thresholds below
s at which that row is kept itself; the rest is where it is kept: a few spans low <= t < high.
One pass over the edges of the similarity graph gives the spans of all rows. Off them are read any
selection, the frontier (what each threshold would give), and the flip point of a row: the
threshold or the budget at which it would enter or leave.

Selecting greedily is not monotone: a row may be in at 0.80, out at 0.85 and in again at 0.90. So
a flip gives the nearest crossing in both directions. For the Repr Filter both are exact. With
quotas, and for other strategies with a threshold, they are found by selecting at every 0.01
outwards and halving the last interval: a row that comes and goes within a hundredth is missed.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
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
from deita_core.selection.analysis.measures import coverage, mean_or_nan
from deita_core.selection.analysis.similarities import typical_similarity
from deita_core.selection.evol import RowScores
from deita_core.selection.filters import mean_scores
from deita_core.selection.outcome import Outcome, select
from deita_core.selection.pool_table import PoolTable
from deita_core.selection.rule import SelectionRule, check_threshold, similarity_text
from deita_core.selection.strategies import find_strategy

MOST_DECIMALS: Final = 12
SEARCH_WIDTH: Final = 0.01
HALVINGS: Final = 14
SPACING: Final = 0.01
LOWEST_WITHOUT_GRAPH: Final = 0.5

_ADVICE: Final = {
    st.PINNED: "in whatever the threshold and the budget: unpin it",
    st.EXCLUDED: "out whatever the threshold and the budget: take it out of the exclusions",
    st.FILTERED: "left out by a filter, not by the threshold or the budget: change the filter",
    st.NOT_SCORED: "it has no score: score it, or pin it",
    st.NOT_EMBEDDED: "it has no embedding: embed it, or pin it",
    st.OVER_QUOTA: "a quota it counts in is full: raise the quota, or pin it",
}


@dataclass(frozen=True, slots=True, eq=False)
class KeptSpans:
    """For every row of an order, the thresholds at which the pass keeps it without a budget.

    Neither the threshold nor the budget of a rule changes them; everything else does.

    floor: known from this similarity up. order: (m,) int64, rows of the pool in the order visited.
    pinned: (m,) bool.
    bounds: (m + 1,) int64: row order[i] is kept at thresholds t with low[j] <= t < high[j] for a j
    in bounds[i]:bounds[i + 1], ascending and apart, and at 1.0 as every row. low, high: float64.
    """

    floor: float
    order: NDArray[np.int64]
    pinned: NDArray[np.bool_]
    bounds: NDArray[np.int64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    def kept(self, threshold: float) -> NDArray[np.bool_]:
        """Which places of the order are kept without a budget: (m,) bool."""
        from deita_core.selection.pass_kernel import kept_at

        if threshold < self.floor:
            raise SelectionError(
                f"threshold {threshold} is below the floor {self.floor} of the similarity graph: "
                "build the graph again with a lower floor"
            )
        return kept_at(threshold, self.bounds, self.low, self.high)


def kept_spans(outcome: Outcome, table: PoolTable) -> KeptSpans:
    """The spans for the order of an outcome of the Repr Filter on this pool; kept with the table.

    Raises SelectionError without a similarity graph, for another strategy, and with quotas.
    """
    if obstacle := _why_no_spans(outcome.rule, table):
        raise SelectionError(obstacle)
    rule = replace(outcome.rule, threshold=1.0, budget=None, budget_unit="rows")
    return table.remember(("spans", rule), lambda: _find_spans(outcome, table))


def _why_no_spans(rule: SelectionRule, table: PoolTable) -> str:
    """Why `kept_spans` has no answer; "" when it has."""
    if rule.strategy != "repr_filter":
        return (
            f"{rule.strategy} does not keep rows by their similarity to those kept before: "
            "choose repr_filter"
        )
    if rule.quotas:  # what one lets in depends on how many rows came before
        return "thresholds at which rows are kept are not known under quotas"
    if table.graph is None:
        return "the pool has no similarity graph: build it first"
    return ""


def _find_spans(outcome: Outcome, table: PoolTable) -> KeptSpans:
    from deita_core.selection.pass_kernel import extend_spans

    graph = table.graph
    assert graph is not None  # noqa: S101 - for the type checker
    ranked = np.flatnonzero(outcome.trace.rank)  # those below the cut too
    order = ranked[np.argsort(outcome.trace.rank[ranked])]
    pinned = outcome.trace.status[order] == st.PINNED
    group = np.asarray(graph.group)[table.place[order]]
    edges = graph.edges()
    first, last = np.full(graph.groups, -1, np.int64), np.zeros(graph.groups, np.int64)
    bounds = np.zeros(len(order) + 1, np.int64)
    low, high = np.empty(2 * len(order) + 1), np.empty(2 * len(order) + 1)
    done = 0
    while done < len(order):
        done = extend_spans(
            done, len(order), group, pinned, edges, graph.floor, first, last, bounds, low, high
        )
        if done < len(order):  # no room for the spans of the next row
            low = np.concatenate([low, np.empty_like(low)])
            high = np.concatenate([high, np.empty_like(high)])
    used = bounds[-1]
    return KeptSpans(graph.floor, order, pinned, bounds, low[:used], high[:used])


def _within_budget(
    spans: KeptSpans, places: NDArray[np.int64], outcome: Outcome, table: PoolTable
) -> tuple[NDArray[np.int64], int, bool]:
    """What the budget of the rule leaves of the places (k,) of the order kept without one.

    Also how many rows of the order come before the budget ends the pass, and whether it was
    reached. Pinned rows are always in, and room is kept for them; see `pass_steps`.
    """
    everyone, budget = len(spans.order), outcome.rule.budget
    if budget is None:
        return places, everyone, False
    cost = table.cost(outcome.rule.budget_unit)
    room = budget - _pins_cost(outcome, cost)
    free = np.flatnonzero(~spans.pinned[places])
    spent = np.cumsum(cost[spans.order[places[free]]])
    fitting = int(np.searchsorted(spent, room, side="right"))
    kept = np.delete(places, free[fitting:])
    full = room == (int(spent[fitting - 1]) if fitting else 0)
    if outcome.rule.budget_unit == "tokens":
        over = fitting < len(free)
        return kept, int(places[free[fitting]]) if over else everyone, over or full
    if not full:
        return kept, everyone, False
    # The pass ends at the next row that could be visited; pins on the way there still count.
    last = int(places[free[fitting - 1]]) + 1 if fitting else 0
    rest = np.flatnonzero(~spans.pinned[last:])
    return kept, last + int(rest[0]) if len(rest) else everyone, True


def _pins_cost(outcome: Outcome, cost: NDArray[np.int64]) -> int:
    """What the pinned rows take of the budget; cost: (n,), see `PoolTable`."""
    return int(cost[outcome.trace.status == st.PINNED].sum())


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
    by_spans = not _why_no_spans(rule, table) and table.graph and table.graph.serves(grid[0])
    with ThreadPoolExecutor(cpu_threads()) as threads:
        if by_spans:
            found = threads.map(partial(pool.of_spans, kept_spans(top, table)), grid)
        else:
            found = map(pool.of_rule, grid)
        for point in found:
            points.append(point)
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
        kept, visited, filled = _within_budget(spans, places, self.top, self.table)
        rows = np.concatenate([beside, spans.order[kept]])
        return self._point(rows, len(places) + len(beside), filled, visited)

    def of_rule(self, threshold: float) -> _Point:
        rule, possible = replace(self.top.rule, threshold=threshold), -1
        if all(quota.share is None for quota in rule.quotas):
            possible = len(select(replace(rule, budget=None), self.table).kept)
        trace = select(rule, self.table).trace
        return self._point(trace.kept, possible, trace.filled, trace.rank_reached)

    def _point(
        self, rows: NDArray[np.int64], possible: int, filled: bool, rank_reached: int
    ) -> _Point:
        means = (self.means.complexity, self.means.quality, self.top.scores)
        tokens = int(self.table.tokens[rows].sum(dtype=np.int64))
        figures = (*(mean_or_nan(values[rows]) for values in means), tokens)
        covered = coverage(self.table, rows, self.covered_at)
        return (possible, len(rows), filled, rank_reached, *figures, covered)


@dataclass(frozen=True, slots=True)
class Crossing:
    """Where a row enters or leaves the selection as the threshold moves.

    edge: the similarity of two rows of the pool at which it does. Upwards the change begins at
    it, downwards just below it. threshold: a value past the edge and next to it, with as few
    decimals as there is room for.
    """

    edge: float
    threshold: float
    upwards: bool

    def describe(self) -> str:
        """From where the row has changed, in words."""
        text = similarity_text(self.threshold)
        if self.threshold == 1.0:
            return f"only at {text}, where nothing counts as a near-duplicate"
        return f"from {text} {'up' if self.upwards else 'down'}"


def _shortest(edge: float, limit: float, upwards: bool) -> float:
    """The value with the fewest decimals (at least two) past the edge: from it up to below the
    limit, or below it down to the limit.
    """
    for decimals in range(2, MOST_DECIMALS + 1):
        scale = 10.0**decimals
        value = (math.ceil(edge * scale) - (0 if upwards else 1)) / scale
        if edge <= value < limit if upwards else limit <= value < edge:
            return min(value, 1.0)
    return edge if upwards else limit


def _crossings(
    outcome: Outcome, table: PoolTable, row: int
) -> tuple[Crossing | None, Crossing | None]:
    """The nearest crossings above and below the threshold, of a row that the pass visits."""
    spans = kept_spans(outcome, table)
    place = int(np.flatnonzero(spans.order == row)[0])
    cost, budget = table.cost(outcome.rule.budget_unit), outcome.rule.budget
    own = slice(spans.bounds[place], spans.bounds[place + 1])
    low, high = spans.low[own], spans.high[own]
    # The row is in or out from one start up to the next; the last one stands for 1.0 alone.
    starts = np.unique(np.concatenate([[spans.floor, 1.0], low, high]))
    fits: NDArray[np.bool_] = np.ones(len(starts), np.bool_)
    room = np.inf if budget is None else budget - _pins_cost(outcome, cost)
    if cost[spans.order[: place + 1]].sum() > room:
        changes, before = _cost_before(spans, place, cost)
        starts = np.union1d(starts, changes)
        fits = before[np.searchsorted(changes, starts, side="right") - 1] + cost[row] <= room
    kept = np.searchsorted(low, starts, side="right") > np.searchsorted(high, starts, side="right")
    kept[-1] = True  # nothing is a near-duplicate at 1.0
    inside = kept & fits
    edges = starts[1:][inside[1:] != inside[:-1]]
    here = np.searchsorted(edges, outcome.rule.threshold, side="right")
    above, below = [*edges[here:].tolist(), 2.0], [float(starts[0]), *edges[:here].tolist()]
    up, down = above[:2], below[:-3:-1]
    return (
        Crossing(up[0], _shortest(up[0], up[1], True), True) if len(up) == 2 else None,
        Crossing(down[0], _shortest(down[0], down[1], False), False) if len(down) == 2 else None,
    )


def _cost_before(
    spans: KeptSpans, place: int, cost: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """What the rows kept before a place cost, pinned ones aside, at every threshold.

    cost: (n,) of each row of the pool. Returns starts (s,), the last 1.0, and the cost (s,) from
    each start up to the next.
    """
    each = np.where(spans.pinned[:place], 0, cost[spans.order[:place]])
    used = spans.bounds[place]
    weight = np.repeat(each, np.diff(spans.bounds[: place + 1]))
    values = np.concatenate([[spans.floor, 1.0], spans.low[:used], spans.high[:used]])
    changes = np.concatenate([[0, 0], weight, -weight])
    starts, inverse = np.unique(values, return_inverse=True)
    before = np.cumsum(np.bincount(inverse, weights=changes, minlength=len(starts)))
    result = np.rint(before).astype(np.int64)
    result[-1] = each.sum()
    return starts, result


@dataclass(frozen=True, slots=True)
class Flip:
    """What would move a row into the selection, or out of it.

    inside: it is selected now. up, down: the nearest crossing in each direction, None where there
    is none from the floor of the similarity graph to 1. budget: the nearest budget that moves it
    (rows or tokens, as the rule counts), None where none does. advice: for rows which neither
    moves, what does; what is not known, and why.
    """

    inside: bool
    threshold: float
    up: Crossing | None
    down: Crossing | None
    budget: int | None
    unit: str
    advice: str

    @property
    def nearest(self) -> Crossing | None:
        """The nearer one of `up` and `down`."""
        crossings = [one for one in (self.up, self.down) if one]
        return min(crossings, key=lambda one: abs(one.edge - self.threshold), default=None)

    def sentence(self) -> str:
        """What would move the row, in one phrase, the nearest first."""
        side = "out" if self.inside else "in"
        parts = []
        if self.nearest is not None:
            parts.append(f"{side} {self.nearest.describe()}")
        if self.budget is not None:
            below = "below" if self.inside else "from"
            number = self.budget + 1 if self.inside else self.budget
            tokens = " tokens" if self.unit == "tokens" else ""
            parts.append(f"{side} {below} a budget of {number:,}{tokens}")
        if self.advice:
            parts.append(self.advice)
        return "; ".join(parts) or "no threshold or budget moves it"


def flip_point(
    rule: SelectionRule, table: PoolTable, row: int, outcome: Outcome | None = None
) -> Flip:
    """What would move a row of the pool into the selection, or out of it.

    outcome: `select(rule, table)` where the caller has it. Raises SelectionError for no row of it.
    """
    if not 0 <= row < len(table):
        raise SelectionError(f"the pool has rows 0 to {len(table) - 1:,}, got {row}")
    outcome = outcome if outcome is not None else select(rule, table)
    status = int(outcome.trace.status[row])
    inside = status in st.SELECTED
    advice = _ADVICE.get(status, "")
    up = down = budget = None
    if status in (st.KEPT, st.NEAR_DUPLICATE, st.BELOW_CUT, st.OVER_QUOTA):
        if unknown := _why_no_crossings(rule, table):
            advice = unknown
        elif not _why_no_spans(rule, table):
            up, down = _crossings(outcome, table, row)
        elif find_strategy(rule.strategy).uses_threshold:
            up, down = _search(rule, table, row, inside)
        budget = _budget(outcome, table, row)
    return Flip(inside, rule.threshold, up, down, budget, rule.budget_unit, advice)


def _why_no_crossings(rule: SelectionRule, table: PoolTable) -> str:
    """Why no threshold can be given for a row that one could move; "" when one can."""
    if not find_strategy(rule.strategy).uses_threshold:
        return ""
    if table.graph is None:
        return "at which similarity is known once the similarity graph is made"
    if not table.graph.serves(rule.threshold):
        return f"not above the floor {table.graph.floor:.2f} of the similarity graph"
    return ""


def _budget(outcome: Outcome, table: PoolTable, row: int) -> int | None:
    """The nearest budget at which the row enters or leaves, None where there is none."""
    if any(quota.share is not None for quota in outcome.rule.quotas):
        return None  # another budget would also be another quota
    status = outcome.trace.status
    kept = outcome.kept
    if status[row] == st.BELOW_CUT and _order_is_known(outcome, table):
        kept = select(replace(outcome.rule, budget=None), table).kept
    if row not in kept:
        return None
    ahead = kept[: int(np.flatnonzero(kept == row)[0])]
    ahead = ahead[status[ahead] != st.PINNED]
    cost = table.cost(outcome.rule.budget_unit)
    pins = _pins_cost(outcome, cost)
    needed = pins + int(cost[ahead].sum() + cost[row])
    if status[row] == st.BELOW_CUT:
        return needed
    return needed - 1 if needed > pins else None  # a budget below the pins is no budget


def _order_is_known(outcome: Outcome, table: PoolTable) -> bool:
    """True when a selection without a budget is cheap and keeps the same rows first."""
    rule = outcome.rule
    if find_strategy(rule.strategy).uses_threshold:
        return table.graph is not None and table.graph.serves(rule.threshold)
    below = outcome.trace.status == st.BELOW_CUT
    return bool((outcome.trace.rank[below] > 0).all())


def _search(
    rule: SelectionRule, table: PoolTable, row: int, inside: bool
) -> tuple[Crossing | None, Crossing | None]:
    """Crossings found by selecting at thresholds further and further away, in both directions."""
    floor = table.graph.floor if table.graph is not None else 0.0

    def changed(threshold: float) -> bool:
        status = select(replace(rule, threshold=threshold), table).trace.status[row]
        return bool(status in st.SELECTED) != inside

    above = below = rule.threshold
    while above < 1.0 or below > floor:
        last_above, above = above, min(round(above + SEARCH_WIDTH, MOST_DECIMALS), 1.0)
        last_below, below = below, max(round(below - SEARCH_WIDTH, MOST_DECIMALS), floor)
        up = _halved(changed, last_above, above) if changed(above) else None
        down = _halved(changed, last_below, below) if changed(below) else None
        if up or down:
            return up, down
    return None, None


def _halved(changed: Callable[[float], bool], near: float, far: float) -> Crossing:
    """The crossing between a threshold where nothing has changed and one where the row has."""
    upwards, end = far > near, far
    for _ in range(HALVINGS):
        middle = (near + far) / 2
        if changed(middle):
            far = middle
        else:
            near = middle
    value = _shortest(far, end, upwards)
    return Crossing(far, value if changed(value) else far, upwards)
