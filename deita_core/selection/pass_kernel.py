"""The greedy pass, compiled. Import it only where a pass is made: it loads numba."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

# Statuses as in `selection.status`; a compiled function reads numbers, not modules.
KEPT, NEAR_DUPLICATE, PINNED, OVER_QUOTA = 0, 1, 3, 8
# Places of the state that is carried from one stretch of the order to the next.
ROOM, COUNT, ENDED, PINS_LEFT = 0, 1, 2, 3


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
def _nearest_seat(
    group: int,
    start: NDArray[np.int64],
    neighbour: NDArray[np.int32],
    similarity: NDArray[np.float64],
    threshold: float,
    seat: NDArray[np.int32],
) -> tuple[int, float]:
    """The most similar row kept above the threshold (the first of equal ones), its similarity."""
    best, highest = seat[group], 1.0
    for edge in range(start[group], start[group + 1]):
        near = similarity[edge]
        if near <= threshold or (best >= 0 and near < highest):
            break
        found = seat[neighbour[edge]]
        if found >= 0 and (best < 0 or found < best):
            best, highest = found, near
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
                    group[position - first], start, neighbour, similarity, threshold, seat
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
        if blocks and not alone[position - first] and seat[group[position - first]] < 0:
            seat[group[position - first]] = state[COUNT]
        kept[state[COUNT]] = position
        state[COUNT] += 1
