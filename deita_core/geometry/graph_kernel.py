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
                found = np.append(found, np.empty_like(found))
            for place in range(len(part)):
                if part[place] >= bound and first + place >= skip[row]:
                    found[count] = first + place
                    count += 1
        start[row + 1] = count
    return start, found[:count].copy()


@numba.njit(nogil=True, cache=True)
def kth_highest(cells: NDArray[np.int16], k: int, run: int, out: NDArray[np.int16]) -> None:
    """A lower bound of the k-th highest cell of each row of (r, c): out, (r,).

    It is the k-th highest of the highest cells of runs; the lowest int16 where that is negative
    (whole numbers do not compare as negative floats do) or where there are fewer runs.
    """
    rows, columns = cells.shape
    runs = (columns + run - 1) // run
    highest = np.empty(runs, np.int16)
    for row in range(rows):
        for i in range(runs):
            highest[i] = _highest(cells[row, i * run : (i + 1) * run])
        out[row] = -32768
        if runs >= k:
            found = np.partition(highest, runs - k)[runs - k]
            if found >= 0:
                out[row] = found


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
                    doubtful = np.append(doubtful, np.empty_like(doubtful))
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
    """Sorts the edges of groups `first` to `last`, most similar first; ties stay in order."""
    for group in range(first, last):
        low, high = start[group], start[group + 1]
        if high - low > 1:
            order = np.argsort(-similarity[low:high], kind="mergesort")
            neighbour[low:high] = neighbour[low:high][order]
            similarity[low:high] = similarity[low:high][order]


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
