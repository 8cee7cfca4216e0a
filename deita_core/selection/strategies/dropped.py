"""Strategies that first drop near-duplicates and then select the best of what is left."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.geometry.graph import SimilarityGraph
from deita_core.geometry.similarity import DECIMALS, unit_rows
from deita_core.selection import status as st
from deita_core.selection.nearest import nearest_of
from deita_core.selection.passes import pass_steps
from deita_core.selection.progress import FilterProgress
from deita_core.selection.strategies.edges import read_only_edges
from deita_core.selection.strategies.protocol import Candidates, Choice

Rows = NDArray[np.int64]
_BLOCK = 4096
_NO_CENTRE = 1e-9


@dataclass(frozen=True, slots=True)
class Twins:
    """For each of m candidates the row it is held against; arrays (m,).

    row: int64, -1 for none. similarity: float64 in [-1, 1], NaN for none.
    """

    row: Rows
    similarity: NDArray[np.float64]

    @staticmethod
    def of_none(rows: int) -> Twins:
        """No candidate is held against any row yet."""
        return Twins(np.full(rows, -1, np.int64), np.full(rows, np.nan))


def best_of_rest_steps(
    candidates: Candidates, choice: Choice, twins: Twins, dropped: NDArray[np.bool_]
) -> Generator[FilterProgress, None, st.SelectionTrace]:
    """From the highest score down what was not dropped; pinned rows are never dropped.

    dropped: (m,) bool. A dropped row is a near-duplicate of its twin, which may be out itself;
    it has no rank, for it was out before rows were ranked.
    """
    out = dropped & candidates.eligible
    if candidates.pinned is not None:
        out &= ~candidates.pinned
    order = candidates.best_first()
    trace = yield from pass_steps(order[~out[order]], candidates, choice, threshold=None)
    gone = np.flatnonzero(out)
    status, blocker = trace.status.copy(), trace.blocker.copy()
    similarity = trace.similarity.copy()
    status[gone] = st.NEAR_DUPLICATE
    blocker[gone] = twins.row[gone]
    similarity[gone] = twins.similarity[gone]
    return replace(trace, status=status, blocker=blocker, similarity=similarity)


def outermost_first(candidates: Candidates, *, last_on_ties: bool) -> list[Rows]:
    """Candidates of each cluster, pinned ones first, then those least similar to its centroid.

    The centroid is the mean of the unit vectors of all rows of the cluster, candidates or not,
    as in spherical k-means. last_on_ties: the higher row number first among equals, else the
    lower. Rows without a cluster stand alone and are in no list.

    Raises SelectionError when there are no clusters.
    """
    if not candidates.eligible.any():
        return []
    cluster = candidates.cluster
    if cluster is None or not (cluster >= 0).any():
        raise SelectionError(
            "this strategy compares rows within clusters, and there are none: make the similarity "
            "graph, which makes them too (`graph` on the command line), or choose a strategy that "
            "needs none"
        )
    rows = np.flatnonzero(candidates.eligible & (cluster >= 0))
    central = _centrality(candidates.vectors, cluster, rows)
    ties = -rows if last_on_ties else rows
    free = np.ones(len(rows), np.bool_)
    if candidates.pinned is not None:
        free = ~candidates.pinned[rows]
    order = np.lexsort((ties, central, free, cluster[rows]))
    rows = rows[order]
    borders = np.flatnonzero(np.diff(cluster[rows])) + 1
    return np.split(rows, borders)


def _centrality(
    vectors: NDArray[np.floating], cluster: NDArray[np.integer], rows: Rows
) -> NDArray[np.float64]:
    """Similarity of each row to the centroid of its cluster: (k,) float64, by 12 decimals."""
    members = np.flatnonzero(cluster >= 0)
    centroids = np.zeros((int(cluster.max()) + 1, vectors.shape[1]))
    for start in range(0, len(members), _BLOCK):
        part = members[start : start + _BLOCK]
        np.add.at(centroids, cluster[part], unit_rows(vectors, part))
    lengths = np.linalg.norm(centroids, axis=1)
    # Rows that cancel each other out have no centre: all are equally far from it.
    centroids *= np.where(lengths > _NO_CENTRE, 1 / np.maximum(lengths, _NO_CENTRE), 0.0)[:, None]
    central = np.empty(len(rows))
    for start in range(0, len(rows), _BLOCK):
        part = rows[start : start + _BLOCK]
        product = np.einsum("ij,ij->i", unit_rows(vectors, part), centroids[cluster[part]])
        central[start : start + _BLOCK] = product
    return np.round(central, DECIMALS)


def nearest_before_steps(
    candidates: Candidates, lists: list[Rows], threshold: float
) -> Generator[FilterProgress, None, Twins]:
    """For each row of each list the most similar of those before it, kept or not, the first of
    equally similar ones; those below the threshold may be left out.
    """
    graph = candidates.graph
    if graph is not None and graph.floor < threshold:
        yield FilterProgress(0, 0, sum(map(len, lists)))
        return _before_on_graph(graph, lists, threshold)
    twins = Twins.of_none(len(candidates.row))
    done, total = 0, sum(map(len, lists))
    for rows in lists:
        found = nearest_of(candidates.vectors, rows, rows, limits=np.arange(len(rows)))
        there = found.place >= 0
        twins.row[rows[there]] = rows[found.place[there]]
        twins.similarity[rows] = found.similarity
        done += len(rows)
        yield FilterProgress(done, 0, total)
    return twins


def _before_on_graph(graph: SimilarityGraph, lists: list[Rows], threshold: float) -> Twins:
    from deita_core.selection.strategies.edges_kernel import nearest_before

    twins = Twins.of_none(len(graph.group))
    order = np.concatenate([np.empty(0, np.int64), *lists])
    first = np.cumsum([0, *map(len, lists)])
    seat = np.full(graph.groups, -1, np.int64)
    group = np.asarray(graph.group)[order]
    row, similarity = np.full(len(order), -1, np.int64), np.full(len(order), np.nan)
    nearest_before(*read_only_edges(graph), group, first, threshold, seat, row, similarity)
    twins.row[order] = np.where(row >= 0, order[row], -1)
    twins.similarity[order] = similarity
    return twins
