"""Building the similarity graph: exact, in blocks, within a budget of pairs.

A fast product of low precision screens the upper triangle of all pairs (see `screen`); each
pair that could lie above the floor is then compared by the definition of `similarity`. The pairs
found are kept until there are too many for the budget, when the floor rises, and become sorted
lists of edges in the end.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from math import floor as whole

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deita_core.errors import SelectionError
from deita_core.models.device import cpu_threads
from deita_core.similarity.definition import as_embeddings, find_copies, pair_cosines
from deita_core.similarity.graph import SimilarityGraph
from deita_core.similarity.screen import Lists, Screen, side_by_side

Int32s = NDArray[np.int32]
# The two ends of each pair, and its similarity: (p,) each.
Pairs = tuple[Int32s, Int32s, NDArray[np.float64]]
Progress = Callable[[int, int, int, float], None]

WANTED_FLOOR = 0.5
PAIRS_PER_ROW = 100
MOST_PAIRS = 24_000_000
# Rows compared with all others to estimate how many pairs lie above a floor.
SAMPLE = 512
# Tiles a thread works through before it hands its pairs over.
TILES_AT_ONCE = 16


def build_graph(
    vectors: ArrayLike,
    floor: float = WANTED_FLOOR,
    *,
    most_pairs: int | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> SimilarityGraph:
    """All pairs of rows of `vectors` with a similarity above `floor`, exactly.

    vectors: (m, d) floats of any length, memory maps too; rows without a direction (zero or not
    finite) are in no group. floor: cosine similarity in [-1, 1]. most_pairs: the budget; None:
    PAIRS_PER_ROW for each row, MOST_PAIRS at most. Where there are more pairs, the floor rises
    in steps of 0.01 until they fit, which the result says. seed: for the sample that estimates
    the floor. progress: called with pairs compared and in all, edges kept so far, and the floor
    they are above; when it raises, the work stops. Memory: the vectors in bfloat16, 16 bytes a
    pair while building, 40 at the end.

    Raises SelectionError for arguments out of range.
    """
    array = as_embeddings(vectors)
    floor = float(floor)
    if not -1.0 <= floor <= 1.0:
        raise SelectionError(f"the floor must be a cosine similarity from -1 to 1, got {floor}")
    if most_pairs is None:
        most_pairs = min(MOST_PAIRS, PAIRS_PER_ROW * len(array))
    if most_pairs < 0:
        raise SelectionError(f"most_pairs must be 0 or more, got {most_pairs}")
    copies = find_copies(array)
    groups = len(copies.first)
    done, total = 0, groups * (groups - 1) // 2
    if progress is not None:
        progress(done, total, 0, floor)
    screen = Screen(array, copies.first)
    found = _FoundPairs(floor, most_pairs)
    if total > most_pairs:
        found.raise_floor(_likely_floor(screen, floor, most_pairs, seed))
    compare = _Comparison(array, copies.first, screen, found)
    for task, pairs in side_by_side(compare.run, compare.tasks()):
        found.add(*pairs)
        done += _pairs_of(*task)
        if progress is not None:
            progress(done, total, found.pairs, found.floor)
    start, neighbour, similarity = found.as_lists(groups)
    return SimilarityGraph(
        found.floor, floor, copies.of, copies.rows, copies.start, start, neighbour, similarity
    )


@dataclass(frozen=True, slots=True)
class _Comparison:
    """One block of rows with some of the blocks that follow it, screened and then exact."""

    vectors: NDArray[np.floating]
    first: NDArray[np.int64]
    screen: Screen
    found: _FoundPairs

    def tasks(self) -> Iterator[tuple[slice, slice]]:
        """The rows of a tile, and those of some tiles to compare them with, from itself on."""
        tile, groups = self.screen.tile, len(self.first)
        for row in range(0, groups, tile):
            for begin in range(row, groups, tile * TILES_AT_ONCE):
                end = min(begin + tile * TILES_AT_ONCE, groups)
                yield slice(row, min(row + tile, groups)), slice(begin, end)

    def run(self, task: tuple[slice, slice]) -> Pairs:
        """The pairs of one task above the floor."""
        rows, columns = task
        tile, cells = self.screen.tile, self.screen.room()
        left = self.screen.plain(rows)
        parts = []
        for column in range(columns.start, columns.stop, tile):
            others = slice(column, min(column + tile, columns.stop))
            floor = self.found.floor
            near = self.screen.near(rows, others, floor, cells)
            if len(near[1]):
                parts.append(_above(floor, self._exact(left, rows, others, near)))
        if not parts:
            return np.empty(0, np.int32), np.empty(0, np.int32), np.empty(0)
        one, other, similarity = (np.concatenate(part) for part in zip(*parts, strict=True))
        return one, other, similarity

    def _exact(self, left: NDArray[np.floating], rows: slice, others: slice, near: Lists) -> Pairs:
        from deita_core.similarity.graph_kernel import list_similarities

        start, columns = near
        norms = self.screen.norms
        similarity, doubtful = list_similarities(
            left, norms[rows], self.screen.plain(others), norms[others], start, columns
        )
        one = np.repeat(np.arange(rows.start, rows.stop, dtype=np.int32), np.diff(start))
        other = columns + np.int32(others.start)
        similarity[doubtful] = pair_cosines(
            self.vectors, self.first[one[doubtful]], self.first[other[doubtful]]
        )
        return one, other, similarity


def _pairs_of(rows: slice, others: slice) -> int:
    """How many pairs a task compares: each once where the others begin with the rows."""
    height: int = rows.stop - rows.start
    block: int = height * (others.stop - others.start)
    return block - height * (height + 1) // 2 if rows.start == others.start else block


def _likely_floor(screen: Screen, floor: float, most_pairs: int, seed: int) -> float:
    """The floor to begin with: a step of the grid below the one that a sample expects to fit.

    A step below, so that in the end it is the pairs themselves that decide and not the sample.
    """
    from deita_core.similarity.graph_kernel import count_cells

    groups = len(screen)
    sample = np.random.default_rng(seed).choice(groups, min(SAMPLE, groups), replace=False)
    counts = np.zeros(1 << 16, np.int64)
    for start in range(0, len(sample), 64):
        count_cells(screen.with_all(sample[start : start + 64]).view(np.uint16), counts)
    values = (np.arange(1 << 16, dtype=np.uint32) << 16).view(np.float32)
    begin = floor
    for candidate in _floors_from(floor):
        with np.errstate(invalid="ignore"):
            ends = int(counts[values > candidate].sum()) - len(sample)  # without the row itself
        if ends * (groups / len(sample)) / 2 <= most_pairs:
            break
        begin = candidate
    return begin


def _floors_from(floor: float) -> Iterator[float]:
    """`floor`, then every hundredth above it, up to 1."""
    yield floor
    for hundredth in range(whole(floor * 100 + 1e-9) + 1, 101):
        yield hundredth / 100


class _FoundPairs:
    """Pairs above a floor that rises as far as a budget of pairs needs.

    floor: the present one. pairs: how many are kept. Pairs come in order of the upper triangle.
    """

    def __init__(self, floor: float, most_pairs: int) -> None:
        self.floor = floor
        self.pairs = 0
        self._most = most_pairs
        self._chunks: list[Pairs] = []

    def add(self, one: Int32s, other: Int32s, similarity: NDArray[np.float64]) -> None:
        """Keeps those of the pairs that are above the floor."""
        # They may have been looked for when the floor was lower.
        chunk = _above(self.floor, (one, other, similarity))
        if len(chunk[0]):
            self._chunks.append(chunk)
            self.pairs += len(chunk[0])
        if self.pairs > self._most:
            self.raise_floor(self._floor_that_fits())

    def raise_floor(self, floor: float) -> None:
        """Drops what is not above the new floor."""
        if floor > self.floor:
            self.floor = floor
            self._chunks = [_above(floor, chunk) for chunk in self._chunks]
            self.pairs = sum(len(one) for one, _, _ in self._chunks)

    def _floor_that_fits(self) -> float:
        grid = np.array(list(_floors_from(self.floor)))
        counts = np.zeros(len(grid) + 1, np.int64)
        for _, _, similarity in self._chunks:
            # searchsorted gives the number of floors that the similarity is above.
            counts += np.bincount(np.searchsorted(grid, similarity), minlength=len(counts))
        above = counts[::-1].cumsum()[::-1][1:]
        return float(grid[np.argmax(above <= self._most)])

    def as_lists(self, groups: int) -> tuple[NDArray[np.int64], Int32s, NDArray[np.float64]]:
        """The edges of each group, both ways, most similar first, ties by group: start
        (groups + 1,), neighbour (e,), similarity (e,). Empties this object.
        """
        from deita_core.similarity.graph_kernel import place_pairs, sort_edges

        degree = np.zeros(groups + 1, np.int64)
        for one, other, _ in self._chunks:
            degree[1:] += np.bincount(one, minlength=groups)
            degree[1:] += np.bincount(other, minlength=groups)
        start = degree.cumsum()
        neighbour = np.empty(start[-1], np.int32)
        similarity = np.empty(start[-1], np.float64)
        free = start[:-1].copy()
        self._chunks.reverse()
        while self._chunks:
            place_pairs(*self._chunks.pop(), free, neighbour, similarity)
        shares = np.searchsorted(start, np.linspace(0, start[-1], 8 * cpu_threads() + 1))
        shares[0], shares[-1] = 0, groups
        with ThreadPoolExecutor(cpu_threads()) as pool:
            sort = partial(sort_edges, start, neighbour, similarity)
            list(pool.map(sort, shares[:-1].tolist(), shares[1:].tolist()))
        return start, neighbour, similarity


def _above(floor: float, chunk: Pairs) -> Pairs:
    one, other, similarity = chunk
    over = similarity > floor
    return chunk if over.all() else (one[over], other[over], similarity[over])
