"""The edges of a similarity graph as compiled functions take them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deita_core.geometry.graph import SimilarityGraph

Edges = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]


def read_only_edges(graph: SimilarityGraph) -> Edges:
    """start, neighbour and similarity, read-only: arrays in memory and memory maps then share
    one compiled function.
    """
    start, neighbour = np.asarray(graph.start).view(), np.asarray(graph.neighbour).view()
    similarity = np.asarray(graph.similarity).view()
    for array in (start, neighbour, similarity):
        array.flags.writeable = False
    return start, neighbour, similarity
