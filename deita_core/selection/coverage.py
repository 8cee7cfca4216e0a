"""How near the selected rows come to the rest of the pool."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.geometry.graph import SimilarityGraph
from deita_core.selection.nearest import nearest_of
from deita_core.selection.strategies.edges import read_only_edges
from deita_core.selection.table import SelectionInput


def nearest_similarities(graph: SimilarityGraph) -> NDArray[np.float64]:
    """Of each distinct vector to the nearest other one: (g,) float64, the floor without an edge."""
    start = np.asarray(graph.start)
    nearest = np.full(graph.groups, graph.floor)
    joined = np.flatnonzero(np.diff(start))
    nearest[joined] = graph.similarity[start[joined]]
    return nearest


def typical_similarity(graph: SimilarityGraph) -> float:
    """How near the nearest other row is to a typical one: the median over distinct vectors.

    The floor of the graph when fewer than half of them have an edge; below 1 always.
    """
    if not graph.groups:
        return graph.floor
    median = float(np.median(nearest_similarities(graph)))
    return min(median, float(np.nextafter(1.0, 0.0)))


def coverage(table: SelectionInput, rows: NDArray[np.int64], level: float) -> float:
    """Share of the pool's embedded rows that are in `rows`, or nearer than `level` to one of them.

    rows: (k,) int64; those without an embedding cover nothing. level: similarity below 1. With a
    similarity graph that reaches down to `level` it takes milliseconds, without one a search.
    NaN when no row is embedded.
    """
    if not -1.0 <= level < 1.0:
        raise SelectionError(f"coverage needs a similarity from -1 to below 1, got {level}")
    places = table.place[rows]
    places = places[places >= 0]
    embedded = table.place[table.place >= 0]
    if not len(embedded):
        return float("nan")
    if not len(places):
        return 0.0
    if table.graph is None or not table.graph.serves(level):
        near = nearest_of(table.vectors, embedded, places).similarity > level
        return float((near | np.isin(embedded, places)).mean())
    return _coverage_of_graph(table.graph, places, level)


def _coverage_of_graph(graph: SimilarityGraph, places: NDArray[np.int64], level: float) -> float:
    from deita_core.selection.coverage_kernel import mark_covered

    covered = np.zeros(graph.groups, np.bool_)
    mark_covered(np.asarray(graph.group)[places], level, *read_only_edges(graph), covered)
    sizes = np.diff(np.asarray(graph.member_start))
    return float(sizes[covered].sum() / sizes.sum())


def similarity_to_nearest(
    table: SelectionInput,
    asked: NDArray[np.int64],
    places: NDArray[np.int64],
    *,
    skip_self: bool = False,
) -> NDArray[np.float64]:
    """Of each place asked for to the most similar of `places`: (k,) float64.

    asked: (k,), places: (j,) int64, numbers of vectors; at least one of `places` must be left for
    each. skip_self: a place is not its own neighbour, and every place asked for is in `places`.
    What the similarity graph does not hold is looked up by a search, so the figures are the same
    without it.
    """
    nearest = np.full(len(asked), np.nan)
    if table.graph is not None:
        from deita_core.selection.coverage_kernel import nearest_chosen

        graph = table.graph
        chosen = np.bincount(np.asarray(graph.group)[places], minlength=graph.groups)
        groups = np.asarray(graph.group)[asked]
        nearest_chosen(groups, chosen, int(skip_self), *read_only_edges(graph), nearest)
    rest = np.flatnonzero(np.isnan(nearest))
    if len(rest):
        found = nearest_of(table.vectors, asked[rest], places, skip_self=skip_self)
        nearest[rest] = found.similarity
    return nearest
