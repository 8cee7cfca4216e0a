"""What changed between two selections of the same pool: which rows entered, which left, and why."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.selection import status as st
from deita_core.selection.outcome import Outcome


@dataclass(frozen=True, slots=True, eq=False)
class Changes:
    """Rows that entered or left between two outcomes.

    entered: (k,) int64, in the order kept after. left: (j,) int64, in the order kept before.
    """

    before: Outcome
    after: Outcome
    entered: NDArray[np.int64]
    left: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.entered) + len(self.left)

    def sentence(self) -> str:
        """How many rows entered and left (no full stop)."""
        if not len(self):
            return "the same rows as before"
        number = f"{len(self.entered):,} {'row' if len(self.entered) == 1 else 'rows'}"
        return f"{number} entered, {len(self.left):,} left"

    def reason(self, row: int) -> str:
        """Why this row entered, or left."""
        status = int(self.after.trace.status[row])
        return self._why_entered(row) if status in st.SELECTED else self._why_left(row, status)

    def _why_entered(self, row: int) -> str:
        before = int(self.before.trace.status[row])
        if self.after.trace.status[row] == st.PINNED:
            return "you pinned it"
        if before == st.NEAR_DUPLICATE:
            by = int(self.before.trace.blocker[row])
            if self.after.trace.status[by] not in st.SELECTED:
                return f"row {by:,}, which was too close to it, is out now"
            return f"it is no longer too close to row {by:,}"
        if before == st.BELOW_CUT:
            return "the cut moved"
        return f"it was {st.STATUSES[before].label} before"

    def _why_left(self, row: int, status: int) -> str:
        if status == st.NEAR_DUPLICATE:
            by = int(self.after.trace.blocker[row])
            how = f"too close to row {by:,} (similarity {self.after.trace.similarity[row]:.3f})"
            if self.after.trace.status[by] == st.PINNED != self.before.trace.status[by]:
                return f"{how}, which you pinned"
            was_in = self.before.trace.status[by] in st.SELECTED
            return f"now {how}" if was_in else f"{how}, which entered"
        if status == st.BELOW_CUT:
            return f"the cut moved: its rank is {int(self.after.trace.rank[row]):,}"
        return self.after.why(row)


def changes(before: Outcome, after: Outcome) -> Changes:
    """Rows that are in one of two selections of the same pool and not in the other.

    Raises SelectionError for outcomes of different pools.
    """
    rows, now = len(before.scores), len(after.scores)
    if rows != now:
        raise SelectionError(
            f"two selections can only be compared on the same pool, got one of {rows:,} rows and "
            f"one of {now:,}"
        )
    entered = after.kept[~np.isin(before.trace.status[after.kept], st.SELECTED)]
    left = before.kept[~np.isin(after.trace.status[before.kept], st.SELECTED)]
    return Changes(before, after, entered, left)
