"""The loops of the similarity graph, compiled. Import it only where a graph is made or read.

All are free of the interpreter's lock, so that threads run them side by side.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]
Floats = NDArray[np.float64]

# Cells looked at together: most such runs hold nothing near, and are passed in a few steps.
# It is handed to the kernels, for with a constant the compiler unrolls the loop over a run
# instead of making it run on whole registers (twenty times slower).
RUN = 128
_SCALE = 1e12  # similarity.DECIMALS
# A similarity this close (in units of the last decimal) to the middle between two decimals
# could be rounded either way by another order of summing up.
DOUBTFUL = 4e-3


@numba.njit(nogil=True, cache=True)
def _highest(run: NDArray[np.int16]) -> np.int16:
    highest = np.int16(-32768)
    for place in range(run.size):
        highest = max(highest, run[place])
    return highest


@numba.njit(nogil=True, cache=True)
def near_cells(
    cells: NDArray[np.int16], bounds: NDArray[np.int16], skip: Int64s, run: int
) -> tuple[Int64s, Int32s]:
    """The columns of the cells of each row that are at or above its bound, ascending.

    cells: (r, c), the bits of bfloat16. bounds: (r,), the bits of bounds that are not negative:
    then whole numbers compare as the floats do. The lowest int16 lets every cell pass.
    skip: (r,), the columns of each row that are not looked at. run: RUN.
    Returns start (r + 1,) and columns (e,): those of row i at start[i]:start[i + 1].
    """
    rows, columns = cells.shape
    found, count = np.empty(1024, np.int32), 0
    start = np.zeros(rows + 1, np.int64)
    for row in range(rows):
        line, bound = cells[row], bounds[row]
        for first in range(skip[row] // run * run, columns, run):
            part = line[first : first + run]
            if _highest(part) < bound:
                continue
            if count + run > len(found):
                longer = np.empty(2 * len(found) + run, np.int32)
                longer[:count] = found[:count]
                found = longer
            for place in range(len(part)):
                if part[place] >= bound and first + place >= skip[row]:
                    found[count] = first + place
                    count += 1
        start[row + 1] = count
    return start, found[:count].copy()


@numba.njit(nogil=True, cache=True)
def highest_of_runs(cells: NDArray[np.int16], run: int, out: NDArray[np.int16]) -> None:
    """The highest cell of each run of `run` cells of each row of (r, c): out, (r, runs)."""
    for row in range(len(out)):
        for i in range(out.shape[1]):
            out[row, i] = _highest(cells[row, i * run : (i + 1) * run])


@numba.njit(nogil=True, cache=True)
def count_cells(cells: NDArray[np.uint16], counts: Int64s) -> None:
    """Adds to counts, (65536,), how often each pattern of bits occurs in cells, (r, c)."""
    for row in range(cells.shape[0]):
        for cell in cells[row]:
            counts[cell] += 1


@numba.njit(nogil=True, cache=True, fastmath={"reassoc", "contract", "nsz"})
def dot(left: NDArray[np.floating], right: NDArray[np.floating]) -> float:
    """The product of two vectors, added up in float64."""
    total = 0.0
    for i in range(len(left)):
        total += np.float64(left[i]) * np.float64(right[i])
    return total


@numba.njit(nogil=True, cache=True)
def list_similarities(
    left: NDArray[np.floating],
    left_norm: Floats,
    right: NDArray[np.floating],
    right_norm: Floats,
    start: Int64s,
    columns: Int32s,
) -> tuple[Floats, Int64s]:
    """Similarity of left[i] and right[columns[e]], e in start[i]:start[i + 1], by the definition
    of `similarity`: (e,) float64, and those e that only the definition's own code should round.

    left: (r, d), right: (c, d), with their norms.
    """
    result = np.empty(len(columns), np.float64)
    doubtful, count = np.empty(64, np.int64), 0
    for row in range(len(left)):
        for edge in range(start[row], start[row + 1]):
            column = columns[edge]
            norms = left_norm[row] * right_norm[column]
            scaled = dot(left[row], right[column]) / norms * _SCALE
            if abs(scaled - np.floor(scaled) - 0.5) < DOUBTFUL:
                if count == len(doubtful):
                    longer = np.empty(2 * count, np.int64)
                    longer[:count] = doubtful
                    doubtful = longer
                doubtful[count] = edge
                count += 1
            result[edge] = np.rint(scaled) / _SCALE
    return result, doubtful[:count].copy()


@numba.njit(nogil=True, cache=True)
def place_pairs(
    rows: Int32s,
    columns: Int32s,
    values: Floats,
    free: Int64s,
    neighbour: Int32s,
    similarity: Floats,
) -> None:
    """Writes each pair into the lists of both its ends; free: (g,), where each list goes on."""
    for pair in range(len(rows)):
        i, j, value = rows[pair], columns[pair], values[pair]
        neighbour[free[i]], similarity[free[i]] = j, value
        free[i] += 1
        neighbour[free[j]], similarity[free[j]] = i, value
        free[j] += 1


@numba.njit(nogil=True, cache=True)
def sort_edges(start: Int64s, neighbour: Int32s, similarity: Floats, first: int, last: int) -> None:
    """Sorts the edges of groups `first` to `last`, most similar first; ties stay in order.

    Merges ever longer stretches: the compiler takes seconds over NumPy's own argsort.
    """
    widest = 0
    for group in range(first, last):
        widest = max(widest, start[group + 1] - start[group])
    places, values = np.empty(widest, np.int32), np.empty(widest, np.float64)
    for group in range(first, last):
        low, size = start[group], start[group + 1] - start[group]
        width = 1
        while width < size:
            for begin in range(0, size, 2 * width):
                middle, end = min(begin + width, size), min(begin + 2 * width, size)
                i, j = begin, middle
                for place in range(begin, end):
                    later = i >= middle or (j < end and similarity[low + j] > similarity[low + i])
                    taken = j if later else i
                    places[place] = neighbour[low + taken]
                    values[place] = similarity[low + taken]
                    if later:
                        j += 1
                    else:
                        i += 1
            for place in range(size):
                neighbour[low + place] = places[place]
                similarity[low + place] = values[place]
            width *= 2


@numba.njit(nogil=True, cache=True)
def row_cosines(vectors: NDArray[np.floating], row: Floats, out: Floats) -> None:
    """Cosine of `row`, of length one, with each of (m, d); -2 where there is no direction.

    out: (m,), not rounded.
    """
    for i in range(len(vectors)):
        length = np.sqrt(dot(vectors[i], vectors[i]))
        out[i] = dot(vectors[i], row) / length if 0.0 < length < np.inf else -2.0


@numba.njit(nogil=True, cache=True)
def add_rows(rows: NDArray[np.float32], label: Int32s, sums: NDArray[np.float64]) -> None:
    """Adds each row of (m, d) to sums[label], (k, d)."""
    for i in range(len(rows)):
        total = sums[label[i]]
        for j in range(total.size):
            total[j] += rows[i, j]
