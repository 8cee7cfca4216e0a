"""Where a budget cuts the rows that are kept without one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deita_core.selection import status as st
from deita_core.selection.outcome import Outcome
from deita_core.selection.rule import SelectionRule
from deita_core.selection.spans import KeptSpans
from deita_core.selection.table import SelectionInput


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
