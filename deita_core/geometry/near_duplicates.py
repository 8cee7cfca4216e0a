"""Groups of near-duplicates: rows that hang together above a similarity."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.geometry.graph import SimilarityGraph


def near_duplicate_groups(graph: SimilarityGraph, threshold: float) -> NDArray[np.int32]:
    """The group of each place of the graph: (m,) int32, the largest group is 0, ties by place.

    Two rows are in one group when a chain of pairs with similarity > threshold joins them, copies
    included (their similarity is 1.0). -1 for rows that are in no pair, or have no direction.
    Raises SelectionError for a threshold below the graph's floor.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import connected_components

    if not graph.serves(threshold):
        raise SelectionError(
            f"the similarity graph holds pairs above {graph.floor:.2f}, so it cannot group rows at "
            f"{threshold:.2f}: choose a higher threshold, or build the graph with a lower floor"
        )
    found = np.full(len(graph), -1, np.int32)
    if threshold >= 1.0:
        return found
    near = np.asarray(graph.similarity) > threshold
    ends = np.concatenate([[0], np.cumsum(near)])[graph.start]
    edges = csr_array(
        (np.ones(int(ends[-1]), np.int8), np.asarray(graph.neighbour)[near], ends),
        shape=(graph.groups, graph.groups),
    )
    _, part = connected_components(edges, directed=False)
    placed = np.flatnonzero(np.asarray(graph.group) >= 0)
    label = part[graph.group[placed]]
    _, first, inverse, size = np.unique(
        label, return_index=True, return_inverse=True, return_counts=True
    )
    rank = np.empty(len(size), np.int32)
    rank[np.lexsort((first, -size))] = np.arange(len(size), dtype=np.int32)
    found[placed] = np.where(size[inverse] > 1, rank[inverse], -1)
    return found
