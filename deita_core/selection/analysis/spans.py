"""The thresholds at which each row is kept: the greedy pass done once for all thresholds.

A row is dropped at threshold t when a row kept before it has a similarity s > t to it. So the
thresholds at which it is dropped are the union, over the rows before it, of the thresholds below
s at which that row is kept itself; the rest is where it is kept: a few spans low <= t < high.
One pass over the edges of the similarity graph, in the order of the rows, gives the spans of all
rows, and with them any selection, every flip point and the whole frontier.

Where a budget cuts the rows that are kept without one.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.progress import FilterProgress, finish
from deita_core.selection import status as st
from deita_core.selection.outcome import Outcome
from deita_core.selection.pool_table import SelectionInput
from deita_core.selection.rule import SelectionRule
from deita_core.selection.strategies.protocol import read_only_edges
from deita_core.similarity.graph import SimilarityGraph

STEP = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class KeptSpans:
    """For every row of an order, the thresholds at which the pass keeps it without a budget.

    Neither the threshold nor the budget of a rule changes them; everything else does.

    floor: known from this similarity up. order: (m,) int64, rows of the pool in the order visited.
    pinned: (m,) bool. group: (m,) int32, groups of the similarity graph.
    bounds: (m + 1,) int64: row order[i] is kept at thresholds t with low[j] <= t < high[j] for a j
    in bounds[i]:bounds[i + 1], ascending and apart, and at 1.0 as every row. low, high: float64.
    """

    floor: float
    order: NDArray[np.int64]
    pinned: NDArray[np.bool_]
    group: NDArray[np.int32]
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
        kept = np.empty(len(self.order), np.bool_)
        kept_at(threshold, self.bounds, self.low, self.high, kept)
        return kept


def kept_spans(outcome: Outcome, table: SelectionInput) -> KeptSpans:
    """The spans for the order of an outcome of the Repr Filter on this pool.

    Kept with the table, so it costs something only once for all thresholds and budgets. Raises
    SelectionError without a similarity graph, for another strategy, and with quotas (what a quota
    lets in depends on how many rows came before, not on similarities alone).
    """
    graph_for_spans(outcome, table)
    rule = replace(outcome.rule, threshold=1.0, budget=None, budget_unit="rows")
    return table.remember(("spans", rule), lambda: finish(kept_spans_steps(outcome, table)))


def kept_spans_steps(
    outcome: Outcome, table: SelectionInput
) -> Generator[FilterProgress, None, KeptSpans]:
    """`kept_spans` as a generator of progress."""
    from deita_core.selection.pass_kernel import extend_spans

    graph = graph_for_spans(outcome, table)
    order = visited_order(outcome)
    pinned = outcome.trace.status[order] == st.PINNED
    group = np.asarray(graph.group)[table.place[order]]
    edges = read_only_edges(graph)
    first, last = np.full(graph.groups, -1, np.int64), np.zeros(graph.groups, np.int64)
    bounds = np.zeros(len(order) + 1, np.int64)
    low, high = np.empty(2 * len(order) + STEP), np.empty(2 * len(order) + STEP)
    done = 0
    while done < len(order):
        end = min(done + STEP, len(order))
        done = extend_spans(
            done, end, group, pinned, *edges, graph.floor, first, last, bounds, low, high
        )
        if done < end:  # no room for the spans of the next row
            low = np.concatenate([low, np.empty_like(low)])
            high = np.concatenate([high, np.empty_like(high)])
        yield FilterProgress(done, done, len(order))
    used = bounds[-1]
    return KeptSpans(graph.floor, order, pinned, group, bounds, low[:used], high[:used])


def visited_order(outcome: Outcome) -> NDArray[np.int64]:
    """Rows of the pool in the order of the pass, those below the cut too: (m,) int64."""
    ranked = np.flatnonzero(outcome.trace.rank)
    order: NDArray[np.int64] = ranked[np.argsort(outcome.trace.rank[ranked])]
    return order


def spans_serve(outcome: Outcome, table: SelectionInput) -> bool:
    """True when `kept_spans` has an answer."""
    rule = outcome.rule
    return rule.strategy == "repr_filter" and not rule.quotas and table.graph is not None


def graph_for_spans(outcome: Outcome, table: SelectionInput) -> SimilarityGraph:
    """The similarity graph of the pool, once it is sure that the spans can be read off it."""
    rule, graph = outcome.rule, table.graph
    if rule.strategy != "repr_filter":
        raise SelectionError(
            f"{rule.strategy} does not keep rows by their similarity to those kept before: "
            "choose repr_filter"
        )
    if rule.quotas:
        raise SelectionError("thresholds at which rows are kept are not known under quotas")
    if graph is None:
        raise SelectionError("the pool has no similarity graph: build it first")
    return graph


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """The rows of an order that are kept at a budget.

    places: (k,) int64, their places in the order. visited: rows of it before the budget ended the
    pass. filled: it was reached.
    """

    places: NDArray[np.int64]
    visited: int
    filled: bool


def cut_at_budget(
    spans: KeptSpans, places: NDArray[np.int64], outcome: Outcome, table: SelectionInput
) -> Cut:
    """What the budget of the rule leaves of the places (k,) kept without one.

    Pinned rows are always in, and room is kept for them; see `passes.pass_steps`.
    """
    everyone = len(spans.order)
    room = room_beside_pins(outcome, table)
    if room is None:
        return Cut(places, everyone, False)
    free = np.flatnonzero(~spans.pinned[places])
    spent = np.cumsum(budget_cost(outcome.rule, table)[spans.order[places[free]]])
    fitting = int(np.searchsorted(spent, room, side="right"))
    kept = np.delete(places, free[fitting:])
    full = room == (int(spent[fitting - 1]) if fitting else 0)
    if outcome.rule.budget_unit == "tokens":
        over = fitting < len(free)
        return Cut(kept, int(places[free[fitting]]) if over else everyone, over or full)
    if not full:
        return Cut(kept, everyone, False)
    # The pass ends at the next row that could be visited; pins on the way there still count.
    last = int(places[free[fitting - 1]]) + 1 if fitting else 0
    rest = np.flatnonzero(~spans.pinned[last:])
    return Cut(kept, last + int(rest[0]) if len(rest) else everyone, True)


def budget_cost(rule: SelectionRule, table: SelectionInput) -> NDArray[np.int64]:
    """What each row of the pool takes of the budget: (n,) int64."""
    if rule.budget_unit == "tokens":
        return table.tokens.astype(np.int64)
    return np.ones(len(table), np.int64)


def pins_cost(outcome: Outcome, table: SelectionInput) -> int:
    """What the pinned rows take of the budget."""
    pinned = outcome.trace.status == st.PINNED
    return int(budget_cost(outcome.rule, table)[pinned].sum())


def room_beside_pins(outcome: Outcome, table: SelectionInput) -> int | None:
    """What the pinned rows leave of the budget; None without one."""
    if outcome.rule.budget is None:
        return None
    return outcome.rule.budget - pins_cost(outcome, table)


def pins_beside(spans: KeptSpans, outcome: Outcome) -> NDArray[np.int64]:
    """Pinned rows that are not in the order, because they have no embedding: (k,) int64."""
    pinned = np.flatnonzero(outcome.trace.status == st.PINNED)
    beside: NDArray[np.int64] = np.setdiff1d(pinned, spans.order[spans.pinned])
    return beside
