"""The similarity graph: all pairs of rows closer than a floor, with their exact similarity.

Built once per (embeddings, floor) and kept; every selection for a threshold at or above the
floor, near-duplicates and the reasons for a row's fate are then passes over its edges.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError


@dataclass(frozen=True, slots=True, eq=False)
class SimilarityGraph:
    """The pairs of m places (rows of an array of vectors) whose similarity is above `floor`.

    Places with bit-identical unit vectors are folded into one of g groups; two places of a group
    have similarity 1.0 and no edge. Similarity is the cosine as `geometry.similarity` defines it.

    floor: every pair with similarity > floor is here, and no other.
    wanted_floor: the floor asked for; lower than `floor` where the edge budget raised it.
    group: (m,) int32, the group of each place; -1 where the vector has no direction.
    member: (m',) int32, places by group, ascending within one; group j has
        member[member_start[j]:member_start[j + 1]]. member_start: (g + 1,) int64.
    start: (g + 1,) int64. neighbour: (e,) int32, similarity: (e,) float64: the edges of group j
        are start[j]:start[j + 1], most similar first, ties by group; each pair stands twice.
    All arrays may be memory maps.
    """

    floor: float
    wanted_floor: float
    group: NDArray[np.int32]
    member: NDArray[np.int32]
    member_start: NDArray[np.int64]
    start: NDArray[np.int64]
    neighbour: NDArray[np.int32]
    similarity: NDArray[np.float64]

    def __post_init__(self) -> None:
        groups = len(self.member_start) - 1
        if len(self.start) != groups + 1 or len(self.neighbour) != len(self.similarity):
            raise SelectionError(
                f"the similarity graph has {groups} groups, {len(self.start) - 1} lists of edges, "
                f"{len(self.neighbour)} neighbours and {len(self.similarity)} similarities: "
                "build it again"
            )

    def __len__(self) -> int:
        return len(self.group)

    @property
    def groups(self) -> int:
        """g, the number of distinct vectors."""
        return len(self.member_start) - 1

    @property
    def pairs(self) -> int:
        """Pairs of groups above the floor."""
        return len(self.neighbour) // 2

    def serves(self, threshold: float) -> bool:
        """True when a selection at this threshold can be read off the graph."""
        return threshold >= self.floor
