"""Which rows block which, as the compiled pass reads it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deita_core.geometry.graph import SimilarityGraph

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Edges:
    """The graph of a stretch of the order: see `SimilarityGraph` for start to similarity.

    alone: (s,) bool, by position in the stretch: rows without another above the threshold, for
    which nothing has to be looked up. group: (s,) int32, likewise.
    seat: (g,) int32, place in `kept` of the first row kept of a group, or -1.
    """

    alone: NDArray[np.bool_]
    group: NDArray[np.int32]
    start: NDArray[np.int64]
    neighbour: NDArray[np.int32]
    similarity: NDArray[np.float64]
    seat: NDArray[np.int32]

    @staticmethod
    def of_graph(
        graph: SimilarityGraph, order: Rows, closest: NDArray[np.float64], threshold: float
    ) -> Edges:
        """The whole graph, for the whole order; closest: see `closest_similarity`."""
        alone = closest[order] <= threshold
        seat = np.full(graph.groups, -1, np.int32)
        group = graph.group[order]
        return Edges(alone, group, graph.start, graph.neighbour, graph.similarity, seat)

    @staticmethod
    def of_pairs(places: int, first: Rows, second: Rows) -> Edges:
        """A stretch of so many rows in which these pairs of places block each other."""
        ends = np.concatenate((first, second))
        by_end = np.argsort(ends, kind="stable")
        start = np.zeros(places + 1, np.int64)
        np.cumsum(np.bincount(ends, minlength=places), out=start[1:])
        others = np.concatenate((second, first))[by_end].astype(np.int32)
        group = np.arange(places, dtype=np.int32)
        seat = np.full(places, -1, np.int32)
        alone = np.diff(start) == 0
        return Edges(alone, group, start, others, np.ones(len(others)), seat)


NO_EDGES = Edges(
    np.empty(0, np.bool_),
    np.empty(0, np.int32),
    np.zeros(1, np.int64),
    np.empty(0, np.int32),
    np.empty(0),
    np.empty(0, np.int32),
)
NO_HIT = np.empty(0, np.bool_)


def closest_similarity(graph: SimilarityGraph) -> NDArray[np.float64]:
    """Of each place to its most similar other one: (m,) float64, the floor where that is lower."""
    start = np.asarray(graph.start)
    joined = np.flatnonzero(np.diff(start))
    of_groups = np.full(graph.groups, graph.floor)
    of_groups[joined] = graph.similarity[start[joined]]  # a group's edges: most similar first
    of_groups[np.diff(np.asarray(graph.member_start)) > 1] = 1.0
    result = np.full(len(graph), graph.floor)
    there = graph.group >= 0
    result[there] = of_groups[graph.group[there]]
    return result
