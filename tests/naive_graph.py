"""The similarity graph by its definition, for tests: every pair looked at."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deita_core.similarity.definition import cosines, unit_rows, usable_rows
from deita_core.similarity.graph import SimilarityGraph


def naive_graph(vectors: NDArray[np.floating], floor: float) -> SimilarityGraph:
    """All pairs of distinct unit vectors with similarity > floor."""
    places = np.flatnonzero(usable_rows(vectors))
    units = unit_rows(vectors, places).astype(np.float32)
    _, first, inverse = np.unique(units, axis=0, return_index=True, return_inverse=True)
    group = np.full(len(vectors), -1, np.int32)
    group[places] = inverse.reshape(-1)
    similarity = cosines(vectors, places[first], places[first])
    np.fill_diagonal(similarity, -2)
    edges = [np.lexsort((np.arange(len(first)), -line)) for line in similarity]
    edges = [e[line[e] > floor] for e, line in zip(edges, similarity, strict=True)]
    members = [np.flatnonzero(group == g) for g in range(len(first))]
    return SimilarityGraph(
        floor=floor,
        wanted_floor=floor,
        group=group,
        member=np.array([m for ms in members for m in ms], np.int32),
        member_start=np.cumsum([0] + [len(m) for m in members]),
        start=np.cumsum([0] + [len(e) for e in edges]),
        neighbour=np.array([n for e in edges for n in e], np.int32),
        similarity=np.array([s[n] for s, e in zip(similarity, edges, strict=True) for n in e]),
    )
