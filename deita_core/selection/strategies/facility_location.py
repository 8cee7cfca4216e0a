"""Facility location: the rows that together stand best for the whole pool."""

from __future__ import annotations

import heapq
from collections.abc import Generator
from typing import Final

import numpy as np

from deita_core.errors import SelectionError
from deita_core.geometry.graph import SimilarityGraph
from deita_core.selection.passes import pass_steps
from deita_core.selection.progress import FilterProgress
from deita_core.selection.status import SelectionTrace
from deita_core.selection.strategies.admission import Admission
from deita_core.selection.strategies.edges import read_only_edges
from deita_core.selection.strategies.protocol import Candidates, Choice

DECIMALS: Final = 9
_STEP: Final = 256
_CHUNK: Final = 1 << 14


class FacilityLocationStrategy:
    """Greedy facility location on the similarity graph.

    A selection's coverage is the sum, over all candidates, of their similarity to the nearest
    row selected (1 for a selected row and for its copies); similarities at or below the
    threshold, and negative ones, count as nothing. Each row selected is the one that adds most;
    what it adds is rounded to 9 decimals, ties go to the higher score, then to the lower row
    number. Gains are taken up lazily (Minoux's accelerated greedy, 1978): a gain can only shrink,
    so only rows at the top of the list are looked at again. The rows are those of the plain loop.

    The threshold, not the graph's floor, decides what counts, so that the same rule selects the
    same rows on every graph that serves it. Where the budget has room for every row there is
    nothing to choose, and the rows come in the order of their scores.
    """

    name = "facility_location"
    label = "Facility location"
    phrase = "by facility location"
    source = (
        "Greedy facility location (Nemhauser, Wolsey and Fisher 1978; Minoux 1978): always the "
        "row that adds most to the similarity of the pool's rows to their nearest selected row. "
        "Similarities at or below the threshold count as nothing; scores only break ties."
    )
    uses_threshold = True
    uses_score = False
    needs_graph = True
    needs_clusters = False
    duplicate_of = ""

    def steps(
        self, candidates: Candidates, choice: Choice
    ) -> Generator[FilterProgress, None, SelectionTrace]:
        """See `Strategy.steps`. Raises SelectionError without a graph that serves the threshold."""
        graph = _graph_for(candidates, choice.threshold)
        admission = Admission(candidates, choice)
        if admission.nothing_to_choose():
            order = candidates.best_first()
            return (yield from pass_steps(order, candidates, choice, threshold=None))
        coverage = _Coverage(graph, choice.threshold, admission)
        yield from coverage.choose_steps(admission)
        return (yield from admission.trace_steps())


def _graph_for(candidates: Candidates, threshold: float) -> SimilarityGraph:
    graph = candidates.graph
    if graph is None:
        raise SelectionError(
            "facility location reads the similarity graph, and there is none: make it first "
            "(`graph` on the command line), or choose a strategy that needs none"
        )
    if not graph.serves(threshold):
        raise SelectionError(
            f"facility location reads the similarity graph, which holds similarities above "
            f"{graph.floor:g}; the threshold {threshold:g} is below: raise it to {graph.floor:g} "
            "or more, or make the graph again with a lower floor"
        )
    return graph


class _Coverage:
    """The coverage of the candidates so far, and the greedy loop over groups of equal rows."""

    def __init__(self, graph: SimilarityGraph, threshold: float, admission: Admission) -> None:
        self._edges = read_only_edges(graph)
        self._threshold = threshold
        others, group = admission.others, np.asarray(graph.group)
        everyone = np.concatenate([admission.pins, others])
        self._rows = np.bincount(group[everyone], minlength=graph.groups)
        self._covered = np.zeros(graph.groups)
        for row in group[admission.pins].tolist():
            self.cover(row)
        # Waiting rows by group, the best of each last, as places in the order of scores.
        self._waiting: dict[int, list[int]] = {}
        for place in range(len(others) - 1, -1, -1):
            self._waiting.setdefault(int(group[others[place]]), []).append(place)

    def gain(self, group: int) -> float:
        """What a row of the group would add."""
        from deita_core.selection.strategies.edges_kernel import gain_of

        state = (self._rows, self._covered)
        return round(gain_of(group, self._threshold, *self._edges, *state), DECIMALS)

    def cover(self, group: int) -> None:
        """Takes a row of the group in."""
        from deita_core.selection.strategies.edges_kernel import cover

        cover(group, self._threshold, *self._edges, self._covered)

    def choose_steps(self, admission: Admission) -> Generator[FilterProgress, None, None]:
        """Asks for one row after the other, the one that adds most first."""
        gains = yield from self._bounds_steps(len(admission.others))
        heap = [(-gains[g], places[-1], g) for g, places in self._waiting.items()]
        heapq.heapify(heap)
        known_at = dict.fromkeys(self._waiting, -1)
        taken = asked = 0
        while heap:
            loss, place, group = heap[0]
            if loss < 0 and known_at[group] != taken:
                known_at[group] = taken
                heapq.heapreplace(heap, (-self.gain(group), place, group))
                continue
            is_in = admission.take(int(admission.others[place]))
            if is_in is None:
                break
            if is_in:
                self.cover(group)
                taken += 1
            self._next_of_group(heap)
            asked += 1
            if asked % _STEP == 0:
                yield FilterProgress(asked, taken, len(admission.others))

    def _next_of_group(self, heap: list[tuple[float, int, int]]) -> None:
        """Puts the next row of the top group in the place of the one just asked for."""
        loss, _, group = heap[0]
        places = self._waiting[group]
        places.pop()
        if places:
            heapq.heapreplace(heap, (loss, places[-1], group))
        else:
            heapq.heappop(heap)

    def _bounds_steps(self, total: int) -> Generator[FilterProgress, None, list[float]]:
        """Gains of all groups at the start, rounded up: none may be below the true one."""
        from deita_core.selection.strategies.edges_kernel import all_gains

        gains = np.zeros(len(self._rows))
        for first in range(0, len(gains), _CHUNK):
            last = min(first + _CHUNK, len(gains))
            state = (self._rows, self._covered, gains)
            all_gains(first, last, self._threshold, *self._edges, *state)
            yield FilterProgress(0, 0, total)
        bounds: list[float] = (gains + 2 * 10.0**-DECIMALS).tolist()
        return bounds
