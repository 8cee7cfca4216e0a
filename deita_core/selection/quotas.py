"""The budget and the quotas of a selection: what they allow, and what of it is left."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.selection.pass_arrays import Ledger
from deita_core.selection.pool_table import BudgetUnit, PoolTable


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


def open_ledger(
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
