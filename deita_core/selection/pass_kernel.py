"""Loops over the edges of the similarity graph, compiled by numba.

The greedy pass at one threshold (`walk`) and at all thresholds at once (`extend_spans`), and sums
over the neighbours of groups. Edges of a group come most similar first, so each loop ends at the
first one that does not count. Importing this file loads numba: do it where a loop is run.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

from deita_core.selection.candidates import Blockers, Decisions, Ledger
from deita_core.similarity.graph import GraphEdges

Longs = NDArray[np.int64]
Ints = NDArray[np.int32]
Reals = NDArray[np.float64]
Flags = NDArray[np.bool_]

# Statuses as in `selection.status`; a compiled function reads numbers, not modules.
KEPT, NEAR_DUPLICATE, BELOW_CUT, PINNED, OVER_QUOTA = 0, 1, 2, 3, 8
# Places of `Decisions.state`.
COUNT, ENDED, PINS_LEFT = 0, 1, 2
STRIDE = 16


@numba.njit(inline="always")
def _full_quota(row: int, ledger: Ledger) -> int:
    """The first of the row's quotas that has no room for it, or -1."""
    for column in range(ledger.codes.shape[1]):
        quota = ledger.codes[row, column]
        if quota >= 0:
            amount = ledger.tokens[row] if ledger.by_tokens[quota] else 1
            if ledger.used[quota] + amount > ledger.limit[quota]:
                return int(quota)
    return -1


@numba.njit(inline="always")
def _count(row: int, ledger: Ledger) -> None:
    """Counts a row in its quotas."""
    for column in range(ledger.codes.shape[1]):
        quota = ledger.codes[row, column]
        if quota >= 0:
            ledger.used[quota] += ledger.tokens[row] if ledger.by_tokens[quota] else 1


@numba.njit(inline="always")
def _spend(row: int, ledger: Ledger) -> bool:
    """Takes the row out of the budget; False when it does not fit."""
    amount = ledger.tokens[row] if ledger.in_tokens else 1
    if ledger.room[0] >= 0:
        if amount > ledger.room[0]:
            return False
        ledger.room[0] -= amount
    return True


@numba.njit(nogil=True, cache=True)
def over_quota(rows: Longs, ledger: Ledger) -> Flags:
    """Which rows (k,) a quota has no room for: (k,) bool."""
    full = np.empty(len(rows), np.bool_)
    for i in range(len(rows)):
        full[i] = _full_quota(rows[i], ledger) >= 0
    return full


@numba.njit(nogil=True, cache=True)
def admit(row: int, ledger: Ledger) -> int:
    """KEPT: the row is counted in. OVER_QUOTA: a quota is full. BELOW_CUT: the budget is."""
    if ledger.room[0] == 0 and not ledger.in_tokens:
        return BELOW_CUT
    if _full_quota(row, ledger) >= 0:
        return OVER_QUOTA
    if not _spend(row, ledger):
        return BELOW_CUT
    _count(row, ledger)
    return KEPT


# Hot loops below read arrays out of their tuples once: each time would count a reference.


@numba.njit(inline="always")
def _first_taken(
    edge: int,
    last: int,
    neighbour: Ints,
    similarity: Reals,
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
def _nearest_kept(
    group: int,
    start: Longs,
    neighbour: Ints,
    similarity: Reals,
    threshold: float,
    seat: Ints,
    taken: NDArray[np.uint64],
) -> tuple[int, float]:
    """Place in `Decisions.kept` of the most similar row kept above the threshold (the first of
    equal ones), -1 for none; and its similarity.
    """
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
    order: Longs,
    row_of: Longs,
    pinned: Flags,
    ledger: Ledger,
    blockers: Blockers,
    decisions: Decisions,
) -> None:
    """Decides about order[first:last].

    order: (k,) places of vectors. row_of: (m,), row of the pool of each place. pinned: (m,), rows
    that are in whatever else holds; `ledger` has counted them beforehand.
    """
    known, alone, group_of, edges, seat, threshold = blockers
    start, neighbour, similarity = edges
    status, kept, blocker, closeness, full, state = decisions
    room, in_tokens, quotas = ledger.room, ledger.in_tokens, ledger.codes.shape[1] > 0
    blocks = len(group_of) > 0
    # Most neighbours are not kept: one bit each, these stay near the processor.
    taken = np.zeros((len(seat) >> 6) + 1, np.uint64)
    for own in range(len(seat)):
        if seat[own] >= 0:
            taken[own >> 6] |= np.uint64(1) << np.uint64(own & 63)
    for position in range(first, last):
        place = order[position]
        row, offset = row_of[place], position - first
        joined = blocks and not alone[offset]
        if pinned[place]:
            status[position] = PINNED
            state[PINS_LEFT] -= 1
        else:
            if state[ENDED] < 0 and room[0] == 0 and not in_tokens:
                state[ENDED] = position
            if state[ENDED] >= 0:
                if state[PINS_LEFT] == 0:
                    return
                continue
            quota = _full_quota(row, ledger) if quotas else -1
            if quota >= 0:
                status[position] = OVER_QUOTA
                full[position] = quota
                continue
            if blocks and len(known) > 0 and known[offset]:
                status[position] = NEAR_DUPLICATE
                continue
            if joined:
                near, highest = _nearest_kept(
                    group_of[offset], start, neighbour, similarity, threshold, seat, taken
                )
                if near >= 0:
                    status[position] = NEAR_DUPLICATE
                    blocker[position] = near
                    closeness[position] = highest
                    continue
            if room[0] >= 0 and not _spend(row, ledger):
                state[ENDED] = position
                continue
            if quotas:
                _count(row, ledger)
            status[position] = KEPT
        if joined:
            own = group_of[offset]
            if seat[own] < 0:
                seat[own] = state[COUNT]
                taken[own >> 6] |= np.uint64(1) << np.uint64(own & 63)
        kept[state[COUNT]] = position
        state[COUNT] += 1


@numba.njit(nogil=True, cache=True)
def extend_spans(
    begin: int,
    end: int,
    group: Ints,
    pinned: Flags,
    edges: GraphEdges,
    floor: float,
    first: Longs,
    last: Longs,
    bounds: Longs,
    low: Reals,
    high: Reals,
) -> int:
    """Visits the places `begin` to `end` of the order; returns the place it came to.

    That is less than `end` where low and high are too short for the spans of the next place.
    group: (m,) of each place.
    first, last: (g,), in low and high: where the group's row that is kept stands, -1 unless one
    was visited. bounds: (m + 1,): the spans of place p are bounds[p]:bounds[p + 1].
    """
    start, neighbour, similarity = edges
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
def kept_at(threshold: float, bounds: Longs, low: Reals, high: Reals) -> Flags:
    """Which places of the order are kept at the threshold without a budget: (m,) bool."""
    kept = np.empty(len(bounds) - 1, np.bool_)
    for place in range(len(kept)):
        kept[place] = threshold >= 1.0
        for span in range(bounds[place], bounds[place + 1]):
            if low[span] <= threshold < high[span]:
                kept[place] = True
    return kept


@numba.njit(nogil=True, cache=True)
def mark_covered(kept: Ints, level: float, edges: GraphEdges, covered: Flags) -> None:
    """Marks the groups of which a row is kept, and those nearer than `level` to one: (g,)."""
    start, neighbour, similarity = edges
    for own in kept:
        covered[own] = True
        for edge in range(start[own], start[own + 1]):
            if similarity[edge] <= level:
                break
            covered[neighbour[edge]] = True


@numba.njit(nogil=True, cache=True)
def nearest_chosen(asked: Ints, chosen: Longs, own: int, edges: GraphEdges) -> Reals:
    """The similarity of each asked group to the nearest chosen row: (k,) float64.

    chosen: (g,) how many rows of each group are chosen. own: as many of its own group do not
    count (1: the row asked for is one of them). NaN where no edge leads to a chosen row.
    """
    start, neighbour, similarity = edges
    nearest = np.full(len(asked), np.nan)
    for i in range(len(asked)):
        group = asked[i]
        if chosen[group] > own:
            nearest[i] = 1.0
            continue
        for edge in range(start[group], start[group + 1]):
            if chosen[neighbour[edge]] > 0:
                nearest[i] = similarity[edge]
                break
    return nearest


@numba.njit(nogil=True, cache=True)
def gain_of(group: int, threshold: float, edges: GraphEdges, rows: Longs, covered: Reals) -> float:
    """What a row of this group would add to the coverage of the pool.

    rows: (g,), rows of each group. covered: (g,), the similarity of each group to the nearest row
    selected.
    """
    start, neighbour, similarity = edges
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
    edges: GraphEdges,
    rows: Longs,
    covered: Reals,
    gains: Reals,
) -> None:
    """Writes `gain_of` of groups `first` to `last` into `gains` (g,)."""
    for group in range(first, last):
        gains[group] = gain_of(group, threshold, edges, rows, covered)


@numba.njit(nogil=True, cache=True)
def cover(group: int, threshold: float, edges: GraphEdges, covered: Reals) -> None:
    """Brings `covered` up to date after a row of this group was selected."""
    start, neighbour, similarity = edges
    covered[group] = 1.0
    for edge in range(start[group], start[group + 1]):
        if similarity[edge] <= threshold:
            break
        covered[neighbour[edge]] = max(covered[neighbour[edge]], similarity[edge])


@numba.njit(nogil=True, cache=True)
def best_edges(edges: GraphEdges, first: Longs, top: Reals, row: Longs) -> None:
    """For each group the nearest group that has rows: its similarity into `top` (g,), and into
    `row` (g,) the lowest of the first rows of equally near ones.

    first: (g,), the first row of each group, -1 where it has none. Groups without such a
    neighbour are left as they are.
    """
    start, neighbour, similarity = edges
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
    edges: GraphEdges,
    group: Ints,
    first: Longs,
    threshold: float,
    seat: Longs,
    twin: Longs,
    near: Reals,
) -> None:
    """For each place of several lists, one after the other, the most similar place before it in
    its list, the first of equally similar ones: into `twin` (k,), its similarity into `near` (k,).
    Places below the threshold are left out.

    group: (k,), by place. first: (l + 1,), list i is first[i]:first[i + 1]. seat: (g,) of -1, the
    first place of each group in the latest list that has it.
    """
    start, neighbour, similarity = edges
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
