"""The budget and the quotas of a selection: what they allow, and what of it is left."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.selection.pool_table import PoolTable
from deita_core.selection.rule_parts import EACH, BudgetUnit, Quota


@dataclass(frozen=True, slots=True)
class QuotaTable:
    """The quotas that each of n rows of a pool counts in.

    codes: (n, q) int32, quotas of a row, -1 for none. limit: (c,) int64. by_tokens: (c,) bool,
    True where tokens count, not rows. names: (c,) what each quota limits, in plain words.
    """

    codes: NDArray[np.int32]
    limit: NDArray[np.int64]
    by_tokens: NDArray[np.bool_]
    names: tuple[str, ...]


NO_QUOTAS = QuotaTable(np.empty((0, 0), np.int32), np.empty(0, np.int64), np.empty(0, np.bool_), ())


class Ledger(NamedTuple):
    """What a selection has taken of its budget and quotas, as the compiled pass counts it.

    room: (1,) int64, left of the budget; -1 without one. in_tokens: it is in tokens, not rows.
    tokens: (n,) int64, empty when nothing counts them. used: (c,) int64, what counts in each
    quota so far. codes, limit, by_tokens: see `QuotaTable`.
    """

    room: NDArray[np.int64]
    in_tokens: bool
    tokens: NDArray[np.int64]
    codes: NDArray[np.int32]
    limit: NDArray[np.int64]
    by_tokens: NDArray[np.bool_]
    used: NDArray[np.int64]

    @staticmethod
    def opened(
        budget: int | None,
        unit: BudgetUnit,
        table: PoolTable,
        pinned: NDArray[np.int64],
        quotas: QuotaTable = NO_QUOTAS,
    ) -> Ledger:
        """The ledger in which only the pinned rows (k,) count so far.

        They may overfill quotas; SelectionError when they do not fit into the budget.
        """
        from deita_core.selection.pass_kernel import count_rows

        in_tokens = budget is not None and unit == "tokens"
        counts_tokens = in_tokens or bool(quotas.by_tokens.any())
        tokens = table.cost("tokens") if counts_tokens else np.empty(0, np.int64)
        room = -1
        if budget is not None:
            taken = int(tokens[pinned].sum()) if in_tokens else len(pinned)
            room = budget - taken
            if room < 0:
                raise SelectionError(
                    f"the pinned conversations take {taken:,} {unit}, but the budget is "
                    f"{budget:,}: raise the budget, or take pins out"
                )
        ledger = Ledger(
            room=np.array([room]),
            in_tokens=in_tokens,
            tokens=tokens,
            codes=quotas.codes,
            limit=quotas.limit,
            by_tokens=quotas.by_tokens,
            used=np.zeros(len(quotas.limit), np.int64),
        )
        count_rows(pinned, ledger)
        return ledger

    def copy(self) -> Ledger:
        """A ledger of its own that goes on from here."""
        return self._replace(room=self.room.copy(), used=self.used.copy())

    def has_room_for(self, rows: NDArray[np.int64]) -> bool:
        """True when the budget has room for all of these rows and no quota is in play."""
        cost = int(self.tokens[rows].sum()) if self.in_tokens else len(rows)
        return not self.codes.shape[1] and (self.room[0] < 0 or cost <= self.room[0])


def quota_table(
    quotas: Sequence[Quota], budget: int | None, unit: BudgetUnit, table: PoolTable
) -> QuotaTable:
    """The quotas of a rule for the n rows of the pool.

    Raises SelectionError for a share without a budget, and for clusters that are not known.
    """
    if not quotas:
        return NO_QUOTAS
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
        np.array(by_tokens, np.bool_),
        tuple(names),
    )


def _share(share: float | None, budget: int | None) -> int:
    if share is None or budget is None:
        raise SelectionError("a quota as a share needs a budget: set one, or give rows")
    return math.floor(round(share * budget, 6))  # 0.29 x 100 is 29, not 28.999...


def _columns(quota: Quota, table: PoolTable) -> list[tuple[NDArray[np.integer], tuple[str, ...]]]:
    """Columns of numbers from 0 (-1: none), each with what its numbers stand for."""
    if quota.column == "flag":
        wanted = [n for n in table.flag_names if quota.name in (EACH, n)]
        return [(np.where(table.has_flag(name), 0, -1), (f"flag {name}",)) for name in wanted]
    codes, names = _codes(quota, table)
    wanted = [n for n in dict.fromkeys(names) if quota.name in (EACH, n)]
    place = {name: number for number, name in enumerate(wanted)}
    # The last place is for code -1, which is none.
    number_of = np.array([*(place.get(name, -1) for name in names), -1], np.int32)
    return [(number_of[codes], tuple(f"{quota.column} {name}" for name in wanted))]


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
