"""Strategies that find their order as they go: k-center greedy, facility location and QDIT.

K-center selects rows that are each as far as can be from all selected before, so that every row
of the pool has a selected row near it. Facility location selects the rows that together stand
best for the whole pool; QDIT weighs that against each row's score.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Generator
from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.progress import FilterProgress
from deita_core.selection import status as st
from deita_core.selection.candidates import Candidates, Limits, Steps, Strategy
from deita_core.selection.strategies.greedy import pass_steps
from deita_core.similarity.definition import DECIMALS, Tiles, cosines, screen_margin, unit_rows
from deita_core.similarity.graph import SimilarityGraph

Floats = NDArray[np.floating]
Rows = NDArray[np.int64]
Admit = Callable[[int], bool | None]
Progress = Generator[FilterProgress, None, None]


class Admission:
    """Admits rows one by one, for as long as the budget lasts. Pinned rows are in from the start,
    in the order of their scores.

    A strategy that knows its order beforehand hands it to `pass_steps`, which sees to pins, quotas
    and the budget. One whose next row depends on the rows already in asks here, row by row;
    `chosen_steps` then hands the rows it asked for to `pass_steps`.
    """

    def __init__(self, candidates: Candidates) -> None:
        order = candidates.best_first()
        self.pins: Rows = order[candidates.pinned[order]]
        self.others: Rows = order[~candidates.pinned[order]]
        self.asked: list[int] = self.pins.tolist()
        self._candidates, self._ledger = candidates, candidates.ledger.copy()

    def take(self, place: int) -> bool | None:
        """True: the row is in. False: a quota is full, it stays out. None: the budget is full."""
        from deita_core.selection.pass_kernel import admit

        self.asked.append(place)
        decision = admit(self._candidates.rows[place], self._ledger)
        return None if decision == st.BELOW_CUT else bool(decision == st.KEPT)


def chosen_steps(
    candidates: Candidates, limits: Limits, choose: Callable[[Admission], Progress]
) -> Steps:
    """The trace of the rows that `choose` asks for, in that order. Rows never asked for are below
    the cut without a rank: such a strategy does not say when it would have come to them.

    Where the budget has room for every row there is nothing to choose, and the rows come in the
    order of their scores.
    """
    admission = Admission(candidates)
    others = admission.others
    if candidates.ledger.has_room_for(candidates.rows[others]):
        order = candidates.best_first()
        return (yield from pass_steps(order, candidates, limits, threshold=None))
    yield from choose(admission)
    order = np.array(admission.asked, np.int64)
    limits = replace(limits, pin_place="first")
    trace = yield from pass_steps(order, candidates, limits, threshold=None)
    status = trace.status.copy()
    status[others[trace.rank[others] == 0]] = st.BELOW_CUT
    return replace(trace, status=status)


ACTIVE: Final = 1024
BLOCK: Final = 4096
_NEVER: Final = np.inf
_PLAIN_LENGTHS: Final = (1e-3, 1e3)


def farthest_steps(
    vectors: Floats, rows: Rows, centres: Rows, admit: Admit, *, active: int = ACTIVE
) -> Generator[FilterProgress, None, Rows]:
    """Rows in the order chosen, farthest first, ties by place in `rows`: (k,) int64.

    The plain loop compares every row with every new centre, one centre at a time. Here many
    centres are chosen for each sweep over the pool. A row's highest similarity to a centre can
    only rise, so what it was is a lower bound of what it is: among the rows with the lowest bounds
    the next centres are chosen by exact similarities alone, for as long as the best of them lies
    below the bounds of all other rows. Then one matrix product brings all bounds up to date.

    vectors: (m, d) floats. rows: (r,) ascending, the rows to choose from, finite and not zero.
    centres: (c,), at least one, rows that count as chosen already; they are not in `rows`.
    admit: asked once for each row that would be next. True: take it; False: skip it (it is no
        centre, and not asked for again); None: stop before it.
    Memory: O(block x centres) and a copy of the centres; time at most that of r x k products.
    """
    bounds, chosen = _Bounds(vectors, rows), Tiles(vectors)
    fresh, order, left = centres, [np.empty(0, np.int64)], len(rows)
    near, taken = np.empty(0, np.int64), 0
    while left:
        yield from bounds.refresh(fresh, taken)
        bounds.sure[near] = True  # they have met these centres already
        chosen.add(fresh)
        near = _lowest(bounds.low, active)
        unsure = near[~bounds.sure[near]]
        bounds.low[unsure] = _highest(vectors, rows[unsure], chosen)
        bounds.sure[unsure] = True
        picks, asked, stopped = _choose(vectors, rows, near, bounds.low, admit)
        order.append(rows[picks])
        fresh, left, taken = rows[picks], left - asked, taken + len(picks)
        if stopped:
            break
    return np.concatenate(order)


def _lowest(low: NDArray[np.float64], count: int) -> Rows:
    """Places of the `count` lowest values, ties by place; ascending by place."""
    if len(low) <= count:
        return np.flatnonzero(low < _NEVER)
    limit = np.partition(low, count - 1)[count - 1]
    below = np.flatnonzero(low < limit)
    ties = np.flatnonzero(low == limit)[: count - len(below)] if limit < _NEVER else below[:0]
    return np.sort(np.concatenate([below, ties]))


def _highest(vectors: Floats, rows: Rows, chosen: Tiles) -> NDArray[np.float64]:
    """The highest similarity of each row to a chosen one, by the definition: (k,) float64."""
    highest = np.full(len(rows), -1.0)
    if len(rows):
        units = unit_rows(vectors, rows)
        for centres, _ in chosen:
            product = units @ unit_rows(vectors, centres).T
            np.maximum(highest, product.max(axis=1), out=highest)
    return np.round(highest, DECIMALS)


def _choose(
    vectors: Floats, rows: Rows, near: Rows, low: NDArray[np.float64], admit: Admit
) -> tuple[list[int], int, bool]:
    """Chooses among the places `near` (ascending, exact in `low`) for as long as no other row
    could be as far. Returns the places taken, how many were asked for, and if told to stop.
    """
    value = low[near].copy()
    low[near] = _NEVER
    rival = int(low.argmin())
    limit = (float(low[rival]), rival)
    between = cosines(vectors, rows[near], rows[near])
    taken: list[int] = []
    asked, stopped = 0, False
    while asked < len(near):
        place = int(value.argmin())
        if value[place] == _NEVER or (float(value[place]), int(near[place])) >= limit:
            break
        taken_in = admit(int(rows[near[place]]))
        if taken_in is None:
            stopped = True
            break
        asked += 1
        value[place] = _NEVER
        if taken_in:
            taken.append(int(near[place]))
            np.maximum(value, between[place], out=value)
    low[near] = value
    return taken, asked, stopped


class _Bounds:
    """What is known of each row's highest similarity to a centre, by sweeps in float32.

    low: (r,) float64, a lower bound, inf for rows that were chosen or skipped.
    sure: (r,) bool, the bound is the similarity itself.
    """

    def __init__(self, vectors: Floats, rows: Rows) -> None:
        self.low, self.sure = np.full(len(rows), -1.0), np.zeros(len(rows), np.bool_)
        self._vectors, self._rows = vectors, rows
        self._margin = screen_margin(vectors.shape[1])
        self._length = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), BLOCK):
            block = vectors[rows[start : start + BLOCK]].astype(np.float64)
            self._length[start : start + BLOCK] = np.sqrt(np.einsum("ij,ij->i", block, block))
        least, most = _PLAIN_LENGTHS
        self._plain = bool(((self._length >= least) & (self._length <= most)).all())

    def refresh(self, centres: Rows, taken: int) -> Generator[FilterProgress, None, None]:
        """Raises the bounds by what these centres add."""
        if not len(centres):
            return
        units = unit_rows(self._vectors, centres).astype(np.float32).T
        for start in range(0, len(self._rows), BLOCK):
            part = slice(start, start + BLOCK)
            highest = self._product(part, units).max(axis=1).astype(np.float64)
            low, sure = self.low[part], self.sure[part]
            sure &= (highest + self._margin <= low) | (low >= 1.0)
            np.maximum(low, np.minimum(highest - self._margin, 1.0), out=low)
            yield FilterProgress(taken, taken, len(self._rows))

    def _product(self, part: slice, units: NDArray[np.float32]) -> NDArray[np.float32]:
        rows = self._rows[part]
        if not self._plain:
            product: NDArray[np.float32] = unit_rows(self._vectors, rows).astype(np.float32) @ units
            return product
        block = self._vectors[rows].astype(np.float32, copy=False)
        return (block @ units) / self._length[part, None]


def _k_center_steps(candidates: Candidates, limits: Limits) -> Steps:
    """Each row selected is the one least similar to all rows selected before it; ties go to the
    lower row number. Distance is cosine distance: on unit vectors it orders rows as Euclidean
    distance does. Pinned rows are the first centres; without any, the row with the highest evol
    score that the quotas let in is (the paper starts from a set labelled before).
    """

    def choose(admission: Admission) -> Progress:
        centres = admission.pins
        if not len(centres):
            answers = ((row, admission.take(row)) for row in admission.others.tolist())
            first, is_in = next((a for a in answers if a[1] is not False), (-1, None))
            if is_in is None:
                return
            centres = np.array([first])
        others = np.setdiff1d(admission.others, admission.asked)
        yield from farthest_steps(candidates.table.vectors, others, centres, admission.take)

    return (yield from chosen_steps(candidates, limits, choose))


K_CENTER = Strategy(
    name="k_center",
    label="K-center greedy",
    phrase="by k-center greedy",
    source=(
        "Sener and Savarese (arXiv 1708.00489): always the row farthest from all rows selected so "
        "far, so that every row of the pool ends up near a selected one. Scores only choose the "
        "first row."
    ),
    steps=_k_center_steps,
)


GAIN_DECIMALS: Final = 9
STEP: Final = 256
_CHUNK: Final = 1 << 14


def _facility_location_steps(candidates: Candidates, limits: Limits) -> Steps:
    """Greedy facility location on the similarity graph.

    A selection's coverage is the sum, over all candidates, of their similarity to the nearest
    row selected (1 for a selected row and for its copies); similarities at or below the
    threshold, and negative ones, count as nothing. Each row selected is the one that adds most;
    what it adds is rounded to 9 decimals, ties go to the higher score, then to the lower row
    number. Gains are taken up lazily (Minoux's accelerated greedy, 1978): a gain can only shrink,
    so only rows at the top of the list are looked at again. The rows are those of the plain loop.

    The threshold, not the graph's floor, decides what counts, so that the same rule selects the
    same rows on every graph that serves it.
    """
    graph = _graph_for(candidates, limits.threshold)

    def choose(admission: Admission) -> Progress:
        worth = np.zeros(len(admission.others))
        return _Coverage(graph, limits.threshold, admission, worth, 0.0).choose_steps()

    return (yield from chosen_steps(candidates, limits, choose))


FACILITY_LOCATION = Strategy(
    name="facility_location",
    label="Facility location",
    phrase="by facility location",
    source=(
        "Greedy facility location (Nemhauser, Wolsey and Fisher 1978; Minoux 1978): always the "
        "row that adds most to the similarity of the pool's rows to their nearest selected row. "
        "Similarities at or below the threshold count as nothing; scores only break ties."
    ),
    steps=_facility_location_steps,
    uses_threshold=True,
    needs_graph=True,
)


# What the paper calls alpha: the share of a row's score, the rest is that of the coverage. The
# paper tries 0.1 to 1 and finds 0.5, 0.7 and 0.9 best (section 4.4); the middle one is ours. No
# program of its authors was found, nor a word on how d and q come to one scale.
SCORE_SHARE: Final = 0.7


def _qdit_steps(candidates: Candidates, limits: Limits) -> Steps:
    """Quality-Diversity Instruction Tuning (arXiv 2311.14736, version 3): the greedy loop of its
    algorithm 1 takes the row with the most (1 - alpha) d(a | A) + alpha q(a) (section 3.2), where
    d is what the row adds to the coverage of facility location (its equation 1: the sum over the
    pool of the cosine similarity to the nearest row selected), and q its quality.

    Here d is that of `facility_location`, threshold and rounding included: with the threshold at
    0 it is the paper's, but for negative similarities. q is the evol score, scaled so that the
    candidates' lowest is 0 and their highest 1, as the paper names no scale; alpha is 0.7. Ties
    go to the higher score, then to the lower row number.
    """
    graph = _graph_for(candidates, limits.threshold)

    def choose(admission: Admission) -> Progress:
        worth = scaled_scores(candidates)[admission.others]
        return _Coverage(graph, limits.threshold, admission, worth, SCORE_SHARE).choose_steps()

    return (yield from chosen_steps(candidates, limits, choose))


QDIT = Strategy(
    name="qdit",
    label="QDIT",
    phrase="by QDIT",
    source=(
        "Bukharin et al. (arXiv 2311.14736): always the row with the most 0.3 x gain + 0.7 x "
        "score. The gain is that of facility location, where similarities at or below the "
        "threshold count as nothing; the score is the evol score, scaled to 0 to 1."
    ),
    steps=_qdit_steps,
    uses_threshold=True,
    uses_score=True,
    needs_graph=True,
)


def scaled_scores(candidates: Candidates) -> NDArray[np.float64]:
    """Scores of the candidates from 0 (their lowest) to 1 (their highest), by place: (m,).

    All are 0 where they are equal; what has no score stays NaN.
    """
    scores = candidates.scores[candidates.eligible]
    present = scores[~np.isnan(scores)]
    low, high = present.min(initial=np.inf), present.max(initial=-np.inf)
    scaled: NDArray[np.float64] = (candidates.scores - low) / (high - low if high > low else 1.0)
    return scaled


def _graph_for(candidates: Candidates, threshold: float) -> SimilarityGraph:
    graph = candidates.table.graph
    if graph is None:
        raise SelectionError(
            "this strategy reads the similarity graph, and there is none: make it first "
            "(`graph` on the command line), or choose a strategy that needs none"
        )
    if not graph.serves(threshold):
        raise SelectionError(
            f"this strategy reads the similarity graph, which holds similarities above "
            f"{graph.floor:g}; the threshold {threshold:g} is below: raise it to {graph.floor:g} "
            "or more, or make the graph again with a lower floor"
        )
    return graph


class _Coverage:
    """The coverage of the candidates so far, and the greedy loop over groups of equal rows.

    worth: (k,) float64, of each row of `admission.others`, never rising. share: of the worth in
    what a row is taken for, from 0 to 1; the rest is that of what it adds to the coverage.
    """

    def __init__(
        self,
        graph: SimilarityGraph,
        threshold: float,
        admission: Admission,
        worth: NDArray[np.float64],
        share: float,
    ) -> None:
        self._admission, self._share = admission, share
        self._worth: list[float] = worth.tolist()
        pins, others, group = admission.pins, admission.others, np.asarray(graph.group)
        rows = np.bincount(group[np.concatenate([pins, others])], minlength=graph.groups)
        self._covered = np.zeros(graph.groups)
        # What the compiled functions take after the group.
        self._graph = (threshold, graph.edges())
        self._state = (*self._graph, rows, self._covered)
        for row in group[pins].tolist():
            self._cover(row)
        # Waiting rows by group, the best of each last, as places in the order of scores.
        self._waiting: dict[int, list[int]] = {}
        for place in range(len(others) - 1, -1, -1):
            self._waiting.setdefault(int(group[others[place]]), []).append(place)

    def _cover(self, group: int) -> None:
        from deita_core.selection.pass_kernel import cover

        cover(group, *self._graph, self._covered)

    def choose_steps(self) -> Progress:
        """Asks for one row after the other, the one that adds most first."""
        from deita_core.selection.pass_kernel import gain_of

        others, waiting = self._admission.others, self._waiting
        gains = yield from self._bounds_steps(len(others))
        heap = [self._entry(gains[g], places[-1], g) for g, places in waiting.items()]
        heapq.heapify(heap)
        known_at = dict.fromkeys(waiting, -1)
        taken = asked = 0
        while heap:
            _, place, group = heap[0]
            if gains[group] > 0 and known_at[group] != taken:
                known_at[group] = taken
                gains[group] = round(gain_of(group, *self._state), GAIN_DECIMALS)
                heapq.heapreplace(heap, self._entry(gains[group], place, group))
                continue
            is_in = self._admission.take(int(others[place]))
            if is_in is None:
                break
            if is_in:
                self._cover(group)
                taken += 1
            waiting[group].pop()
            if waiting[group]:
                heapq.heapreplace(heap, self._entry(gains[group], waiting[group][-1], group))
            else:
                heapq.heappop(heap)
            asked += 1
            if asked % STEP == 0:
                yield FilterProgress(asked, taken, len(others))

    def _entry(self, gain: float, place: int, group: int) -> tuple[float, int, int]:
        """What the heap holds of a group: the lowest entry is the row to take."""
        value = (1.0 - self._share) * gain + self._share * self._worth[place]
        return -value, place, group

    def _bounds_steps(self, total: int) -> Generator[FilterProgress, None, list[float]]:
        """Gains of all groups at the start, rounded up: none may be below the true one."""
        from deita_core.selection.pass_kernel import all_gains

        gains = np.zeros(len(self._covered))
        for first in range(0, len(gains), _CHUNK):
            all_gains(first, min(first + _CHUNK, len(gains)), *self._state, gains)
            yield FilterProgress(0, 0, total)
        bounds: list[float] = (gains + 2 * 10.0**-GAIN_DECIMALS).tolist()
        return bounds
