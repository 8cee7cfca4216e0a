"""What became of a row in a selection: the one list of statuses, used everywhere."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

KEPT: Final = 0
NEAR_DUPLICATE: Final = 1
BELOW_CUT: Final = 2
PINNED: Final = 3
EXCLUDED: Final = 4
FILTERED: Final = 5
NOT_SCORED: Final = 6
NOT_EMBEDDED: Final = 7
OVER_QUOTA: Final = 8


@dataclass(frozen=True, slots=True)
class Status:
    """code: as in `SelectionTrace.status`. key: for files. label: for people."""

    code: int
    key: str
    label: str
    meaning: str


STATUSES: Final = (
    Status(KEPT, "kept", "kept", "selected on its score"),
    Status(NEAR_DUPLICATE, "near_duplicate", "near-duplicate", "too close to a better row"),
    Status(BELOW_CUT, "below_cut", "below the cut", "the budget filled before its rank"),
    Status(PINNED, "pinned", "pinned", "selected because you pinned it"),
    Status(EXCLUDED, "excluded", "excluded", "left out because you excluded it"),
    Status(FILTERED, "filtered", "filtered", "left out by a filter"),
    Status(NOT_SCORED, "not_scored", "not scored", "no turn of it has both scores"),
    Status(NOT_EMBEDDED, "not_embedded", "not embedded", "it has no embedding"),
    Status(OVER_QUOTA, "over_quota", "over quota", "better rows filled a quota that it counts in"),
)


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows by what became of them; they add up to the pool."""

    kept: int
    near_duplicates: int
    below_cut: int
    pinned: int
    excluded: int
    filtered: int
    not_scored: int
    not_embedded: int
    over_quota: int = 0

    @property
    def selected(self) -> int:
        """Rows in the selection: kept on their score, or pinned."""
        return self.kept + self.pinned

    @property
    def total(self) -> int:
        """All rows of the pool."""
        out = self.near_duplicates + self.below_cut + self.excluded + self.filtered
        return self.selected + out + self.not_scored + self.not_embedded + self.over_quota


@dataclass(frozen=True, slots=True)
class SelectionTrace:
    """What a selection did with each of the n rows of a pool.

    kept: (k,) int64, rows kept in the order kept.
    status: (n,) int8, codes of `STATUSES`.
    rank: (n,) int32, 1 for the row visited first; rows below the cut have the rank at which
        they would have come; 0 for rows that are no candidates.
    blocker: (n,) int32, for a near-duplicate the most similar of the rows kept before it (the
        first kept of equally similar ones); else -1.
    similarity: (n,) float32 in [-1, 1], to the blocker; else NaN.
    rank_reached: rank of the last row visited, 0 when none was.
    budget: rows asked for (tokens with `by_tokens`), None when all that fit were.
    quota: (n,) int16, for a row over quota the number of the quota that was full; else -1.
        None: no quota was in play.
    filled: True when the budget was reached; False without a budget.
    """

    kept: NDArray[np.int64]
    status: NDArray[np.int8]
    rank: NDArray[np.int32]
    blocker: NDArray[np.int32]
    similarity: NDArray[np.float32]
    rank_reached: int
    budget: int | None
    by_tokens: bool = False
    quota: NDArray[np.int16] | None = None
    filled: bool = False

    def count(self, code: int) -> int:
        """Rows with this status."""
        return int(np.count_nonzero(self.status == code))

    @property
    def counts(self) -> Counts:
        """Rows by status."""
        return Counts(
            kept=self.count(KEPT),
            near_duplicates=self.count(NEAR_DUPLICATE),
            below_cut=self.count(BELOW_CUT),
            pinned=self.count(PINNED),
            excluded=self.count(EXCLUDED),
            filtered=self.count(FILTERED),
            not_scored=self.count(NOT_SCORED),
            not_embedded=self.count(NOT_EMBEDDED),
            over_quota=self.count(OVER_QUOTA),
        )


def spread(
    trace: SelectionTrace, rows: NDArray[np.int64], status: NDArray[np.int8]
) -> SelectionTrace:
    """A trace of some rows of a pool as a trace of the whole pool.

    rows: (m,) int64, the pool's number of each row of `trace`. status: (n,) int8, the status of
    every row of the pool, negative for those whose status the trace knows.
    """
    everyone = len(status)
    result = status.copy()
    known = np.flatnonzero(status[rows] < 0)
    result[rows[known]] = trace.status[known]
    rank = np.zeros(everyone, np.int32)
    rank[rows] = trace.rank
    similarity = np.full(everyone, np.nan, np.float32)
    similarity[rows] = trace.similarity
    blocker = np.full(everyone, -1, np.int32)
    blocked = np.flatnonzero(trace.blocker >= 0)
    blocker[rows[blocked]] = rows[trace.blocker[blocked]]
    quota = None
    if trace.quota is not None:
        quota = np.full(everyone, -1, np.int16)
        quota[rows] = trace.quota
    return replace(
        trace,
        kept=rows[trace.kept],
        status=result,
        rank=rank,
        blocker=blocker,
        similarity=similarity,
        quota=quota,
    )
