"""What a greedy pass carries along and writes down, between NumPy and the compiled kernel."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.selection.pass_edges import NO_EDGES, NO_HIT, Edges
from deita_core.selection.progress import FilterProgress
from deita_core.selection.status import BELOW_CUT, FILTERED, NEAR_DUPLICATE, SelectionTrace
from deita_core.selection.strategies.protocol import Candidates, Choice

Rows = NDArray[np.int64]
# One row over the quota of a table without quotas: nothing counts.
_NO_CODES = np.empty((0, 0), np.int32)


class PassState:
    """A pass over `order` (effective: pins where they belong) in the middle of its way."""

    def __init__(self, order: Rows, candidates: Candidates, choice: Choice) -> None:
        count, rows = len(order), len(candidates.row)
        self.order, self.candidates, self.choice = order, candidates, choice
        self.pinned = _pinned(candidates)
        self.in_tokens = choice.budget is not None and choice.budget_unit == "tokens"
        quota = candidates.quota
        needed = self.in_tokens or (quota is not None and bool(quota.by_tokens.any()))
        self.tokens = _tokens(candidates) if needed else np.empty(0, np.int64)
        pins = np.flatnonzero(self.pinned)
        self.codes, self.limit, self.used = _NO_CODES, np.empty(0, np.int64), np.empty(0, np.int64)
        self.by_tokens = np.empty(0, np.bool_)
        if quota is not None:
            self.codes, self.limit, self.by_tokens = quota.codes, quota.limit, quota.by_tokens
            self.used = quota.counting(pins, self.tokens).used
        room = -1
        if choice.budget is not None:
            taken = int(self.tokens[pins].sum()) if self.in_tokens else len(pins)
            room = check_room(taken, choice.budget, choice.budget_unit)
        self.state = np.array([room, 0, -1, len(pins)], np.int64)
        self.fate = np.full(count, BELOW_CUT, np.int8)
        self.places = np.empty(count, np.int64)
        self.blocker = np.full(count, -1, np.int32)
        self.closeness = np.full(count, np.nan, np.float32)
        self.full = np.full(count, -1, np.int16)
        self.rows = rows

    def walk(
        self, first: int, last: int, edges: Edges | None, threshold: float, hit: Any = NO_HIT
    ) -> None:
        """Decide about order[first:last]; edges None: no row blocks another."""
        from deita_core.selection.pass_kernel import walk

        given = NO_EDGES if edges is None else edges
        walk(
            first,
            last,
            _fixed(self.order, np.int64),
            _fixed(self.pinned, np.bool_),
            self.in_tokens,
            _fixed(self.tokens, np.int64),
            _fixed(self.codes, np.int32),
            _fixed(self.limit, np.int64),
            self.used,
            _fixed(self.by_tokens, np.bool_),
            edges is not None,
            _fixed(hit, np.bool_),
            _fixed(given.alone, np.bool_),
            _fixed(given.group, np.int32),
            _fixed(given.start, np.int64),
            _fixed(given.neighbour, np.int32),
            _fixed(given.similarity, np.float64),
            threshold,
            given.seat,
            self.state,
            self.fate,
            self.places,
            self.blocker,
            self.closeness,
            self.full,
        )

    @property
    def kept_places(self) -> Rows:
        """(k,) int64, positions in the order of the rows kept so far."""
        return self.places[: self.state[1]]

    @property
    def visited(self) -> int:
        """Rows of the order before the budget ended the pass."""
        ended = int(self.state[2])
        return len(self.order) if ended < 0 else ended

    @property
    def ended(self) -> bool:
        """True once the budget is filled: only pins may still come."""
        return bool(self.state[2] >= 0)

    @property
    def pins_left(self) -> int:
        """Pins still to come."""
        return int(self.state[3])

    def over_quota(self, rows: Rows) -> NDArray[np.bool_]:
        """Rows for which a quota has no room any more: (k,) bool."""
        codes = self.codes[rows] if self.codes.shape[1] else np.empty((len(rows), 0), np.int32)
        amount = np.ones(codes.shape, np.int64)
        if self.by_tokens.any():
            amount = np.where(self.by_tokens[codes], self.tokens[rows][:, None], 1)
        no_room = (codes >= 0) & (self.used[codes] + amount > self.limit[codes])
        full: NDArray[np.bool_] = np.any(no_room, axis=1)
        return full

    def progress(self, visited: int, explained: int = 0) -> FilterProgress:
        """How far the pass is."""
        return FilterProgress(visited, int(self.state[1]), len(self.order), explained)

    def trace(self) -> SelectionTrace:
        """What was decided, by row of the candidates."""
        order, kept = self.order, self.order[self.kept_places]
        status = np.full(self.rows, FILTERED, np.int8)
        status[order] = self.fate
        rank = np.zeros(self.rows, np.int32)
        rank[order] = np.arange(1, len(order) + 1, dtype=np.int32)
        near = np.flatnonzero(self.fate == NEAR_DUPLICATE)
        blocker = np.full(self.rows, -1, np.int32)
        blocker[order[near]] = kept[self.blocker[near]]
        similarity = np.full(self.rows, np.nan, np.float32)
        similarity[order[near]] = self.closeness[near]
        quota = None
        if self.codes.shape[1]:
            quota = np.full(self.rows, -1, np.int16)
            quota[order] = self.full
        # With a budget in rows the count decides, also where the pool ended with the budget.
        ended = self.ended or int(self.state[0]) == 0
        budget = self.choice.budget
        return SelectionTrace(
            kept,
            status,
            rank,
            blocker,
            similarity,
            self.visited,
            budget,
            self.in_tokens,
            quota,
            ended,
        )


def check_room(taken: int, budget: int, unit: str) -> int:
    """What is left of the budget after the pins; SelectionError when they do not fit."""
    if taken > budget:
        raise SelectionError(
            f"the pinned conversations take {taken:,} {unit}, but the budget is {budget:,}: raise "
            "the budget, or take pins out"
        )
    return budget - taken


def _pinned(candidates: Candidates) -> NDArray[np.bool_]:
    if candidates.pinned is None:
        return np.zeros(len(candidates.row), np.bool_)
    return candidates.pinned


def _tokens(candidates: Candidates) -> NDArray[np.int64]:
    if candidates.tokens is None:
        raise SelectionError("a budget or quota in tokens needs the tokens of every row")
    return candidates.tokens.astype(np.int64)


def _fixed(array: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """The array as a read-only view: then memory maps and arrays share one compiled kernel."""
    view = np.ascontiguousarray(array, dtype).view(np.ndarray)
    view.flags.writeable = False
    return view
