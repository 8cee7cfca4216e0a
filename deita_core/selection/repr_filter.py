"""The Repr Filter: score first, aware of diversity (arXiv 2312.15685, section 3.4).

Rows are visited from the highest score down; a row is kept unless its similarity to a row kept
before it is greater than the threshold; the pass stops at the budget. Similarity is the cosine as
`similarity` defines it, so the choice does not depend on the block size.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deita_core.progress import FilterProgress, finish, told_as
from deita_core.selection.evol import from_highest
from deita_core.selection.rule_parts import check_budget, check_scores, check_threshold
from deita_core.selection.status import NEAR_DUPLICATE, SelectionTrace, trace_of_order
from deita_core.similarity.definition import (
    Tiles,
    as_embeddings,
    check_rows,
    cosines,
    pair_cosines,
    screen_margin,
    unit_rows,
)
from deita_core.similarity.graph import SimilarityGraph
from deita_core.similarity.nearest import nearest_steps

BLOCK = 1024

Floats = NDArray[np.floating]
Rows = NDArray[np.int64]


def repr_filter(
    embeddings: ArrayLike,
    scores: ArrayLike,
    threshold: float = 0.9,
    budget: int | None = None,
    *,
    graph: SimilarityGraph | None = None,
) -> Rows:
    """Rows kept by the Repr Filter, in the order kept: (k,) int64.

    embeddings: (n, d) float32, any length but zero; not copied as a whole.
    scores: (n,), no NaN; visited from the highest down, ties by index.
    threshold: cosine similarity in [-1, 1]; a row is dropped when it is closer than this to a
        kept one. 1.0 keeps everything, copies too; a copy has similarity 1.0, so any lower
        threshold drops it. Similarity 0.9 is cosine distance 0.1.
    budget: rows to keep at most; None: no limit.
    graph: the similarity graph of these embeddings; the same rows, in milliseconds, for every
        threshold from its floor on.
    Memory: O(block x kept). Raises SelectionError, which is a ValueError too.
    """
    return finish(repr_filter_steps(embeddings, scores, threshold, budget, graph=graph))


def repr_filter_steps(
    embeddings: ArrayLike,
    scores: ArrayLike,
    threshold: float = 0.9,
    budget: int | None = None,
    *,
    graph: SimilarityGraph | None = None,
) -> Generator[FilterProgress, None, Rows]:
    """`repr_filter` as a generator: yields progress after each block, returns the rows kept."""
    array = as_embeddings(embeddings)
    order = score_order(check_scores(scores, len(array)))
    check_rows(array)
    if graph is not None and graph.serves(threshold):
        return (yield from _graph_steps(array, order, threshold, budget, graph)).kept
    kept, _ = yield from greedy_steps(array, order, threshold, budget)
    return kept


def trace(
    embeddings: ArrayLike,
    scores: ArrayLike,
    threshold: float = 0.9,
    budget: int | None = None,
    eligible: NDArray[np.bool_] | None = None,
    *,
    graph: SimilarityGraph | None = None,
) -> SelectionTrace:
    """The same pass with what became of each row: see `SelectionTrace`.

    eligible: (n,) bool, rows that may be visited; the others are FILTERED, and neither their
    scores nor their embeddings are looked at. None: all rows.
    """
    return finish(trace_steps(embeddings, scores, threshold, budget, eligible, graph=graph))


def trace_steps(
    embeddings: ArrayLike,
    scores: ArrayLike,
    threshold: float = 0.9,
    budget: int | None = None,
    eligible: NDArray[np.bool_] | None = None,
    *,
    graph: SimilarityGraph | None = None,
) -> Generator[FilterProgress, None, SelectionTrace]:
    """`trace` as a generator of progress."""
    array = as_embeddings(embeddings)
    order = score_order(check_scores(scores, len(array), eligible), eligible)
    check_rows(array, None if eligible is None else np.sort(order))
    if graph is not None and graph.serves(threshold):
        return (yield from _graph_steps(array, order, threshold, budget, graph))
    return (yield from trace_order_steps(array, order, threshold, budget))


def _graph_steps(
    embeddings: Floats, order: Rows, threshold: float, budget: int | None, graph: SimilarityGraph
) -> Generator[FilterProgress, None, SelectionTrace]:
    # These build on this module's blocks, so they are imported late.
    from deita_core.selection.greedy import pass_steps
    from deita_core.selection.strategies.protocol import Candidates, Choice

    rows = np.arange(len(embeddings))
    candidates = Candidates(embeddings, np.zeros(len(rows)), rows >= 0, rows, graph)
    budget = check_budget(budget)
    choice = Choice(threshold, budget, 0)
    return (yield from pass_steps(order, candidates, choice, threshold=threshold))


def trace_order_steps(
    embeddings: Floats, order: Rows, threshold: float, budget: int | None
) -> Generator[FilterProgress, None, SelectionTrace]:
    """The pass over rows in any order, with blockers. Rows must be finite and not zero."""
    kept, visited = yield from greedy_steps(embeddings, order, threshold, budget)
    result = trace_of_order(order, kept, visited, len(embeddings), budget)
    blocked = order[:visited][result.status[order[:visited]] == NEAR_DUPLICATE]
    # A row is held against the rows kept before it: that many of `kept` have a lower rank.
    limits = np.searchsorted(result.rank[kept], result.rank[blocked])
    explaining = nearest_steps(embeddings, blocked, kept, limits=limits)
    passed = FilterProgress(visited, len(kept), len(order))
    nearest = yield from told_as(explaining, lambda done: passed._replace(explained=done))
    blocker, similarity = result.blocker.copy(), result.similarity.copy()
    blocker[blocked] = kept[nearest.place]
    similarity[blocked] = nearest.similarity
    return replace(result, blocker=blocker, similarity=similarity)


def score_order(scores: NDArray[np.float64], eligible: NDArray[np.bool_] | None = None) -> Rows:
    """Eligible rows from the highest score down, ties by index: (m,) int64."""
    rows = np.arange(len(scores)) if eligible is None else np.flatnonzero(eligible)
    return rows[from_highest(scores[rows])]


def greedy_steps(
    embeddings: Floats,
    order: Rows,
    threshold: float,
    budget: int | None,
    block: int = BLOCK,
) -> Generator[FilterProgress, None, tuple[Rows, int]]:
    """The core: the greedy pass over `order`; returns the rows kept and how many were visited.

    embeddings: (n, d); the rows of `order` (m,) must be finite and not zero.
    """
    threshold, budget = check_threshold(threshold), check_budget(budget)
    total = len(order)
    room = total if budget is None else min(budget, total)
    if threshold >= 1.0 or room == 0:  # no similarity is greater than 1
        yield FilterProgress(room, room, total)
        return order[:room].copy(), room
    tiles = Tiles(embeddings)
    visited = 0
    while visited < total:
        rows = order[visited : visited + block]
        units = unit_rows(embeddings, rows).astype(np.float32)
        free = free_of_kept(embeddings, rows, units, tiles, threshold)
        free = free[_free_of_each_other(embeddings, rows[free], units[free], threshold)]
        free = free[: room - len(tiles)]
        tiles.add(rows[free], units[free])
        filled = len(tiles) == room
        visited += int(free[-1]) + 1 if filled else len(rows)
        yield FilterProgress(visited, len(tiles), total)
        if filled:
            break
    return tiles.rows(), visited


def free_of_kept(
    embeddings: Floats, rows: Rows, units: NDArray[np.float32], tiles: Tiles, threshold: float
) -> Rows:
    """Places in the block that no kept row blocks, ascending."""
    margin = screen_margin(units.shape[1])
    free = np.arange(len(rows))
    for tile_rows, tile_units in tiles:
        near = units[free] @ tile_units.T
        highest = near.max(axis=1)
        blocked = highest > threshold + margin
        unsure = np.flatnonzero(~blocked & (highest >= threshold - margin))
        if len(unsure):
            rivals = np.flatnonzero((near[unsure] >= threshold - margin).any(axis=0))
            exact = cosines(embeddings, rows[free[unsure]], tile_rows[rivals])
            blocked[unsure] = (exact > threshold).any(axis=1)
        free = free[~blocked]
        if not len(free):
            break
    return free


def _free_of_each_other(
    embeddings: Floats, rows: Rows, units: NDArray[np.float32], threshold: float
) -> NDArray[np.bool_]:
    """The greedy pass inside a block: True for a row that no row kept before it blocks."""
    free = np.ones(len(rows), np.bool_)
    first, second = blocking_pairs(embeddings, rows, units, threshold)
    bounds = np.flatnonzero(np.diff(first, prepend=-1, append=len(rows)))
    for start, end in pairwise(bounds.tolist()):
        if free[first[start]]:
            free[second[start:end]] = False
    return free


def blocking_pairs(
    embeddings: Floats, rows: Rows, units: NDArray[np.float32], threshold: float
) -> tuple[Rows, Rows]:
    """Places (first, second) in the block, first < second, of rows too close to each other.

    Sorted by first. Most rows have no such partner, so pairs are looked for only in those rows
    of the product whose highest value is near the threshold.
    """
    margin = screen_margin(units.shape[1])
    near = units @ units.T
    near[np.diag_indices(len(near))] = -2.0  # a row does not block itself
    close = np.flatnonzero(near.max(axis=1, initial=-2.0) >= threshold - margin)
    first, second = np.nonzero(near[close] >= threshold - margin)
    first = close[first]
    ahead = first < second
    first, second = first[ahead], second[ahead]
    similarity = near[first, second].astype(np.float64)
    unsure = np.flatnonzero(similarity <= threshold + margin)
    similarity[unsure] = pair_cosines(embeddings, rows[first[unsure]], rows[second[unsure]])
    over = similarity > threshold
    return first[over], second[over]
