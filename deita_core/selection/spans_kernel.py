"""The greedy pass for all thresholds at once, compiled. Import it only where it is run: numba."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray


@numba.njit(nogil=True, cache=True)
def extend_spans(
    begin: int,
    end: int,
    group: NDArray[np.int32],
    pinned: NDArray[np.bool_],
    start: NDArray[np.int64],
    neighbour: NDArray[np.int32],
    similarity: NDArray[np.float64],
    floor: float,
    first: NDArray[np.int64],
    last: NDArray[np.int64],
    bounds: NDArray[np.int64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
) -> int:
    """Visits the places `begin` to `end` of the order; returns the place it came to.

    That is less than `end` where low and high are too short for the spans of the next place.
    group: (m,) of each place. start, neighbour, similarity: the edges of the groups.
    first, last: (g,), in low and high: where the group's row that is kept stands, -1 unless one
    was visited. bounds: (m + 1,): the spans of place p are bounds[p]:bounds[p + 1].
    """
    room = 64
    ends, starts = np.empty(room), np.empty(room)
    for place in range(begin, end):
        own, used = group[place], bounds[place]
        found = 0
        fresh = first[own] < 0 and not pinned[place]
        if fresh:
            for edge in range(start[own], start[own + 1]):
                bound = similarity[edge]
                if bound <= floor:
                    break
                other = neighbour[edge]
                for span in range(max(first[other], 0), last[other]):
                    if low[span] >= bound:
                        break
                    if found == room:
                        room *= 2
                        starts = np.concatenate((starts, np.empty(found)))
                        ends = np.concatenate((ends, np.empty(found)))
                    starts[found], ends[found] = low[span], min(high[span], bound)
                    found += 1
        if used + found + 1 > len(low):
            return place
        bounds[place + 1] = used
        if not fresh and not pinned[place]:  # a copy of a row visited before
            continue
        at = floor
        for which in np.argsort(starts[:found]):
            if starts[which] > at:
                low[used], high[used] = at, starts[which]
                used += 1
            at = max(at, ends[which])
        if at < 1.0:
            low[used], high[used] = at, 1.0
            used += 1
        # A pinned copy is kept at every threshold, so from here on it stands for its group.
        first[own], last[own] = bounds[place], used
        bounds[place + 1] = used
    return end


@numba.njit(nogil=True, cache=True)
def kept_at(
    threshold: float,
    bounds: NDArray[np.int64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    kept: NDArray[np.bool_],
) -> None:
    """Writes which places of the order are kept at the threshold without a budget: kept (m,)."""
    for place in range(len(kept)):
        kept[place] = threshold >= 1.0
        for span in range(bounds[place], bounds[place + 1]):
            if low[span] <= threshold < high[span]:
                kept[place] = True
