"""On which side of the selection a row is, at every threshold."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deita_core.selection.cut import budget_cost, room_beside_pins
from deita_core.selection.outcome import Outcome
from deita_core.selection.spans import KeptSpans
from deita_core.selection.table import SelectionInput

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
