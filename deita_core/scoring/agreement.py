"""How far two scorers agree on the same turns: rank correlation, and where they differ most.

Ranks, because two scorers need not share a scale: one may give 1 to 6, the other a length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import ModelError

MOST = 50


@dataclass(frozen=True, slots=True, eq=False)
class Agreement:
    """Two scorers over n turns.

    turns: those with a score of both. only_first, only_second: with a score of one alone.
    spearman: rank correlation over `turns`, ties shared; NaN for fewer than two or constant ones.
    differ: places of those whose ranks differ most, the largest difference first, (m,) int64.
    rank_difference: (m,) float64 in [-1, 1]: share of the turns that the second scorer puts the
    turn above where the first puts it (below, when negative).
    """

    turns: int
    only_first: int
    only_second: int
    spearman: float
    differ: NDArray[np.int64]
    rank_difference: NDArray[np.float64]

    def sentence(self) -> str:
        """The agreement in plain words."""
        if np.isnan(self.spearman):
            return f"{self.turns:,} turns have both scores: no correlation can be given"
        return f"Spearman {self.spearman:.2f} over the {self.turns:,} turns that both scored"


def agreement(
    first: NDArray[np.floating], second: NDArray[np.floating], *, most: int = MOST
) -> Agreement:
    """Compares (n,) scores of two scorers, NaN where there is none; ModelError when shapes differ.

    most: how many of those that differ most to name.
    """
    from scipy.stats import rankdata

    if first.shape != second.shape or first.ndim != 1:
        raise ModelError(
            f"both scores must be (n,) over the same turns, got {first.shape} and {second.shape}"
        )
    has_first, has_second = np.isfinite(first), np.isfinite(second)
    both = np.flatnonzero(has_first & has_second)
    ranks = [rankdata(scores[both]) for scores in (first, second)]
    difference = (ranks[1] - ranks[0]) / max(1, len(both) - 1)
    order = np.argsort(-np.abs(difference), kind="stable")[:most]
    order = order[difference[order] != 0]
    spearman = np.nan
    if len(both) >= 2 and all(np.ptp(rank) > 0 for rank in ranks):
        spearman = np.clip(np.corrcoef(*ranks)[0, 1], -1.0, 1.0)
    return Agreement(
        turns=len(both),
        only_first=int(np.count_nonzero(has_first & ~has_second)),
        only_second=int(np.count_nonzero(has_second & ~has_first)),
        spearman=float(spearman),
        differ=both[order],
        rank_difference=difference[order],
    )
