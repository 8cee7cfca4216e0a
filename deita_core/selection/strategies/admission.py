"""What pins, quotas and the budget leave to a strategy that finds its own order.

Strategies that order all rows beforehand hand that order to `pass_steps`, which sees to pins,
quotas and the budget. Where the next row depends on which rows are in already (k-center, facility
location), the strategy asks here, row by row, and hands `pass_steps` the rows it asked for.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from deita_core.selection import status as st
from deita_core.selection.passes import pass_steps
from deita_core.selection.progress import FilterProgress
from deita_core.selection.strategies.protocol import Candidates, Choice

Rows = NDArray[np.int64]


class Admission:
    """Lets rows in, one by one, for as long as the budget lasts. Pinned rows are in from the
    start, in the order of their scores.
    """

    def __init__(self, candidates: Candidates, choice: Choice) -> None:
        order = candidates.best_first()
        pinned = candidates.pinned
        self.pins: Rows = order[:0] if pinned is None else order[pinned[order]]
        self.others: Rows = order if pinned is None else order[~pinned[order]]
        self.asked: list[int] = self.pins.tolist()
        self._candidates, self._choice = candidates, choice
        self._by_tokens = choice.budget_unit == "tokens"
        quota = candidates.quota
        if quota is not None and quota.codes.shape[1]:
            quota = quota.counting(self.pins, self._tokens())
            self._used = quota.used.copy()
        self._quota = quota
        self._spent = sum(map(self._cost, self.asked))

    def take(self, row: int) -> bool | None:
        """True: the row is in. False: a quota is full, it stays out. None: the budget is full."""
        self.asked.append(row)
        room = self._choice.budget
        if room is not None and not self._by_tokens and self._spent >= room:
            return None
        if not self._within_quotas(row):
            return False
        if room is not None and self._spent + self._cost(row) > room:
            return None
        self._spent += self._cost(row)
        self._count(row)
        return True

    def nothing_to_choose(self) -> bool:
        """True when the budget has room for every row and there is no quota."""
        total = self._spent + sum(map(self._cost, self.others.tolist()))
        room = self._choice.budget
        return self._quota is None and (room is None or total <= room)

    def trace_steps(self) -> Generator[FilterProgress, None, st.SelectionTrace]:
        """The trace of the rows asked for, in that order. Rows never asked for are below the cut
        without a rank: such a strategy does not say when it would have come to them.
        """
        order = np.array(self.asked, np.int64)
        choice = replace(self._choice, pin_place="first")
        trace = yield from pass_steps(order, self._candidates, choice, threshold=None)
        status = trace.status.copy()
        status[self.others[trace.rank[self.others] == 0]] = st.BELOW_CUT
        return replace(trace, status=status)

    def _tokens(self) -> NDArray[np.integer]:
        tokens = self._candidates.tokens
        return np.zeros(len(self._candidates.row), np.int64) if tokens is None else tokens

    def _cost(self, row: int) -> int:
        return int(self._tokens_of(row)) if self._by_tokens else 1

    def _tokens_of(self, row: int) -> int:
        tokens = self._candidates.tokens
        return 0 if tokens is None else int(tokens[row])

    def _amounts(self, row: int) -> tuple[Rows, Rows]:
        """Counters of the row, and how much it adds to each."""
        assert self._quota is not None
        counters = self._quota.codes[row].astype(np.int64)
        counters = counters[counters >= 0]
        amount = np.where(self._quota.by_tokens[counters], self._tokens_of(row), 1)
        return counters, amount

    def _within_quotas(self, row: int) -> bool:
        if self._quota is None:
            return True
        counters, amount = self._amounts(row)
        return bool((self._used[counters] + amount <= self._quota.limit[counters]).all())

    def _count(self, row: int) -> None:
        if self._quota is not None:
            counters, amount = self._amounts(row)
            self._used[counters] += amount
