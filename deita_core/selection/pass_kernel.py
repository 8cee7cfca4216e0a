"""The greedy pass, compiled. Import it only where a pass is made: it loads numba."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

# Statuses as in `selection.status`; a compiled function reads numbers, not modules.
KEPT, NEAR_DUPLICATE, PINNED, OVER_QUOTA = 0, 1, 3, 8
# Places of the state that is carried from one stretch of the order to the next.
ROOM, COUNT, ENDED, PINS_LEFT = 0, 1, 2, 3
STRIDE = 16


@numba.njit(inline="always")
def _full_counter(
    row: int,
    codes: NDArray[np.int32],
    limit: NDArray[np.int64],
    used: NDArray[np.int64],
    by_tokens: NDArray[np.bool_],
    tokens: NDArray[np.int64],
) -> int:
    """The first of the row's counters that has no room for it, or -1."""
    for column in range(codes.shape[1]):
        counter = codes[row, column]
        if counter >= 0:
            amount = tokens[row] if by_tokens[counter] else 1
            if used[counter] + amount > limit[counter]:
                return int(counter)
    return -1


@numba.njit(inline="always")
def _first_taken(
    edge: int,
    last: int,
    neighbour: NDArray[np.int32],
    similarity: NDArray[np.float64],
    threshold: float,
    taken: NDArray[np.uint64],
) -> int:
    """The first edge above the threshold that leads to a kept group, or `last`."""
    while edge < last and similarity[edge] > threshold:
        # Similarities descend, so they are looked at only once in a while.
        for probe in range(edge, min(edge + STRIDE, last)):
            near = neighbour[probe]
            if taken[near >> 6] >> np.uint64(near & 63) & np.uint64(1):
                return probe if similarity[probe] > threshold else last
        edge += STRIDE
    return last


@numba.njit(inline="always")
def _nearest_seat(
    group: int,
    start: NDArray[np.int64],
    neighbour: NDArray[np.int32],
    similarity: NDArray[np.float64],
    threshold: float,
    seat: NDArray[np.int32],
    taken: NDArray[np.uint64],
) -> tuple[int, float]:
    """The most similar row kept above the threshold (the first of equal ones), its similarity."""
    best, highest = seat[group], 1.0
    edge, last = start[group], start[group + 1]
    if best < 0:
        edge = _first_taken(edge, last, neighbour, similarity, threshold, taken)
        if edge < last:
            best, highest = seat[neighbour[edge]], similarity[edge]
    while edge < last and similarity[edge] >= highest:
        found = seat[neighbour[edge]]
        if 0 <= found < best:
            best = found
        edge += 1
    return best, highest


@numba.njit(nogil=True, cache=True)
def walk(
    first: int,
    last: int,
    order: NDArray[np.int64],
    pinned: NDArray[np.bool_],
    in_tokens: bool,
    tokens: NDArray[np.int64],
    codes: NDArray[np.int32],
    limit: NDArray[np.int64],
    used: NDArray[np.int64],
    by_tokens: NDArray[np.bool_],
    blocks: bool,
    hit: NDArray[np.bool_],
    alone: NDArray[np.bool_],
    group: NDArray[np.int32],
    start: NDArray[np.int64],
    neighbour: NDArray[np.int32],
    similarity: NDArray[np.float64],
    threshold: float,
    seat: NDArray[np.int32],
    state: NDArray[np.int64],
    fate: NDArray[np.int8],
    kept: NDArray[np.int64],
    blocker: NDArray[np.int32],
    closeness: NDArray[np.float32],
    full: NDArray[np.int16],
) -> None:
    """Walks over order[first:last]; what it decides is written into the last arrays.

    pinned: by row. in_tokens: the budget counts tokens (by row), else rows. codes, limit, used,
    by_tokens: the quotas; pinned rows count in `used` beforehand. blocks: False when no row blocks
    another. hit, alone, group: by position from `first` on: known beforehand to be too close to a
    kept row (length 0: none is); known to have no row above the threshold; and the row's group in
    the graph of start, neighbour, similarity.
    seat: by group, place in `kept` of the first row kept of it, or -1. state: see the top of the
    file; room is -1 without a budget, ended -1 until the budget ends the pass.
    fate, blocker (place in `kept`), closeness, full (counter): by position; where nothing is
    written, the row is below the cut. kept: positions in the order kept.
    """
    # Most neighbours are not kept: one bit each, these stay near the processor.
    taken = np.zeros((len(seat) >> 6) + 1, np.uint64)
    for group_ in range(len(seat)):
        if seat[group_] >= 0:
            taken[group_ >> 6] |= np.uint64(1) << np.uint64(group_ & 63)
    for position in range(first, last):
        row = order[position]
        if not pinned[row]:
            if state[ENDED] < 0 and state[ROOM] == 0 and not in_tokens:
                state[ENDED] = position
            if state[ENDED] >= 0:
                if state[PINS_LEFT] == 0:
                    return
                continue
            counter = _full_counter(row, codes, limit, used, by_tokens, tokens)
            if counter >= 0:
                fate[position] = OVER_QUOTA
                full[position] = counter
                continue
            if len(hit) and hit[position - first]:
                fate[position] = NEAR_DUPLICATE
                continue
            if blocks and not alone[position - first]:
                near, highest = _nearest_seat(
                    group[position - first], start, neighbour, similarity, threshold, seat, taken
                )
                if near >= 0:
                    fate[position] = NEAR_DUPLICATE
                    blocker[position] = near
                    closeness[position] = highest
                    continue
            amount = tokens[row] if in_tokens else 1
            if state[ROOM] >= 0:
                if amount > state[ROOM]:
                    state[ENDED] = position
                    continue
                state[ROOM] -= amount
            for column in range(codes.shape[1]):
                counter = codes[row, column]
                if counter >= 0:
                    used[counter] += tokens[row] if by_tokens[counter] else 1
            fate[position] = KEPT
        else:
            fate[position] = PINNED
            state[PINS_LEFT] -= 1
        if blocks and not alone[position - first]:
            own = group[position - first]
            if seat[own] < 0:
                seat[own] = state[COUNT]
                taken[own >> 6] |= np.uint64(1) << np.uint64(own & 63)
        kept[state[COUNT]] = position
        state[COUNT] += 1
