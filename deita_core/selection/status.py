"""What became of a row in a selection: the one list of statuses, used everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

Number = TypeVar("Number", bound=np.generic)

KEPT: Final = 0
NEAR_DUPLICATE: Final = 1
BELOW_CUT: Final = 2
PINNED: Final = 3
EXCLUDED: Final = 4
FILTERED: Final = 5
NOT_SCORED: Final = 6
NOT_EMBEDDED: Final = 7
OVER_QUOTA: Final = 8
SELECTED: Final = (KEPT, PINNED)


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

    def count(self, *codes: int) -> int:
        """Rows with one of these statuses."""
        return sum(int(np.count_nonzero(self.status == code)) for code in codes)


def scattered(
    values: NDArray[Number], places: NDArray[np.int64], size: int, empty: float
) -> NDArray[Number]:
    """An array (size,) with these values at these places, and `empty` everywhere else."""
    whole = np.full(size, empty, values.dtype)
    whole[places] = values
    return whole
