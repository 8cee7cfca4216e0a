"""How different the rows of a set are from each other, and how near they come to the pool.

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
from deita_core.selection.pool_table import PoolTable
from deita_core.selection.strategies import random_order
from deita_core.similarity.definition import unit_rows
from deita_core.similarity.nearest import nearest_steps

SAMPLE: Final = 2000
VENDI_SAMPLE: Final = 1000
POOL_SAMPLE: Final = 5000
# A random baseline is drawn by seed 0: a sample drawn alike would be that very baseline.
_SEED: Final = 1_000_003


@dataclass(frozen=True, slots=True)
class Diversity:
    """Figures of a set of rows; None where too few rows have an embedding.

    nearest_distance: mean cosine distance of a row to the nearest other one of the set: higher is
    more diverse. vendi: the Vendi score of `vendi_sample` rows. pool_distance: mean cosine
    distance of a row of the pool to the nearest one of the set: lower represents the pool better.
    coverage: at similarity `covered_at`, NaN where nobody asked for it.
    """

    nearest_distance: float | None
    vendi: float | None
    vendi_sample: int
    pool_distance: float | None
    coverage: float
    covered_at: float | None


def diversity_steps(
    table: PoolTable, rows: NDArray[np.int64], covered_at: float | None = None
) -> Generator[str, None, Diversity]:
    """All figures of a set of rows, (k,) int64; yields the name of each that is done.

    Rows without an embedding are left out. covered_at: similarity below 1 for the coverage.
    """
    nearest = nearest_distance(table, rows)
    yield "nearest_distance"
    vendi = vendi_score(table, rows)
    yield "vendi"
    to_set = pool_distance(table, rows)
    yield "pool_distance"
    covered = float("nan") if covered_at is None else coverage(table, rows, covered_at)
    yield "coverage"
    vendi_sample = min(VENDI_SAMPLE, len(_places(table, rows)))
    return Diversity(nearest, vendi, vendi_sample, to_set, covered, covered_at)


def nearest_distance(
    table: PoolTable, rows: NDArray[np.int64], sample: int = SAMPLE
) -> float | None:
    """Mean cosine distance of a row to the nearest other row of the set; None for under two.

    rows: (k,) int64. The mean is over a seeded sample of at most `sample` of those with a vector,
    each against all.
    """
    places = _places(table, rows)
    if len(places) < 2:
        return None
    asked = places[random_order(places, _SEED)[:sample]]
    return 1.0 - float(_to_nearest(table, asked, places, skip_self=True).mean())


def pool_distance(
    table: PoolTable, rows: NDArray[np.int64], sample: int = POOL_SAMPLE
) -> float | None:
    """Mean cosine distance of the pool's embedded rows to the nearest row of the set.

    Over a seeded sample of at most `sample` rows of the pool; rows of the set count with 0. None
    for a set without embeddings.
    """
    places = _places(table, rows)
    if not len(places):
        return None
    embedded = table.place[table.place >= 0]
    asked = embedded[random_order(embedded, _SEED)[:sample]]
    return float(1.0 - _to_nearest(table, asked, places).mean())


def vendi_score(
    table: PoolTable, rows: NDArray[np.int64], sample: int = VENDI_SAMPLE
) -> float | None:
    """How many different rows the set is worth: from 1 (all alike) to their number (all apart).

    The Vendi score (Friedman and Dieng, arXiv 2210.02410, definition 3.1): exp of the entropy of
    the eigenvalues of K / n, K the cosine similarities of n rows. n is at most `sample`, drawn by
    the seed; compare only scores of as many rows. None for a set without embeddings.
    """
    places = _places(table, rows)
    if not len(places):
        return None
    drawn = places[random_order(places, _SEED)[:sample]]
    units = unit_rows(table.vectors, drawn)  # (n, d)
    # X X' and X' X have the same eigenvalues but for zeros, and zeros add nothing.
    square = units @ units.T if len(units) < units.shape[1] else units.T @ units
    values = np.linalg.eigvalsh(square / len(units))
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))


def coverage(table: PoolTable, rows: NDArray[np.int64], level: float) -> float:
    """Share of the pool's embedded rows that are in `rows`, or nearer than `level` to one of them.

    rows: (k,) int64; those without an embedding cover nothing. level: similarity from -1 to below
    1. With a similarity graph that reaches down to `level` it takes milliseconds, without one a
    search. NaN when no row is embedded.
    """
    if not -1.0 <= level < 1.0:
        raise SelectionError(f"coverage needs a similarity from -1 to below 1, got {level}")
    places, embedded = _places(table, rows), table.place[table.place >= 0]
    if not len(embedded):
        return float("nan")
    if not len(places):
        return 0.0
    graph = table.graph
    if graph is None or not graph.serves(level):
        near = finish(nearest_steps(table.vectors, embedded, places)).similarity > level
        return float((near | np.isin(embedded, places)).mean())
    from deita_core.selection.pass_kernel import mark_covered

    covered = np.zeros(graph.groups, np.bool_)
    mark_covered(np.asarray(graph.group)[places], level, graph.edges(), covered)
    sizes = np.diff(np.asarray(graph.member_start))
    return float(sizes[covered].sum() / sizes.sum())


def _places(table: PoolTable, rows: NDArray[np.int64]) -> NDArray[np.int64]:
    """Numbers of the vectors of those rows that have one: (j,) int64."""
    places = table.place[rows]
    present: NDArray[np.int64] = places[places >= 0]
    return present


def _to_nearest(
    table: PoolTable,
    asked: NDArray[np.int64],
    places: NDArray[np.int64],
    *,
    skip_self: bool = False,
) -> NDArray[np.float64]:
    """The similarity of each place asked for to the most similar of `places`: (k,) float64.

    asked: (k,), places: (j,) int64, numbers of vectors. skip_self: a place is not its own
    neighbour; every place asked for is then in `places`. What the similarity graph does not hold
    is searched for, so the figures are the same without it.
    """
    nearest = np.full(len(asked), np.nan)
    if table.graph is not None:
        from deita_core.selection.pass_kernel import nearest_chosen

        group = np.asarray(table.graph.group)
        chosen = np.bincount(group[places], minlength=table.graph.groups)
        edges = table.graph.edges()
        nearest_chosen(group[asked], chosen, int(skip_self), edges, nearest)
    rest = np.flatnonzero(np.isnan(nearest))
    if len(rest):
        found = finish(nearest_steps(table.vectors, asked[rest], places, skip_self=skip_self))
        nearest[rest] = found.similarity
    return nearest
