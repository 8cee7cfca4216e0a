"""From lists of edges to the k nearest rows of each row, compiled. It loads numba."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

Int32s = NDArray[np.int32]
Int64s = NDArray[np.int64]
Float32s = NDArray[np.float32]


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
