"""How close together the rows of a pool lie under its embedder, and where a threshold could start.

0.9 is the paper's threshold for LLaMA embeddings, which crowd together; under another embedder the
same number may drop nearly nothing, or nearly everything. What carries over from one embedder to
another is not a number but a share of the rows, so a start is read off the pool itself.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deita_core.selection.rule import similarity_text
from deita_core.similarity.definition import DECIMALS
from deita_core.similarity.graph import SimilarityGraph

# A quarter: enough for the filter to matter, few enough that most rows never meet it.
SHARE: Final = 0.25


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A threshold to start from, with the share of rows that `reason` speaks of, 0 to 1."""

    threshold: float
    share: float
    reason: str


@dataclass(frozen=True, slots=True, eq=False)
class NearestSimilarities:
    """Each row's similarity to its nearest other row: the scale of the threshold for this pool.

    floor: nothing is known below it. distinct: (g,) float64 ascending, of each distinct vector to
    the nearest other one, the floor where that is at or below it. rows: (g,) int64, how many rows
    have that vector; where more than one, they are at 1.0 to each other.
    """

    floor: float
    distinct: NDArray[np.float64]
    rows: NDArray[np.int64]

    def share_above(self, threshold: float) -> float:
        """Share of the rows with another row nearer than the threshold (at least the floor)."""
        total = int(self.rows.sum())
        return float(self.rows[self._nearest() > threshold].sum() / total) if total else 0.0

    def histogram(self, width: float = 0.01) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Rows (b,) int64, and the edges (b + 1,) float64 of their bins, from the floor to 1.0.

        A bin of this width has the rows with edges[i] < similarity <= edges[i + 1]; those with no
        other row above the floor are in none.
        """
        bins = max(1, math.ceil(round((1.0 - self.floor) / width, 6)))
        edges = np.round(1.0 - np.arange(bins, -1, -1) * width, DECIMALS)
        edges[0] = self.floor
        nearest = self._nearest()
        above = nearest > self.floor
        place = np.searchsorted(edges, nearest[above], side="left") - 1
        rows = np.bincount(place, weights=self.rows[above], minlength=bins)
        return rows.astype(np.int64), edges

    def suggest(self, share: float = SHARE) -> Suggestion:
        """The threshold above which this share of the distinct rows has another one.

        Copies count as one row: any threshold below 1 drops them.
        """
        if not len(self.distinct):
            return Suggestion(0.9, 0.0, "the paper's threshold: the pool has no embeddings yet")
        exact = float(self.distinct[math.ceil((1 - share) * len(self.distinct)) - 1])
        start = max(_rounded(exact), self.floor)
        found = float(np.count_nonzero(self.distinct > start) / len(self.distinct))
        reason = (
            f"a suggestion: {found:.0%} of the distinct rows of this pool have another one nearer "
            f"than {similarity_text(start)}, under this embedder"
        )
        if exact <= self.floor:
            reason += "; it is the lowest that the similarity graph knows"
        return Suggestion(start, found, reason)

    def _nearest(self) -> NDArray[np.float64]:
        return np.where(self.rows > 1, 1.0, self.distinct)


def nearest_similarities(graph: SimilarityGraph) -> NearestSimilarities:
    """The similarities of a pool, read off its similarity graph."""
    nearest = graph.nearest()
    order = np.argsort(nearest, kind="stable")
    sizes = np.diff(np.asarray(graph.member_start)).astype(np.int64)
    return NearestSimilarities(graph.floor, nearest[order], sizes[order])


def typical_similarity(graph: SimilarityGraph) -> float:
    """How near the nearest other row is to a typical one: the median over distinct vectors.

    The floor of the graph when fewer than half of them have an edge; below 1 always.
    """
    if not graph.groups:
        return graph.floor
    return min(float(np.median(graph.nearest())), float(np.nextafter(1.0, 0.0)))


def _rounded(similarity: float) -> float:
    """With as few decimals as leave the distance right to a twentieth; below 1."""
    exact = min(similarity, 1.0 - 1e-6)
    for decimals in range(2, 6):
        value = round(exact, decimals)
        if abs(value - exact) <= 0.05 * (1.0 - exact):
            return value
    return round(exact, 6)
