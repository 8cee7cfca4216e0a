"""Small pools full of ties and copies, for tests of strategies, and plain loops to hold against."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import strategies as some
from numpy.typing import NDArray

from deita_core.progress import finish
from deita_core.selection.candidates import (
    NO_QUOTAS,
    Candidates,
    Limits,
    QuotaTable,
    Strategy,
    open_ledger,
)
from deita_core.selection.pool_table import PoolTable
from deita_core.selection.status import SelectionTrace
from deita_core.similarity.definition import cosines
from tests.naive_graph import naive_graph

THRESHOLDS = (-0.5, 0.0, 0.2, 0.5, 0.7, 0.9, 1.0)


def run(strategy: Strategy, candidates: Candidates, limits: Limits) -> SelectionTrace:
    return finish(strategy.steps(candidates, limits))


def made(
    vectors: NDArray[np.floating],
    scores: NDArray[np.float64],
    limits: Limits,
    *,
    eligible: NDArray[np.bool_] | None = None,
    pinned: NDArray[np.bool_] | None = None,
    quotas: QuotaTable = NO_QUOTAS,
    rows: NDArray[np.int64] | None = None,
    **columns: object,
) -> Candidates:
    """Candidates of a pool in which `rows` have a vector; everything is given by vector."""
    many = len(vectors)
    rows = np.arange(many) if rows is None else rows
    everyone = int(rows.max(initial=-1)) + 1
    table = PoolTable.of_scores(np.ones(everyone), np.ones(everyone), np.empty((everyone, 1)))
    table = replace(table, vectors=vectors, vector_rows=rows)
    eligible = np.ones(many, np.bool_) if eligible is None else eligible
    pinned = np.zeros(many, np.bool_) if pinned is None else pinned
    table = with_columns(table, **columns)
    if quotas.codes.shape[1]:
        codes = np.full((everyone, quotas.codes.shape[1]), -1, np.int32)
        codes[rows] = quotas.codes
        quotas = replace(quotas, codes=codes)
    ledger = open_ledger(limits.budget, limits.budget_unit, table, rows[pinned], quotas)
    return Candidates(table, scores, eligible, pinned, ledger)


def with_columns(table: PoolTable, **columns: object) -> PoolTable:
    """The table with columns (by vector), a graph, or without one of these (None)."""
    whole = {}
    for name, values in columns.items():
        whole[name] = values
        if isinstance(values, np.ndarray):
            whole[name] = np.zeros((len(table), *values.shape[1:]), values.dtype)
            whole[name][table.vector_rows] = values
    return replace(table, **whole)


def changed(candidates: Candidates, **columns: object) -> Candidates:
    return replace(candidates, table=with_columns(candidates.table, **columns))


def column(candidates: Candidates, name: str) -> NDArray:
    """A column of the pool by vector."""
    return getattr(candidates.table, name)[candidates.rows]


@some.composite
def pools(draw: some.DrawFn, *, with_graph: bool | None = None) -> tuple[Candidates, Limits]:
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
    threshold = draw(some.sampled_from(THRESHOLDS))
    limits = Limits(threshold, budget, 0, unit)
    candidates = made(
        vectors,
        np.where(eligible, column(some.integers(1, 3)).astype(np.float64), np.nan),
        limits,
        eligible=eligible,
        rows=np.arange(rows) * 2,
        graph=graph if with_graph is not False else None,
        tokens=tokens,
        instruction_characters=column(some.integers(0, 3)).astype(np.int32),
        response_characters=column(some.integers(0, 3)).astype(np.int32),
        cluster=column(some.integers(-1, 2)).astype(np.int32),
        tags=np.column_stack([column(some.integers(0, 2)) == 0 for _ in range(3)]),
        tag_names=("a", "b", "c"),
        pinned=pinned,
        quotas=draw(
            some.just(NO_QUOTAS) | some.builds(_quota, some.just(column(some.integers(-1, 1))))
        ),
    )
    return candidates, limits


def _quota(codes: NDArray[np.int64]) -> QuotaTable:
    return QuotaTable(
        codes[:, None].astype(np.int32), np.array([3, 5]), np.array([False, True]), ("a", "b")
    )


def similarities(candidates: Candidates) -> NDArray[np.float64]:
    every = np.arange(len(candidates.table.vectors))
    return cosines(candidates.table.vectors, every, every)


def pins_of(candidates: Candidates) -> list[int]:
    return [row for row in candidates.best_first().tolist() if candidates.pinned[row]]


class NaiveRoom:
    """What pins leave of budget and quotas: `take` is True, False (quota) or None (budget)."""

    def __init__(self, candidates: Candidates, limits: Limits) -> None:
        self.candidates, self.limits = candidates, limits
        self.tokens = column(candidates, "tokens")
        self.rows = pins_of(candidates)

    def take(self, row: int) -> bool | None:
        by_tokens = self.limits.budget_unit == "tokens"
        if not by_tokens and len(self.rows) == self.limits.budget:
            return None
        if not self._within_quota(row):
            return False
        spent = sum(self.tokens[[*self.rows, row]])
        if by_tokens and self.limits.budget is not None and spent > self.limits.budget:
            return None
        self.rows.append(row)
        return True

    def _within_quota(self, row: int) -> bool:
        ledger, rows = self.candidates.ledger, self.candidates.rows
        if not len(ledger.limit) or ledger.codes[rows[row], 0] < 0:
            return True
        code = ledger.codes[rows[row], 0]
        same = [r for r in [*self.rows, row] if ledger.codes[rows[r], 0] == code]
        used = self.tokens[same].sum() if ledger.by_tokens[code] else len(same)
        return used <= ledger.limit[code]

    def take_in_order(self, order: list[int]) -> list[int]:
        for row in order:
            if row not in self.rows and self.take(row) is None:
                break
        return self.rows

    def is_enough(self) -> bool:
        """The budget has room for all candidates, and there is no quota."""
        c, budget = self.candidates, self.limits.budget
        tokens = self.limits.budget_unit == "tokens"
        total = self.tokens[c.eligible].sum() if tokens else c.eligible.sum()
        return not len(c.ledger.limit) and (budget is None or total <= budget)
