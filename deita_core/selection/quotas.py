"""Quotas of a rule as counters that the greedy pass can work on."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.selection.pool_table import PoolTable
from deita_core.selection.rule_parts import EACH, BudgetUnit, Quota


@dataclass(frozen=True, slots=True)
class QuotaTable:
    """Which counters each of m rows counts in, and how far they may go.

    codes: (m, q) int32, counters of a row, -1 for none. limit, used: (c,) int64; used is what
    counts before the pass begins. by_tokens: (c,) bool, True where tokens count, not rows.
    names: (c,) what each counter limits, in plain words.
    """

    codes: NDArray[np.int32]
    limit: NDArray[np.int64]
    used: NDArray[np.int64]
    by_tokens: NDArray[np.bool_]
    names: tuple[str, ...]

    def of_rows(self, rows: NDArray[np.int64]) -> QuotaTable:
        """The same counters for these rows alone."""
        return replace(self, codes=self.codes[rows])

    def counting(self, rows: NDArray[np.int64], tokens: NDArray[np.integer]) -> QuotaTable:
        """The same counters after these rows (numbers into `codes` and `tokens`) were taken."""
        used = self.used.copy()
        for column in self.codes[rows].T:
            there = column >= 0
            counters = column[there]
            amount = np.ones(len(counters), np.int64)
            in_tokens = self.by_tokens[counters]
            amount[in_tokens] = tokens[rows[there][in_tokens]]
            np.add.at(used, counters, amount)
        return replace(self, used=used)


def quota_table(
    quotas: Sequence[Quota], budget: int | None, unit: BudgetUnit, table: PoolTable
) -> QuotaTable | None:
    """The counters of a rule's quotas for the n rows of the pool; None without a quota."""
    if not quotas:
        return None
    columns: list[NDArray[np.int32]] = []
    limits: list[int] = []
    by_tokens: list[bool] = []
    names: list[str] = []
    for quota in quotas:
        limit = quota.most if quota.most is not None else _share(quota.share, budget)
        for column, labels in _columns(quota, table):
            columns.append(np.where(column >= 0, column + len(limits), -1).astype(np.int32))
            limits += [limit] * len(labels)
            counts_tokens = quota.share is not None and unit == "tokens"
            by_tokens += [counts_tokens] * len(labels)
            what = "tokens" if counts_tokens else "rows"
            names += [f"{label}: at most {limit:,} {what}" for label in labels]
    return QuotaTable(
        np.stack(columns, axis=1) if columns else np.empty((len(table), 0), np.int32),
        np.array(limits, np.int64),
        np.zeros(len(limits), np.int64),
        np.array(by_tokens, np.bool_),
        tuple(names),
    )


def _share(share: float | None, budget: int | None) -> int:
    if share is None or budget is None:
        raise SelectionError("a quota as a share needs a budget: set one, or give rows")
    return math.floor(round(share * budget, 6))  # 0.29 x 100 is 29, not 28.999...


def _columns(quota: Quota, table: PoolTable) -> list[tuple[NDArray[np.integer], tuple[str, ...]]]:
    """Columns of counters, numbered from 0 (-1: none), each with what its counters stand for."""
    if quota.column == "flag":
        wanted = [n for n in table.flag_names if quota.name in (EACH, n)]
        return [(np.where(table.has_flag(name), 0, -1), (f"flag {name}",)) for name in wanted]
    codes, names = _codes(quota, table)
    wanted = [n for n in dict.fromkeys(names) if quota.name in (EACH, n)]
    place = {name: number for number, name in enumerate(wanted)}
    # The last place is for code -1, which is none.
    counter = np.array([*(place.get(name, -1) for name in names), -1], np.int32)
    return [(counter[codes], tuple(f"{quota.column} {name}" for name in wanted))]


def _codes(quota: Quota, table: PoolTable) -> tuple[NDArray[np.integer], tuple[str, ...]]:
    if quota.column == "source":
        return table.source, table.source_names
    if quota.column == "language":
        return table.language, table.language_names
    if table.cluster is None:
        raise SelectionError(
            "a quota on clusters needs clusters: make the similarity graph first, or take the "
            "quota out"
        )
    count = int(table.cluster.max(initial=-1)) + 1
    return table.cluster, tuple(map(str, range(count)))
