"""Sums over the edges of the similarity graph, compiled. Import it only where they are taken.

Edges of a group come most similar first, so each loop ends at the first one that does not count.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray


@numba.njit(nogil=True, cache=True)
def gain_of(
    group: int,
    threshold: float,
    start: NDArray[np.int64],
    neighbour: NDArray[np.int32],
    similarity: NDArray[np.float64],
    rows: NDArray[np.int64],
    covered: NDArray[np.float64],
) -> float:
    """What a row of this group would add to the coverage of the pool.

    start, neighbour, similarity: see `SimilarityGraph`. rows: (g,), rows of each group. covered:
    (g,), the similarity of each group to the nearest row selected.
    """
    gain = rows[group] * max(0.0, 1.0 - covered[group])
    for edge in range(start[group], start[group + 1]):
        if similarity[edge] <= threshold:
            break
        more = similarity[edge] - covered[neighbour[edge]]
        if more > 0.0:
            gain += rows[neighbour[edge]] * more
    return float(gain)


@numba.njit(nogil=True, cache=True)
def all_gains(
    first: int,
    last: int,
    threshold: float,
    start: NDArray[np.int64],
    neighbour: NDArray[np.int32],
    similarity: NDArray[np.float64],
    rows: NDArray[np.int64],
    covered: NDArray[np.float64],
    gains: NDArray[np.float64],
) -> None:
    """Writes `gain_of` of groups `first` to `last` into `gains` (g,)."""
    for group in range(first, last):
        gains[group] = gain_of(group, threshold, start, neighbour, similarity, rows, covered)


@numba.njit(nogil=True, cache=True)
def cover(
    group: int,
    threshold: float,
    start: NDArray[np.int64],
    neighbour: NDArray[np.int32],
    similarity: NDArray[np.float64],
    covered: NDArray[np.float64],
) -> None:
    """Brings `covered` up to date after a row of this group was selected."""
    covered[group] = 1.0
    for edge in range(start[group], start[group + 1]):
        if similarity[edge] <= threshold:
            break
        covered[neighbour[edge]] = max(covered[neighbour[edge]], similarity[edge])


@numba.njit(nogil=True, cache=True)
def best_edges(
    start: NDArray[np.int64],
    neighbour: NDArray[np.int32],
    similarity: NDArray[np.float64],
    first: NDArray[np.int64],
    top: NDArray[np.float64],
    row: NDArray[np.int64],
) -> None:
    """For each group the nearest group that has rows: its similarity into `top` (g,), and into
    `row` (g,) the lowest of the first rows of equally near ones.

    first: (g,), the first row of each group, -1 where it has none. Groups without such a
    neighbour are left as they are.
    """
    for group in range(len(start) - 1):
        found = False
        for edge in range(start[group], start[group + 1]):
            other = first[neighbour[edge]]
            if other < 0:
                continue
            if found and similarity[edge] < top[group]:
                break
            row[group] = min(row[group], other) if found else other
            top[group] = similarity[edge]
            found = True


@numba.njit(nogil=True, cache=True)
def nearest_before(
    start: NDArray[np.int64],
    neighbour: NDArray[np.int32],
    similarity: NDArray[np.float64],
    group: NDArray[np.int32],
    first: NDArray[np.int64],
    threshold: float,
    seat: NDArray[np.int64],
    twin: NDArray[np.int64],
    near: NDArray[np.float64],
) -> None:
    """For each place of several lists, one after the other, the most similar place before it in
    its list, the first of equally similar ones: into `twin` (k,), its similarity into `near` (k,).
    Places below the threshold are left out.

    group: (k,), by place. first: (l + 1,), list i is first[i]:first[i + 1]. seat: (g,) of -1, the
    first place of each group in the latest list that has it.
    """
    for number in range(len(first) - 1):
        for place in range(first[number], first[number + 1]):
            own = group[place]
            if seat[own] >= first[number]:
                twin[place], near[place] = seat[own], 1.0
            for edge in range(start[own], start[own + 1]):
                value = similarity[edge]
                if value < threshold or (twin[place] >= 0 and value < near[place]):
                    break
                other = seat[neighbour[edge]]
                if other >= first[number] and (twin[place] < 0 or other < twin[place]):
                    twin[place], near[place] = other, value
            if seat[own] < first[number]:
                seat[own] = place
