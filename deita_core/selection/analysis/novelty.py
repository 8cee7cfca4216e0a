"""NovelSum: how different the rows of a set are, near rows counting most.

Yang et al., Measuring Data Diversity for Instruction Tuning (arXiv 2502.17184), who report that of
a dozen measures this one follows the results of training best; the definition is that of their
program (UmeanNever/NovelSum, novelsum.py and utils.py) with the powers that its README recommends.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from deita_core.selection.analysis.measures import SAMPLE, SAMPLE_SEED, embedded_places
from deita_core.selection.pool_table import PoolTable
from deita_core.selection.strategies.greedy import random_order
from deita_core.similarity.definition import cosines, find_copies, unit_rows

Rows = NDArray[np.int64]
Floats = NDArray[np.float64]

NEIGHBOURS: Final = 10
DENSITY_POWER: Final = 0.5
_TINY: Final = 1e-9
_TILE: Final = 4096


def novel_sum(table: PoolTable, rows: Rows, sample: int = SAMPLE) -> float | None:
    """The mean novelty of a set of rows: 0 and up, higher is more diverse.

    rows: (k,) int64. Over at most `sample` of those with a vector, drawn by a fixed seed; compare
    only sets of as many rows. The pool is the reference for densities. None where fewer than two
    rows of the set have a vector, or all rows of the pool have the same.
    """
    places = embedded_places(table, rows)
    drawn = np.sort(places[random_order(places, SAMPLE_SEED)[:sample]])
    if len(drawn) < 2:
        return None
    density = densities(table, drawn)
    if density is None:
        return None
    return novelty(1.0 - cosines(table.vectors, drawn, drawn), density)


def novelty(distance: Floats, density: Floats) -> float:
    """The mean over rows of their mean distance to all rows, weighted by 1 / rank.

    distance: (k, k), cosine distances; a row stands first among its own, at distance 0, as in the
    published program. density: (k,), what the distances of a row are multiplied by.
    """
    weights = 1.0 / np.arange(1, len(distance) + 1)
    means = np.sort(distance, axis=1) @ weights / weights.sum()
    return float((density * means).mean())


def densities(table: PoolTable, places: Rows) -> Floats | None:
    """1 / sqrt of the mean squared Euclidean distance between the unit vector of each place and
    the 10 nearest other ones of the pool, copies counting once: (k,) float64.

    None when all vectors of the pool are the same.
    """
    group, first = table.remember("distinct", lambda: _distinct(table))
    near = min(NEIGHBOURS, len(first) - 1)
    if near < 1:
        return None
    units = unit_rows(table.vectors, places).astype(np.float32)
    own = group[places]
    top = np.full((len(places), near), -np.inf, np.float32)
    for start in range(0, len(first), _TILE):
        tile = first[start : start + _TILE]
        product = units @ unit_rows(table.vectors, tile).astype(np.float32).T
        inside = np.flatnonzero((own >= start) & (own < start + len(tile)))
        product[inside, own[inside] - start] = -np.inf
        both = np.concatenate((top, product), axis=1)
        top = np.partition(both, -near, axis=1)[:, -near:]
    squared = 2.0 - 2.0 * np.minimum(top.astype(np.float64), 1.0)
    density: Floats = (squared.mean(axis=1) + _TINY) ** -DENSITY_POWER
    return density


def _distinct(table: PoolTable) -> tuple[NDArray[np.int32], Rows]:
    """The group of equal vectors that each place is in, -1 for none, and a place of each group."""
    graph = table.graph
    if graph is not None:
        member, start = np.asarray(graph.member), np.asarray(graph.member_start)
        return np.asarray(graph.group), member[start[:-1]].astype(np.int64)
    copies = find_copies(table.vectors)
    return copies.of, copies.first
