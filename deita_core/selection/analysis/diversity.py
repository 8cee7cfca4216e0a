"""How near the selected rows come to the rest of the pool.

How different the rows of a set are from each other, and how near they come to all others.

Each figure can be asked for by itself, since some take longer than a click on a large pool.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.progress import finish
from deita_core.selection.pool_table import SelectionInput
from deita_core.selection.strategies import random_order
from deita_core.selection.strategies.protocol import read_only_edges
from deita_core.similarity.definition import unit_rows
from deita_core.similarity.graph import SimilarityGraph
from deita_core.similarity.nearest import nearest_of


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
    from deita_core.selection.pass_kernel import mark_covered

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
        from deita_core.selection.pass_kernel import nearest_chosen

        graph = table.graph
        chosen = np.bincount(np.asarray(graph.group)[places], minlength=graph.groups)
        groups = np.asarray(graph.group)[asked]
        nearest_chosen(groups, chosen, int(skip_self), *read_only_edges(graph), nearest)
    rest = np.flatnonzero(np.isnan(nearest))
    if len(rest):
        found = nearest_of(table.vectors, asked[rest], places, skip_self=skip_self)
        nearest[rest] = found.similarity
    return nearest


SAMPLE: Final = 2000
VENDI_SAMPLE: Final = 1000
POOL_SAMPLE: Final = 5000
# A random baseline is drawn by the plain seed: a sample drawn alike would be that very baseline.
_APART: Final = 1_000_003


@dataclass(frozen=True, slots=True)
class Diversity:
    """Figures of a set of rows; None where too few rows have an embedding.

    nearest_distance: mean cosine distance of a row to the nearest other one of the set, over
    `nearest_sample` rows: higher is more diverse. vendi: the Vendi score of `vendi_sample` rows.
    pool_distance: mean cosine distance of a row of the pool to the nearest one of the set, over
    `pool_sample` rows: lower represents the pool better. coverage: see `coverage`, NaN where
    nobody asked for it.
    """

    nearest_distance: float | None
    nearest_sample: int
    vendi: float | None
    vendi_sample: int
    pool_distance: float | None
    pool_sample: int
    coverage: float
    covered_at: float | None


def diversity(
    table: SelectionInput, rows: NDArray[np.int64], covered_at: float | None = None, seed: int = 0
) -> Diversity:
    """All figures of a set of rows, (k,) int64; those without an embedding are left out.

    covered_at: for the coverage; None: not asked for.
    """
    return finish(diversity_steps(table, rows, covered_at, seed))


def diversity_steps(
    table: SelectionInput, rows: NDArray[np.int64], covered_at: float | None = None, seed: int = 0
) -> Generator[str, None, Diversity]:
    """`diversity` as a generator: yields the name of each figure that is done."""
    places = places_of(table, rows)
    embedded = int(np.count_nonzero(table.place >= 0))
    nearest = nearest_distance(table, rows, seed=seed)
    yield "nearest_distance"
    vendi = vendi_score(table, rows, seed=seed)
    yield "vendi"
    reach = pool_distance(table, rows, seed=seed)
    yield "pool_distance"
    covered = float("nan") if covered_at is None else coverage(table, rows, covered_at)
    yield "coverage"
    return Diversity(
        nearest_distance=nearest,
        nearest_sample=min(SAMPLE, len(places)),
        vendi=vendi,
        vendi_sample=min(VENDI_SAMPLE, len(places)),
        pool_distance=reach,
        pool_sample=min(POOL_SAMPLE, embedded),
        coverage=covered,
        covered_at=covered_at,
    )


def places_of(table: SelectionInput, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Numbers of the vectors of those rows that have one: (j,) int64."""
    places = table.place[rows]
    present: NDArray[np.int64] = places[places >= 0]
    return present


def nearest_similarity(
    table: SelectionInput, rows: NDArray[np.int64], sample: int = SAMPLE, seed: int = 0
) -> float | None:
    """Mean cosine similarity of a row to the nearest other row of the set; None for under two.

    rows: (k,) int64; those without a vector are left out. The mean is over a seeded sample of at
    most `sample` of them, each against all. Exact: read off the similarity graph where it reaches,
    else blocked: memory O(block x tile + k x d).
    """
    places = places_of(table, rows)
    if len(places) < 2:
        return None
    asked = places[random_order(places, seed + _APART)[:sample]]
    return float(similarity_to_nearest(table, asked, places, skip_self=True).mean())


def nearest_distance(
    table: SelectionInput, rows: NDArray[np.int64], sample: int = SAMPLE, seed: int = 0
) -> float | None:
    """1 - `nearest_similarity`: higher is more diverse."""
    similarity = nearest_similarity(table, rows, sample, seed)
    return None if similarity is None else 1.0 - similarity


def pool_distance(
    table: SelectionInput, rows: NDArray[np.int64], sample: int = POOL_SAMPLE, seed: int = 0
) -> float | None:
    """Mean cosine distance of the pool's embedded rows to the nearest row of the set.

    Over a seeded sample of at most `sample` rows of the pool; rows of the set count with 0. None
    for a set without embeddings.
    """
    places = places_of(table, rows)
    if not len(places):
        return None
    embedded = table.place[table.place >= 0]
    asked = embedded[random_order(embedded, seed + _APART)[:sample]]
    return float(1.0 - similarity_to_nearest(table, asked, places).mean())


def vendi_score(
    table: SelectionInput, rows: NDArray[np.int64], sample: int = VENDI_SAMPLE, seed: int = 0
) -> float | None:
    """How many different rows the set is worth: from 1 (all alike) to their number (all apart).

    The Vendi score (Friedman and Dieng, arXiv 2210.02410, definition 3.1): exp of the entropy of
    the eigenvalues of K / n, K the cosine similarities of n rows. n is at most `sample`, drawn by
    the seed; compare only scores of as many rows. None for a set without embeddings.
    """
    places = places_of(table, rows)
    if not len(places):
        return None
    drawn = places[random_order(places, seed + _APART)[:sample]]
    units = unit_rows(table.vectors, drawn)
    # X X' and X' X have the same eigenvalues but for zeros, and zeros add nothing.
    square = units @ units.T if len(units) < units.shape[1] else units.T @ units
    values = np.linalg.eigvalsh(square / len(units))
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))
