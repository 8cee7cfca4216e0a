"""Small pools full of ties and copies, for tests of strategies, and plain loops to hold against."""

from __future__ import annotations

import numpy as np
from hypothesis import strategies as some
from numpy.typing import NDArray

from deita_core.progress import finish
from deita_core.selection.quotas import QuotaTable
from deita_core.selection.status import SelectionTrace
from deita_core.selection.strategies.protocol import Candidates, Choice, Strategy
from deita_core.similarity.definition import cosines
from tests.naive_graph import naive_graph

THRESHOLDS = (-0.5, 0.0, 0.2, 0.5, 0.7, 0.9, 1.0)


def run(strategy: Strategy, candidates: Candidates, choice: Choice) -> SelectionTrace:
    return finish(strategy.steps(candidates, choice))


@some.composite
def pools(draw: some.DrawFn, *, with_graph: bool | None = None) -> tuple[Candidates, Choice]:
    rows = draw(some.integers(1, 24))

    def column(values: some.SearchStrategy[int]) -> NDArray[np.int64]:
        return np.array(draw(some.lists(values, min_size=rows, max_size=rows)))

    small = some.tuples(*[some.integers(-1, 2)] * 3).filter(any)
    vectors = np.array(draw(some.lists(small, min_size=rows, max_size=rows)), np.float32)
    vectors[column(some.integers(0, 1)) == 1] *= 3  # scaled copies are copies
    eligible = column(some.integers(0, 9)) > 0
    pinned = (column(some.integers(0, 7)) == 0) & eligible
    tokens = column(some.integers(0, 4)).astype(np.int32)
    unit = draw(some.sampled_from(("rows", "tokens")))
    least = int(pinned.sum() if unit == "rows" else tokens[pinned].sum())
    budget = draw(some.none() | some.integers(least, least + rows))
    graph = naive_graph(vectors, -1.0) if with_graph or draw(some.booleans()) else None
    candidates = Candidates(
        vectors,
        np.where(eligible, column(some.integers(1, 3)).astype(np.float64), np.nan),
        eligible,
        np.arange(rows) * 2,
        graph if with_graph is not False else None,
        tokens,
        column(some.integers(0, 3)).astype(np.int32),
        column(some.integers(0, 3)).astype(np.int32),
        column(some.integers(-1, 2)).astype(np.int32),
        pinned,
        draw(some.none() | some.builds(_quota, some.just(column(some.integers(-1, 1))))),
    )
    threshold = draw(some.sampled_from(THRESHOLDS))
    return candidates, Choice(threshold, budget, 0, unit)


def _quota(codes: NDArray[np.int64]) -> QuotaTable:
    by_tokens = np.array([False, True])
    limit, used = np.array([3, 5]), np.zeros(2, np.int64)
    return QuotaTable(codes[:, None].astype(np.int32), limit, used, by_tokens, ("a", "b"))


def similarities(candidates: Candidates) -> NDArray[np.float64]:
    every = np.arange(len(candidates.vectors))
    return cosines(candidates.vectors, every, every)


def pins_of(candidates: Candidates) -> list[int]:
    return [row for row in candidates.best_first().tolist() if candidates.pinned[row]]


class NaiveRoom:
    """What pins leave of budget and quotas: `take` is True, False (quota) or None (budget)."""

    def __init__(self, candidates: Candidates, choice: Choice) -> None:
        self.candidates, self.choice = candidates, choice
        self.rows = pins_of(candidates)

    def take(self, row: int) -> bool | None:
        by_tokens = self.choice.budget_unit == "tokens"
        if not by_tokens and len(self.rows) == self.choice.budget:
            return None
        if not self._within_quota(row):
            return False
        spent = sum(self.candidates.tokens[[*self.rows, row]])
        if by_tokens and self.choice.budget is not None and spent > self.choice.budget:
            return None
        self.rows.append(row)
        return True

    def _within_quota(self, row: int) -> bool:
        quota = self.candidates.quota
        if quota is None or quota.codes[row, 0] < 0:
            return True
        code = quota.codes[row, 0]
        same = [r for r in [*self.rows, row] if quota.codes[r, 0] == code]
        used = self.candidates.tokens[same].sum() if quota.by_tokens[code] else len(same)
        return used <= quota.limit[code]

    def take_in_order(self, order: list[int]) -> list[int]:
        for row in order:
            if row not in self.rows and self.take(row) is None:
                break
        return self.rows

    def is_enough(self) -> bool:
        """The budget has room for all candidates, and there is no quota."""
        c, budget = self.candidates, self.choice.budget
        tokens = self.choice.budget_unit == "tokens"
        total = c.tokens[c.eligible].sum() if tokens else c.eligible.sum()
        return c.quota is None and (budget is None or total <= budget)
