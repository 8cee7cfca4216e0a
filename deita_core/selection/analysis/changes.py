"""What changed between two selections of the same pool: which rows entered, which left, and why.

What the aggregation of turns does to a selection: the sum favours long chats.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.progress import finish
from deita_core.selection import status as st
from deita_core.selection.analysis.measures import mean_or_nan
from deita_core.selection.evol import AGGREGATIONS
from deita_core.selection.outcome import Outcome, select
from deita_core.selection.pool_table import SelectionInput
from deita_core.selection.rule import SelectionRule

IN: Final = (st.KEPT, st.PINNED)


@dataclass(frozen=True, slots=True)
class Change:
    """One row that changed sides.

    before, after: its status, codes of `STATUSES`. by: the row this is known to be due to: for
    one that left, the row that is too close to it now; for one that entered, the row that was too
    close before; -1 where no single row is to blame.
    """

    row: int
    entered: bool
    before: int
    after: int
    by: int
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """Rows that entered or left between two outcomes.

    entered: (k,) int64, in the order kept after. left: (j,) int64, in the order kept before.
    entered_by (k,), left_by (j,): int64, see `Change.by`.
    """

    before: Outcome
    after: Outcome
    entered: NDArray[np.int64]
    left: NDArray[np.int64]
    entered_by: NDArray[np.int64]
    left_by: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.entered) + len(self.left)

    def __iter__(self) -> Iterator[Change]:
        for rows, by, entered in (
            (self.entered, self.entered_by, True),
            (self.left, self.left_by, False),
        ):
            for row, due in zip(rows.tolist(), by.tolist(), strict=True):
                yield self._change(row, due, entered)

    def sentence(self) -> str:
        """How many rows entered and left (no full stop)."""
        if not len(self):
            return "the same rows as before"
        number = f"{len(self.entered):,} {'row' if len(self.entered) == 1 else 'rows'}"
        return f"{number} entered, {len(self.left):,} left"

    def displaced_by(self, row: int) -> NDArray[np.int64]:
        """Rows that left because they are too close to this one now: (d,) int64."""
        displaced: NDArray[np.int64] = self.left[self.left_by == row]
        return displaced

    def _change(self, row: int, by: int, entered: bool) -> Change:
        before, after = int(self.before.trace.status[row]), int(self.after.trace.status[row])
        reason = self._why_entered(row, by) if entered else self._why_left(row, by)
        return Change(row, entered, before, after, by, reason)

    def _why_entered(self, row: int, by: int) -> str:
        before = int(self.before.trace.status[row])
        if self.after.trace.status[row] == st.PINNED:
            return "you pinned it"
        if before == st.NEAR_DUPLICATE:
            if self.after.trace.status[by] not in IN:
                return f"row {by:,}, which was too close to it, is out now"
            return f"it is no longer too close to row {by:,}"
        if before == st.BELOW_CUT:
            return "the cut moved"
        return f"it was {st.STATUSES[before].label} before"

    def _why_left(self, row: int, by: int) -> str:
        after = int(self.after.trace.status[row])
        if after == st.NEAR_DUPLICATE:
            how = f"too close to row {by:,} (similarity {self.after.trace.similarity[row]:.3f})"
            if self.after.trace.status[by] == st.PINNED != self.before.trace.status[by]:
                return f"{how}, which you pinned"
            return f"now {how}" if self.before.trace.status[by] in IN else f"{how}, which entered"
        if after == st.BELOW_CUT:
            return f"the cut moved: its rank is {int(self.after.trace.rank[row]):,}"
        return self.after.why(row)


def changes(before: Outcome, after: Outcome) -> Changes:
    """Rows that are in one of two selections of the same pool and not in the other.

    Raises SelectionError for outcomes of different pools.
    """
    rows = len(before.trace.status)
    if rows != len(after.trace.status):
        raise SelectionError(
            f"two selections can only be compared on the same pool, got one of {rows:,} rows and "
            f"one of {len(after.trace.status):,}"
        )
    entered = after.kept[~np.isin(before.trace.status[after.kept], IN)]
    left = before.kept[~np.isin(after.trace.status[before.kept], IN)]
    return Changes(
        before,
        after,
        entered,
        left,
        _blockers(before, entered),
        _blockers(after, left),
    )


def _blockers(outcome: Outcome, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    near = outcome.trace.status[rows] == st.NEAR_DUPLICATE
    return np.where(near, outcome.trace.blocker[rows], -1).astype(np.int64)


@dataclass(frozen=True, slots=True)
class AggregationEffect:
    """The selection a rule would give with another aggregation.

    turns, tokens: mean per row, NaN without rows. multi_turn: share of the rows with more than
    one turn. shared: share of the rows that are also in the selection as the rule stands.
    """

    aggregation: str
    rows: int
    turns: float
    tokens: float
    tokens_total: int
    multi_turn: float
    shared: float


def aggregation_effects(
    rule: SelectionRule, table: SelectionInput
) -> tuple[AggregationEffect, ...]:
    """The effect of each of `AGGREGATIONS`, everything else as the rule says."""
    return finish(aggregation_effects_steps(rule, table))


def aggregation_effects_steps(
    rule: SelectionRule, table: SelectionInput
) -> Generator[int, None, tuple[AggregationEffect, ...]]:
    """`aggregation_effects` as a generator: yields how many are done."""
    kept = {}
    for info in AGGREGATIONS:
        kept[info.name] = select(replace(rule, aggregation=info.name), table).kept
        yield len(kept)
    present = kept[rule.aggregation]  # type: ignore[index]
    return tuple(
        AggregationEffect(
            aggregation=name,
            rows=len(rows),
            turns=mean_or_nan(table.turns[rows]),
            tokens=mean_or_nan(table.tokens[rows]),
            tokens_total=int(table.tokens[rows].sum(dtype=np.int64)),
            multi_turn=mean_or_nan((table.turns[rows] > 1).astype(np.float64)),
            shared=mean_or_nan(np.isin(rows, present).astype(np.float64)),
        )
        for name, rows in kept.items()
    )
