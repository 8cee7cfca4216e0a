"""The compiled loops of the similarity graph: screening, building, nearest rows, and stars.

Import it only where a graph is made or read: it loads numba. All functions are free of the
interpreter's lock, so that threads run them side by side.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from deita_core.similarity.graph import GraphEdges

Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]
Floats = NDArray[np.float64]
Float32s = NDArray[np.float32]

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
def write_nearest(
    groups: Int64s,
    start: Int64s,
    neighbour: Int32s,
    similarity: Float32s,
    member: Int32s,
    member_start: Int64s,
    floor: np.float32,
    indices: Int32s,
    similarities: Float32s,
) -> NDArray[np.bool_]:
    """Writes the nearest rows of the members of groups; True where the lists held enough.

    groups: (r,); the other groups near groups[i] are neighbour[start[i]:start[i + 1]], most
    similar first. A row is written only when its k-th is more similar than `floor`: what the
    lists leave out is not. indices, similarities: (n, k), results for all rows.
    """
    k = indices.shape[1]
    enough = np.zeros(len(groups), np.bool_)
    for i in range(len(groups)):
        rows, values = _nearest_members(
            groups[i], start[i], start[i + 1], neighbour, similarity, member, member_start, k + 1
        )
        if len(rows) < k + 1 or values[k] <= floor:
            continue
        enough[i] = True
        for place in range(member_start[groups[i]], member_start[groups[i] + 1]):
            own, filled = member[place], 0
            for j in range(len(rows)):
                if rows[j] != own and filled < k:
                    indices[own, filled], similarities[own, filled] = rows[j], values[j]
                    filled += 1
    return enough


@numba.njit(nogil=True, cache=True)
def _nearest_members(
    group: int,
    first: int,
    last: int,
    neighbour: Int32s,
    similarity: Float32s,
    member: Int32s,
    member_start: Int64s,
    count: int,
) -> tuple[Int32s, Float32s]:
    """Up to `count` rows nearest to a group, its own included, ties by row."""
    rows, values = np.empty(count, np.int32), np.empty(count, np.float32)
    found, edge, own = 0, first, True
    while found < count and (own or edge < last):
        value = np.float32(1.0) if own else similarity[edge]
        tied = found
        if own:
            tied = _insert_members(group, member, member_start, rows, found, tied)
        while edge < last and similarity[edge] == value:
            tied = _insert_members(neighbour[edge], member, member_start, rows, found, tied)
            edge += 1
        values[found:tied] = value
        found, own = tied, False
    return rows[:found], values[:found]


@numba.njit(nogil=True, cache=True)
def _insert_members(
    group: int, member: Int32s, member_start: Int64s, rows: Int32s, first: int, last: int
) -> int:
    """Puts the members of a group among rows[first:last], which are ascending and stay so; the
    highest fall off where there is no room. Returns the new end.
    """
    for place in range(member_start[group], member_start[group + 1]):
        row = member[place]
        if last < len(rows):
            last += 1
        elif row >= rows[last - 1]:
            break  # so are the other members
        i = last - 1
        while i > first and rows[i - 1] > row:
            rows[i] = rows[i - 1]
            i -= 1
        rows[i] = row
    return last


@numba.njit(nogil=True, cache=True)
def stars(edges: GraphEdges, order: Int64s, threshold: float) -> tuple[Int64s, Floats]:
    """Of each group of the graph the one that is kept in its place, and the similarity to it.

    order: groups, each once; visited one by one, a group joins the most similar one kept before
    it (of equals the one kept first) when that is more similar than the threshold, else it is
    kept. Returns centre (g,), itself for a kept group, -1 for one not in `order`, and similarity.
    """
    groups = len(edges.start) - 1
    centre = np.full(groups, -1, np.int64)
    similarity = np.full(groups, np.nan)
    visit = np.full(groups, -1, np.int64)
    for place in range(len(order)):
        group = order[place]
        best, most = group, threshold
        for edge in range(edges.start[group], edges.start[group + 1]):
            near = edges.similarity[edge]
            if near < most or near <= threshold:  # most similar first: no closer one comes
                break
            other = edges.neighbour[edge]
            if centre[other] != other:
                continue
            if near > most or visit[other] < visit[best]:
                best, most = other, near
        visit[group] = place
        centre[group] = best
        similarity[group] = most if best != group else 1.0
    return centre, similarity
