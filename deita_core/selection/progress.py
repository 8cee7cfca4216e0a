"""How far a pass has come."""

from __future__ import annotations

from typing import NamedTuple


class FilterProgress(NamedTuple):
    """visited: rows looked at so far, of `total` candidates. kept: rows kept so far.

    explained: near-duplicates whose blocker is known; it starts when the pass is over.
    """

    visited: int
    kept: int
    total: int
    explained: int = 0
