"""On which side of the selection a row is, at every threshold.

The flip point of a row: the threshold, or the budget, at which it would change sides.

Everything else stays as the rule says. Selecting greedily is not monotone: a row may be in at
0.80, out at 0.85 and in again at 0.90. So both directions are searched and the nearest change in
each is given. For the Repr Filter both are exact: they are read off the spans of thresholds at
which each row is kept (`spans`). With quotas, and for other strategies with a threshold, they are
found by selecting at every 0.01 outwards and halving the last step, so that a row which comes and
goes within a hundredth is missed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.selection import status as st
from deita_core.selection.analysis.spans import (
    KeptSpans,
    budget_cost,
    kept_spans,
    pins_cost,
    room_beside_pins,
    spans_serve,
)
from deita_core.selection.outcome import Outcome, select
from deita_core.selection.pool_table import SelectionInput
from deita_core.selection.rule import SelectionRule, similarity_text
from deita_core.selection.strategies import find_strategy

MOST_DECIMALS = 12


@dataclass(frozen=True, slots=True)
class Turn:
    """A threshold at which a row is on the other side.

    edge: where the side changes: an exact similarity of two rows of the pool. Upwards the other
    side begins at it, downwards just below it. threshold: a value on the other side, next to the
    edge, with as few decimals as there is room for.
    """

    edge: float
    threshold: float
    upwards: bool


@dataclass(frozen=True, slots=True, eq=False)
class Sides:
    """The side of one row: inside[i] from starts[i] up to starts[i + 1].

    starts: (s,) float64, ascending from the floor of the similarity graph; the last is 1.0, which
    stands for the threshold 1.0 alone. inside: (s,) bool.
    """

    starts: NDArray[np.float64]
    inside: NDArray[np.bool_]

    def at(self, threshold: float) -> bool:
        """The side at a threshold, which is not below the floor."""
        return bool(self.inside[self._segment(threshold)])

    def turn_up(self, threshold: float) -> Turn | None:
        """The nearest higher threshold on the other side."""
        here = self._segment(threshold)
        other = np.flatnonzero(self.inside[here + 1 :] != self.inside[here])
        if not len(other):
            return None
        first = here + 1 + int(other[0])
        back = np.flatnonzero(self.inside[first:] == self.inside[here])
        end = float(self.starts[first + int(back[0])]) if len(back) else 2.0
        edge = float(self.starts[first])
        return Turn(edge, round_up(edge, end), True)

    def turn_down(self, threshold: float) -> Turn | None:
        """The nearest lower threshold on the other side."""
        here = self._segment(threshold)
        other = np.flatnonzero(self.inside[:here] != self.inside[here])
        if not len(other):
            return None
        last = int(other[-1])
        back = np.flatnonzero(self.inside[:last] == self.inside[here])
        begin = float(self.starts[int(back[-1]) + 1 if len(back) else 0])
        edge = float(self.starts[last + 1])
        return Turn(edge, round_down(edge, begin), False)

    def _segment(self, threshold: float) -> int:
        return int(np.searchsorted(self.starts, threshold, side="right")) - 1


def sides_of(spans: KeptSpans, outcome: Outcome, table: SelectionInput, row: int) -> Sides:
    """The sides of a row that the pass of the outcome visits or would visit."""
    place = place_of(spans, row)
    room = room_beside_pins(outcome, table)
    own = slice(spans.bounds[place], spans.bounds[place + 1])
    low, high = spans.low[own], spans.high[own]
    starts = np.unique(np.concatenate([[spans.floor, 1.0], low, high]))
    fits: NDArray[np.bool_] = np.ones(len(starts), np.bool_)
    cost = budget_cost(outcome.rule, table)
    if room is not None and int(cost[spans.order[: place + 1]].sum()) > room:
        steps, before = cost_before(spans, place, cost)
        starts = np.union1d(starts, steps)
        fits = before[np.searchsorted(steps, starts, side="right") - 1] + cost[row] <= room
    kept = np.searchsorted(low, starts, side="right") > np.searchsorted(high, starts, side="right")
    kept[-1] = True  # nothing is a near-duplicate at 1.0
    return Sides(starts, kept & fits)


def cost_before(
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
    steps = np.concatenate([[0, 0], weight, -weight])
    starts, inverse = np.unique(values, return_inverse=True)
    before = np.cumsum(np.bincount(inverse, weights=steps, minlength=len(starts)))
    result = np.rint(before).astype(np.int64)
    result[-1] = each.sum()
    return starts, result


def place_of(spans: KeptSpans, row: int) -> int:
    """The place of a row in the order."""
    return int(np.flatnonzero(spans.order == row)[0])


def round_up(edge: float, end: float) -> float:
    """The value with the fewest decimals (at least two) from `edge` up to below `end`."""
    for decimals in range(2, MOST_DECIMALS + 1):
        scale = 10.0**decimals
        value = math.ceil(edge * scale) / scale
        if edge <= value < end:
            return min(value, 1.0)
    return edge


def round_down(edge: float, begin: float) -> float:
    """The value with the fewest decimals (at least two) from `begin` up to below `edge`."""
    for decimals in range(2, MOST_DECIMALS + 1):
        scale = 10.0**decimals
        value = (math.ceil(edge * scale) - 1) / scale
        if begin <= value < edge:
            return value
    return begin


STEP: Final = 0.01
HALVINGS: Final = 14
_IN: Final = (st.KEPT, st.PINNED)

_ADVICE: Final = {
    st.PINNED: "in whatever the threshold and the budget: unpin it",
    st.EXCLUDED: "out whatever the threshold and the budget: take it out of the exclusions",
    st.FILTERED: "left out by a filter, not by the threshold or the budget: change the filter",
    st.NOT_SCORED: "it has no score: score it, or pin it",
    st.NOT_EMBEDDED: "it has no embedding: embed it, or pin it",
    st.OVER_QUOTA: "a quota it counts in is full: raise the quota, or pin it",
}


@dataclass(frozen=True, slots=True)
class Flip:
    """What would move a row to the other side of the selection.

    status: what it is now, a code of `STATUSES`. inside: it is selected now. up, down: the nearest
    threshold in each direction that changes its side, None where there is none from the floor of
    the similarity graph to 1. budget: the nearest budget that changes its side (rows or tokens, as
    the rule counts), None where none does. advice: for rows which neither moves, what does; what
    is not known, and why.
    """

    row: int
    status: int
    inside: bool
    threshold: float
    up: Turn | None
    down: Turn | None
    budget: int | None
    unit: str
    advice: str

    @property
    def nearest(self) -> Turn | None:
        """The nearer one of `up` and `down`."""
        turns = [turn for turn in (self.up, self.down) if turn is not None]
        return min(turns, key=lambda turn: abs(turn.edge - self.threshold), default=None)

    def sentence(self) -> str:
        """What would move the row, in one phrase, the nearest first."""
        side = "out" if self.inside else "in"
        parts = []
        turn = self.nearest
        if turn is not None:
            parts.append(f"{side} {_turn_text(turn)}")
        if self.budget is not None:
            below = "below" if self.inside else "from"
            number = self.budget + 1 if self.inside else self.budget
            tokens = " tokens" if self.unit == "tokens" else ""
            parts.append(f"{side} {below} a budget of {number:,}{tokens}")
        if self.advice:
            parts.append(self.advice)
        return "; ".join(parts) or "no threshold or budget moves it"


def _turn_text(turn: Turn) -> str:
    text = similarity_text(turn.threshold)
    if turn.threshold == 1.0:
        return f"only at {text}, where nothing counts as a near-duplicate"
    return f"from {text} {'up' if turn.upwards else 'down'}"


def flip_point(
    rule: SelectionRule, table: SelectionInput, row: int, outcome: Outcome | None = None
) -> Flip:
    """What would move a row of the pool to the other side of the selection.

    outcome: `select(rule, table)` where the caller has it. The spans are kept with the table, so
    the first row of a pool takes longer than the next. Raises SelectionError for no row of it.
    """
    if not 0 <= row < len(table):
        raise SelectionError(f"the pool has rows 0 to {len(table) - 1:,}, got {row}")
    outcome = outcome if outcome is not None else select(rule, table)
    status = int(outcome.trace.status[row])
    advice = _ADVICE.get(status, "")
    up: Turn | None = None
    down: Turn | None = None
    budget: int | None = None
    if status in (st.KEPT, st.NEAR_DUPLICATE, st.BELOW_CUT, st.OVER_QUOTA):
        unknown = _unknown(outcome, table)
        if unknown:
            advice = unknown
        elif spans_serve(outcome, table):
            sides = sides_of(kept_spans(outcome, table), outcome, table, row)
            up, down = sides.turn_up(rule.threshold), sides.turn_down(rule.threshold)
        elif find_strategy(rule.strategy).uses_threshold:
            up, down = _search(rule, table, row, status in _IN)
        budget = _budget(outcome, table, row)
    return Flip(
        row, status, status in _IN, rule.threshold, up, down, budget, rule.budget_unit, advice
    )


def _unknown(outcome: Outcome, table: SelectionInput) -> str:
    """Why no threshold can be given for a row that one could move; "" when one can."""
    rule = outcome.rule
    if not find_strategy(rule.strategy).uses_threshold:
        return ""
    if table.graph is None:
        return "at which similarity is known once the similarity graph is made"
    if not table.graph.serves(rule.threshold):
        return f"not above the floor {table.graph.floor:.2f} of the similarity graph"
    return ""


def _budget(outcome: Outcome, table: SelectionInput, row: int) -> int | None:
    """The nearest budget at which the row is on the other side, None where there is none."""
    if any(quota.share is not None for quota in outcome.rule.quotas):
        return None  # another budget would also be another quota
    pins, cost = pins_cost(outcome, table), budget_cost(outcome.rule, table)
    if outcome.trace.status[row] == st.KEPT:
        ahead = outcome.kept[: int(np.flatnonzero(outcome.kept == row)[0])]
    elif outcome.trace.status[row] == st.BELOW_CUT and _order_is_known(outcome, table):
        whole = select(replace(outcome.rule, budget=None), table)
        if whole.trace.status[row] != st.KEPT:
            return None
        ahead = whole.kept[: int(np.flatnonzero(whole.kept == row)[0])]
    else:
        return None
    ahead = ahead[outcome.trace.status[ahead] != st.PINNED]
    needed = pins + int(cost[ahead].sum() + cost[row])
    if outcome.trace.status[row] == st.BELOW_CUT:
        return needed
    return needed - 1 if needed > pins else None  # a budget below the pins is no budget


def _order_is_known(outcome: Outcome, table: SelectionInput) -> bool:
    """True when a selection without a budget is cheap and keeps the same rows first."""
    rule = outcome.rule
    if find_strategy(rule.strategy).uses_threshold:
        return table.graph is not None and table.graph.serves(rule.threshold)
    below = outcome.trace.status == st.BELOW_CUT
    return bool((outcome.trace.rank[below] > 0).all())


def _search(
    rule: SelectionRule, table: SelectionInput, row: int, inside: bool
) -> tuple[Turn | None, Turn | None]:
    """Turns found by selecting at thresholds further and further away, in both directions."""
    floor = table.graph.floor if table.graph is not None else 0.0

    def changed(threshold: float) -> bool:
        status = select(replace(rule, threshold=threshold), table).trace.status[row]
        return bool(status in _IN) != inside

    above = below = rule.threshold
    while above < 1.0 or below > floor:
        last_above, above = above, min(round(above + STEP, MOST_DECIMALS), 1.0)
        last_below, below = below, max(round(below - STEP, MOST_DECIMALS), floor)
        up = _halved(changed, last_above, above) if changed(above) else None
        down = _halved(changed, last_below, below) if changed(below) else None
        if up or down:
            return up, down
    return None, None


def _halved(changed: Callable[[float], bool], near: float, far: float) -> Turn:
    """The turn between a threshold where nothing has changed and one where the side has."""
    upwards, end = far > near, far
    for _ in range(HALVINGS):
        middle = (near + far) / 2
        if changed(middle):
            far = middle
        else:
            near = middle
    value = round_up(far, end) if upwards else round_down(far, end)
    return Turn(far, value if changed(value) else far, upwards)
