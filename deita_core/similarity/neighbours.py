"""The rows most similar to a row, exactly, and groups of near-duplicates.

What a similarity graph holds is read off it. For the other rows a fast product screens every
pair (see `screen`): the k-th highest of a row, less what rounding may hide, bounds which rows
can be among its nearest, and all of those are compared by the definition of `similarity`.
Copies of a row are searched once and handed out afterwards.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deita_core.errors import SelectionError
from deita_core.models.device import cpu_threads
from deita_core.similarity.definition import (
    Copies,
    as_embeddings,
    check_rows,
    find_copies,
    pair_cosines,
    unit_rows,
    usable_rows,
)
from deita_core.similarity.graph import SimilarityGraph
from deita_core.similarity.screen import EVERY_CELL, Screen, bfloat16_bits, side_by_side

# Neighbouring float32 numbers just below 1 are this far apart.
FLOAT32_STEP = 2.0**-24
Progress = Callable[[int, int], None]
# Cells of a product held at once by a thread: 64 MB of bfloat16.
SCREEN_CELLS = 1 << 25


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """The k nearest rows of each row, nearest first, ties by index, never the row itself.

    indices: (n, k) int32. similarities: (n, k) float32, cosine in [-1, 1].
    """

    indices: NDArray[np.int32]
    similarities: NDArray[np.float32]


def nearest_neighbours(
    vectors: ArrayLike,
    k: int,
    *,
    graph: SimilarityGraph | None = None,
    progress: Progress | None = None,
) -> Neighbours:
    """The `k` nearest other rows of each row of `vectors`, exactly.

    vectors: (n, d) floats, not necessarily normalised. A similarity is the cosine by the
    definition of `similarity`, rounded to float32. graph: the similarity graph of the same
    vectors; the result is the same with it and without, and sooner with it. progress: called
    with distinct rows done and in all. Memory: 64 MB a thread, `vectors` again at half size.

    Raises SelectionError unless `vectors` is (n, d), finite and without zero rows, and
    1 <= k < n; and for a graph of other vectors.
    """
    array = _checked(vectors)
    n = len(array)
    if not 1 <= k < n:
        raise SelectionError(f"k must be between 1 and the number of other rows, {n - 1}, got {k}")
    found = Neighbours(np.empty((n, k), np.int32), np.empty((n, k), np.float32))
    if graph is None:
        copies = find_copies(array)
        rest = np.arange(len(copies.first))
    else:
        copies = _copies_of(graph, n)
        rest = _read_off(graph, copies, found)
    total = len(copies.first)
    done = total - len(rest)
    if progress is not None and done:
        progress(done, total)
    if not len(rest):
        return found
    height = max(16, min(512, SCREEN_CELLS // total))
    blocks = (rest[start : start + height] for start in range(0, len(rest), height))
    for block, _ in side_by_side(_NearestSearch(array, copies, found).run, blocks):
        done += len(block)
        if progress is not None:
            progress(done, total)
    return found


def similar_rows(
    vectors: ArrayLike, row: int, k: int, *, graph: SimilarityGraph | None = None
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """The `k` rows most similar to one row, nearest first, ties by index, without the row.

    Returns their numbers, (k',) int32, and similarities by the definition of `similarity`,
    (k',) float64; k' is less than k where fewer rows have a direction, and 0 when the row
    itself has none. Read off the graph where it holds enough, else from one pass over all rows.
    """
    array = as_embeddings(vectors)
    if not 0 <= row < len(array):
        raise SelectionError(f"row must be from 0 to {len(array) - 1}, got {row}")
    if k < 1:
        raise SelectionError(f"k must be at least 1, got {k}")
    nothing = np.empty(0, np.int32), np.empty(0, np.float64)
    if not usable_rows(array[row : row + 1])[0]:
        return nothing
    if graph is not None:
        near, near_similarity = _row_of_graph(graph, row)
        if len(near) >= k:
            return near[:k], near_similarity[:k]
    cosine = _cosines_with(array, unit_rows(array, np.array([row]))[0])
    cosine[row] = -2.0
    k = min(k, int((cosine > -2.0).sum()))
    if k == 0:
        return nothing
    # Adding up in another order can move the last decimal, so near ties are compared again.
    places = np.flatnonzero(cosine >= np.partition(cosine, -k)[-k] - 1e-11)
    similarity = pair_cosines(array, np.full(len(places), row, np.int64), places)
    order = np.lexsort((places, -similarity))[:k]
    return places[order].astype(np.int32), similarity[order]


def normalised(vectors: ArrayLike) -> NDArray[np.float32]:
    """(n, d) float32 with rows L2-normalised; SelectionError where that is impossible."""
    array = _checked(vectors).astype(np.float32, copy=False)
    norms = np.linalg.norm(array, axis=1, keepdims=True)
    return np.ascontiguousarray(array / norms)


def _checked(vectors: ArrayLike) -> NDArray[np.floating]:
    array = as_embeddings(vectors)
    if array.shape[1] == 0:
        raise SelectionError(f"embeddings must be (n, d), got {array.shape}")
    check_rows(array)
    return array


def _copies_of(graph: SimilarityGraph, n: int) -> Copies:
    if len(graph) != n or len(graph.member) != n:
        raise SelectionError(
            f"the similarity graph has {len(graph)} places, {len(graph.member)} of them with a "
            f"direction, but there are {n} vectors: build it again from these vectors"
        )
    first = graph.member[graph.member_start[:-1]].astype(np.int64)
    return Copies(first, graph.group, graph.member, graph.member_start)


def _read_off(graph: SimilarityGraph, copies: Copies, found: Neighbours) -> NDArray[np.int64]:
    """Fills in the rows of which the graph has enough edges; returns the groups left: (r,)."""
    from deita_core.similarity.graph_kernel import write_nearest

    groups = np.arange(graph.groups)
    shares = np.array_split(groups, 4 * cpu_threads())

    def read(share: NDArray[np.int64]) -> NDArray[np.bool_]:
        if not len(share):
            return np.empty(0, np.bool_)
        start = np.asarray(graph.start[share[0] : share[-1] + 2])
        part = slice(start[0], start[-1])
        enough: NDArray[np.bool_] = write_nearest(
            share,
            start - start[0],
            np.asarray(graph.neighbour[part]),
            graph.similarity[part].astype(np.float32),
            np.asarray(copies.rows),
            np.asarray(copies.start),
            np.float32(graph.floor),
            found.indices,
            found.similarities,
        )
        return enough

    with ThreadPoolExecutor(cpu_threads()) as pool:
        enough = np.concatenate(list(pool.map(read, shares)))
    return np.flatnonzero(~enough)


class _NearestSearch:
    """Fills in the nearest rows of some groups, out of all rows, by a screened product."""

    def __init__(self, vectors: NDArray[np.floating], copies: Copies, found: Neighbours) -> None:
        self._copies = copies
        self._found = found
        self._k = min(found.indices.shape[1], len(copies.first) - 1)
        self._screen = Screen(vectors, copies.first)
        self._plain = self._screen.plain(slice(None))

    def run(self, groups: NDArray[np.int64]) -> None:
        """Writes the results of these groups."""
        from deita_core.similarity.graph_kernel import (
            RUN,
            list_similarities,
            near_cells,
            write_nearest,
        )

        norms = self._screen.norms
        cells = self._screen.with_all(groups)
        cells[np.arange(len(groups)), groups] = EVERY_CELL
        bounds = self._bounds(cells)
        start, near = near_cells(cells, bounds, np.zeros(len(groups), np.int64), RUN)
        similarity, _ = list_similarities(
            self._plain[groups], norms[groups], self._plain, norms, start, near
        )
        value = similarity.astype(np.float32)
        owner = np.repeat(np.arange(len(groups)), np.diff(start))
        value[near == groups[owner]] = -np.inf  # let through with every other cell of its row
        order = np.lexsort((near, -value, owner))
        write_nearest(
            groups,
            start,
            near[order],
            value[order],
            self._copies.rows,
            self._copies.start,
            np.float32(-np.inf),
            self._found.indices,
            self._found.similarities,
        )

    def _bounds(self, cells: NDArray[np.int16]) -> NDArray[np.int16]:
        """For each row the bits that a cell must reach to be among the k nearest: (r,)."""
        from deita_core.similarity.graph_kernel import RUN, highest_of_runs

        if self._k == 0:
            return np.full(len(cells), EVERY_CELL)
        # Shorter runs where long ones would be too few to bound the k-th well.
        run = max(1, min(RUN, cells.shape[1] // (4 * self._k + 1)))
        runs = np.empty((len(cells), -(-cells.shape[1] // run)), np.int16)
        highest_of_runs(cells, run, runs)
        # The k-th highest run holds a cell as high, and so do the k - 1 before it.
        highest = np.partition(runs, -self._k, axis=1)[:, -self._k]
        float32_bits = highest.view(np.uint16).astype(np.uint32) << 16
        value = float32_bits.view(np.float32).astype(np.float64)
        # Before rounding to bfloat16 (8 bits) that cell was at least this high ...
        value -= np.ldexp(1.0, np.frexp(value)[1] - 9)
        every = slice(None)
        # ... so k rows have at least this similarity, and those of the same float32 tie.
        value -= 2 * self._screen.slack(every, every) + 2 * FLOAT32_STEP
        bits = bfloat16_bits(value)
        bits[(highest < 0) | (bits < 0)] = EVERY_CELL  # whole numbers rank only positive floats
        return bits


def _row_of_graph(
    graph: SimilarityGraph, row: int
) -> tuple[NDArray[np.int32], NDArray[np.float64]]:
    """All rows that the graph holds near one row, nearest first, ties by index."""
    group = int(graph.group[row])
    part = slice(graph.start[group], graph.start[group + 1])
    near = [group, *graph.neighbour[part].tolist()]
    similarity = np.concatenate([[1.0], graph.similarity[part]])
    members = [graph.member[graph.member_start[j] : graph.member_start[j + 1]] for j in near]
    values = np.repeat(similarity, [len(m) for m in members])
    places = np.concatenate(members)
    others = places != row
    places, values = places[others], values[others]
    order = np.lexsort((places, -values))
    return places[order], values[order]


def _cosines_with(array: NDArray[np.floating], unit: NDArray[np.float64]) -> NDArray[np.float64]:
    """Cosine of every row with one unit row: (n,), not rounded, -2 where there is no direction."""
    from deita_core.similarity.graph_kernel import row_cosines

    out = np.empty(len(array), np.float64)
    plain = array.dtype == np.float32

    def fill(start: int) -> None:
        stop = min(start + 8192, len(array))
        block = np.asarray(array[start:stop]) if plain else array[start:stop].astype(np.float64)
        row_cosines(block, unit, out[start:stop])

    with ThreadPoolExecutor(cpu_threads()) as pool:
        list(pool.map(fill, range(0, len(array), 8192)))
    return out


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
    number, size = largest_first(part[graph.group[placed]])
    found[placed] = np.where(size > 1, number, -1)
    return found


def largest_first(label: NDArray[np.int32]) -> tuple[NDArray[np.int32], NDArray[np.int64]]:
    """Groups numbered by size, the largest 0, ties by first row: the number of each row's group
    and its size, (n,) each. label: (n,), any numbers.
    """
    _, first, inverse, size = np.unique(
        label, return_index=True, return_inverse=True, return_counts=True
    )
    rank = np.empty(len(size), np.int32)
    rank[np.lexsort((first, -size))] = np.arange(len(size), dtype=np.int32)
    return rank[inverse], size[inverse]
