"""Which rows block which, as the compiled pass reads it.

What a greedy pass carries along and writes down, between NumPy and the compiled kernel.

The greedy pass over rows in a given order, which every order-like strategy ends in.

With a similarity graph it is one walk over edges. Without one, or below its floor, each block of
rows is held against the kept ones by a matrix product, and walks over the pairs inside it.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.progress import FilterProgress, told_as
from deita_core.selection.repr_filter import BLOCK, blocking_pairs, free_of_kept, trace_order_steps
from deita_core.selection.rule_parts import check_budget, check_threshold
from deita_core.selection.status import BELOW_CUT, FILTERED, NEAR_DUPLICATE, SelectionTrace
from deita_core.selection.strategies.protocol import Candidates, Choice
from deita_core.similarity.definition import Tiles, unit_rows
from deita_core.similarity.graph import SimilarityGraph
from deita_core.similarity.nearest import nearest_steps

Rows = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Edges:
    """The graph of a stretch of the order: see `SimilarityGraph` for start to similarity.

    alone: (s,) bool, by position in the stretch: rows without another above the threshold, for
    which nothing has to be looked up. group: (s,) int32, likewise.
    seat: (g,) int32, place in `kept` of the first row kept of a group, or -1.
    """

    alone: NDArray[np.bool_]
    group: NDArray[np.int32]
    start: NDArray[np.int64]
    neighbour: NDArray[np.int32]
    similarity: NDArray[np.float64]
    seat: NDArray[np.int32]

    @staticmethod
    def of_graph(
        graph: SimilarityGraph, order: Rows, closest: NDArray[np.float64], threshold: float
    ) -> Edges:
        """The whole graph, for the whole order; closest: see `closest_similarity`."""
        alone = closest[order] <= threshold
        seat = np.full(graph.groups, -1, np.int32)
        group = graph.group[order]
        return Edges(alone, group, graph.start, graph.neighbour, graph.similarity, seat)

    @staticmethod
    def of_pairs(places: int, first: Rows, second: Rows) -> Edges:
        """A stretch of so many rows in which these pairs of places block each other."""
        ends = np.concatenate((first, second))
        by_end = np.argsort(ends, kind="stable")
        start = np.zeros(places + 1, np.int64)
        np.cumsum(np.bincount(ends, minlength=places), out=start[1:])
        others = np.concatenate((second, first))[by_end].astype(np.int32)
        group = np.arange(places, dtype=np.int32)
        seat = np.full(places, -1, np.int32)
        alone = np.diff(start) == 0
        return Edges(alone, group, start, others, np.ones(len(others)), seat)


NO_EDGES = Edges(
    np.empty(0, np.bool_),
    np.empty(0, np.int32),
    np.zeros(1, np.int64),
    np.empty(0, np.int32),
    np.empty(0),
    np.empty(0, np.int32),
)
NO_HIT = np.empty(0, np.bool_)


def closest_similarity(graph: SimilarityGraph) -> NDArray[np.float64]:
    """Of each place to its most similar other one: (m,) float64, the floor where that is lower."""
    start = np.asarray(graph.start)
    joined = np.flatnonzero(np.diff(start))
    of_groups = np.full(graph.groups, graph.floor)
    of_groups[joined] = graph.similarity[start[joined]]  # a group's edges: most similar first
    of_groups[np.diff(np.asarray(graph.member_start)) > 1] = 1.0
    result = np.full(len(graph), graph.floor)
    there = graph.group >= 0
    result[there] = of_groups[graph.group[there]]
    return result


# One row over the quota of a table without quotas: nothing counts.
_NO_CODES = np.empty((0, 0), np.int32)


class PassState:
    """A pass over `order` (effective: pins where they belong) in the middle of its way."""

    def __init__(self, order: Rows, candidates: Candidates, choice: Choice) -> None:
        count, rows = len(order), len(candidates.row)
        self.order, self.candidates, self.choice = order, candidates, choice
        self.pinned = _pinned(candidates)
        self.in_tokens = choice.budget is not None and choice.budget_unit == "tokens"
        quota = candidates.quota
        needed = self.in_tokens or (quota is not None and bool(quota.by_tokens.any()))
        self.tokens = _tokens(candidates) if needed else np.empty(0, np.int64)
        pins = np.flatnonzero(self.pinned)
        self.codes, self.limit, self.used = _NO_CODES, np.empty(0, np.int64), np.empty(0, np.int64)
        self.by_tokens = np.empty(0, np.bool_)
        if quota is not None:
            self.codes, self.limit, self.by_tokens = quota.codes, quota.limit, quota.by_tokens
            self.used = quota.counting(pins, self.tokens).used
        room = -1
        if choice.budget is not None:
            taken = int(self.tokens[pins].sum()) if self.in_tokens else len(pins)
            room = check_room(taken, choice.budget, choice.budget_unit)
        self.state = np.array([room, 0, -1, len(pins)], np.int64)
        self.fate = np.full(count, BELOW_CUT, np.int8)
        self.places = np.empty(count, np.int64)
        self.blocker = np.full(count, -1, np.int32)
        self.closeness = np.full(count, np.nan, np.float32)
        self.full = np.full(count, -1, np.int16)
        self.rows = rows

    def walk(
        self, first: int, last: int, edges: Edges | None, threshold: float, hit: Any = NO_HIT
    ) -> None:
        """Decide about order[first:last]; edges None: no row blocks another."""
        from deita_core.selection.pass_kernel import walk

        given = NO_EDGES if edges is None else edges
        walk(
            first,
            last,
            _fixed(self.order, np.int64),
            _fixed(self.pinned, np.bool_),
            self.in_tokens,
            _fixed(self.tokens, np.int64),
            _fixed(self.codes, np.int32),
            _fixed(self.limit, np.int64),
            self.used,
            _fixed(self.by_tokens, np.bool_),
            edges is not None,
            _fixed(hit, np.bool_),
            _fixed(given.alone, np.bool_),
            _fixed(given.group, np.int32),
            _fixed(given.start, np.int64),
            _fixed(given.neighbour, np.int32),
            _fixed(given.similarity, np.float64),
            threshold,
            given.seat,
            self.state,
            self.fate,
            self.places,
            self.blocker,
            self.closeness,
            self.full,
        )

    @property
    def kept_places(self) -> Rows:
        """(k,) int64, positions in the order of the rows kept so far."""
        return self.places[: self.state[1]]

    @property
    def visited(self) -> int:
        """Rows of the order before the budget ended the pass."""
        ended = int(self.state[2])
        return len(self.order) if ended < 0 else ended

    @property
    def ended(self) -> bool:
        """True once the budget is filled: only pins may still come."""
        return bool(self.state[2] >= 0)

    @property
    def pins_left(self) -> int:
        """Pins still to come."""
        return int(self.state[3])

    def over_quota(self, rows: Rows) -> NDArray[np.bool_]:
        """Rows for which a quota has no room any more: (k,) bool."""
        codes = self.codes[rows] if self.codes.shape[1] else np.empty((len(rows), 0), np.int32)
        amount = np.ones(codes.shape, np.int64)
        if self.by_tokens.any():
            amount = np.where(self.by_tokens[codes], self.tokens[rows][:, None], 1)
        no_room = (codes >= 0) & (self.used[codes] + amount > self.limit[codes])
        full: NDArray[np.bool_] = np.any(no_room, axis=1)
        return full

    def progress(self, visited: int, explained: int = 0) -> FilterProgress:
        """How far the pass is."""
        return FilterProgress(visited, int(self.state[1]), len(self.order), explained)

    def trace(self) -> SelectionTrace:
        """What was decided, by row of the candidates."""
        order, kept = self.order, self.order[self.kept_places]
        status = np.full(self.rows, FILTERED, np.int8)
        status[order] = self.fate
        rank = np.zeros(self.rows, np.int32)
        rank[order] = np.arange(1, len(order) + 1, dtype=np.int32)
        near = np.flatnonzero(self.fate == NEAR_DUPLICATE)
        blocker = np.full(self.rows, -1, np.int32)
        blocker[order[near]] = kept[self.blocker[near]]
        similarity = np.full(self.rows, np.nan, np.float32)
        similarity[order[near]] = self.closeness[near]
        quota = None
        if self.codes.shape[1]:
            quota = np.full(self.rows, -1, np.int16)
            quota[order] = self.full
        # With a budget in rows the count decides, also where the pool ended with the budget.
        ended = self.ended or int(self.state[0]) == 0
        budget = self.choice.budget
        return SelectionTrace(
            kept,
            status,
            rank,
            blocker,
            similarity,
            self.visited,
            budget,
            self.in_tokens,
            quota,
            ended,
        )


def check_room(taken: int, budget: int, unit: str) -> int:
    """What is left of the budget after the pins; SelectionError when they do not fit."""
    if taken > budget:
        raise SelectionError(
            f"the pinned conversations take {taken:,} {unit}, but the budget is {budget:,}: raise "
            "the budget, or take pins out"
        )
    return budget - taken


def _pinned(candidates: Candidates) -> NDArray[np.bool_]:
    if candidates.pinned is None:
        return np.zeros(len(candidates.row), np.bool_)
    return candidates.pinned


def _tokens(candidates: Candidates) -> NDArray[np.int64]:
    if candidates.tokens is None:
        raise SelectionError("a budget or quota in tokens needs the tokens of every row")
    return candidates.tokens.astype(np.int64)


def _fixed(array: NDArray[Any], dtype: Any) -> NDArray[Any]:
    """The array as a read-only view: then memory maps and arrays share one compiled kernel."""
    view = np.ascontiguousarray(array, dtype).view(np.ndarray)
    view.flags.writeable = False
    return view


def pass_steps(
    order: Rows,
    candidates: Candidates,
    choice: Choice,
    *,
    threshold: float | None,
) -> Generator[FilterProgress, None, SelectionTrace]:
    """Keeps rows in the order given, unless one is too close to a row kept before it.

    order: (k,) int64, eligible rows of `candidates`, each at most once; pinned rows that are not
    in it come last. threshold: cosine similarity in [-1, 1]; None: no row blocks another.

    A pinned row is kept whatever else holds, and room is kept for it in the budget and in the
    quotas: "first" puts pins before all others, "rank" where the order has them. A row whose
    quota is full is over quota and blocks nobody; after that, one too similar to a kept row is a
    near-duplicate. The pass ends when the budget in rows is full, or at the first row that would
    go over the budget in tokens; then only pins are still kept.

    Returns the trace, numbered like `candidates`: the same with or without a graph. Raises
    SelectionError when the pins do not fit into the budget.
    """
    bound = 1.0 if threshold is None else check_threshold(threshold)
    check_budget(choice.budget)
    order = order_with_pins(order, candidates, choice)
    graph = candidates.graph
    read_graph = bound < 1.0 and graph is not None and graph.serves(bound)
    if not read_graph and _is_plain(candidates, choice):
        return (yield from trace_order_steps(candidates.vectors, order, bound, choice.budget))
    state = PassState(order, candidates, choice)
    if bound < 1.0 and not read_graph:
        return (yield from _blocked_steps(state, bound))
    edges = None
    if read_graph and graph is not None:
        closest = candidates.closest
        closest = closest_similarity(graph) if closest is None else closest
        edges = Edges.of_graph(graph, order, closest, bound)
    state.walk(0, len(order), edges, bound)
    trace = state.trace()
    yield state.progress(state.visited, trace.count(NEAR_DUPLICATE))
    return trace


def order_with_pins(order: Rows, candidates: Candidates, choice: Choice) -> Rows:
    """The order in which the rows are visited, with every pinned row where it belongs."""
    pinned = candidates.pinned
    if pinned is None or not pinned.any():
        return order
    missing = pinned.copy()
    missing[order] = False
    order = np.concatenate((order, np.flatnonzero(missing)))
    if choice.pin_place == "rank":
        return order
    is_pin = pinned[order]
    return np.concatenate((order[is_pin], order[~is_pin]))


def _is_plain(candidates: Candidates, choice: Choice) -> bool:
    """True when nothing but the threshold and a budget in rows is in play."""
    pins = candidates.pinned is not None and bool(candidates.pinned.any())
    tokens = choice.budget is not None and choice.budget_unit == "tokens"
    return not (pins or tokens or candidates.quota is not None)


def _blocked_steps(
    state: PassState, threshold: float, block: int = BLOCK
) -> Generator[FilterProgress, None, SelectionTrace]:
    vectors, total = state.candidates.vectors, len(state.order)
    tiles = Tiles(vectors)
    for first in range(0, total, block):
        last = min(first + block, total)
        rows = state.order[first:last]
        hit, edges, units = _block_edges(state, rows, tiles, threshold)
        before = len(state.kept_places)
        state.walk(first, last, edges, threshold, hit)
        new = state.kept_places[before:] - first
        tiles.add(rows[new], units[new])
        yield state.progress(state.visited if state.ended else last)
        if state.ended:
            if state.pins_left:  # they are kept whatever they are like
                state.walk(last, total, None, threshold)
            break
    return (yield from _explained_steps(state))


def _block_edges(
    state: PassState, rows: Rows, tiles: Tiles, threshold: float
) -> tuple[NDArray[np.bool_], Edges, NDArray[np.float32]]:
    """Which rows of a block a kept row blocks, which pairs in it block each other, unit rows."""
    vectors = state.candidates.vectors
    pinned = state.pinned[rows]
    units = unit_rows(vectors, rows).astype(np.float32)
    asked = np.flatnonzero(~pinned & ~state.over_quota(rows))
    free = asked[free_of_kept(vectors, rows[asked], units[asked], tiles, threshold)]
    hit = np.zeros(len(rows), np.bool_)
    hit[asked] = True
    hit[free] = False
    live = np.sort(np.concatenate((free, np.flatnonzero(pinned))))
    one, other = blocking_pairs(vectors, rows[live], units[live], threshold)
    return hit, Edges.of_pairs(len(rows), live[one], live[other]), units


def _explained_steps(state: PassState) -> Generator[FilterProgress, None, SelectionTrace]:
    """The trace, with blockers looked for now that all kept rows are known."""
    near = np.flatnonzero(state.fate == NEAR_DUPLICATE)
    kept = state.kept_places
    # A row is held against the rows kept before it.
    limits = np.searchsorted(kept, near)
    steps = nearest_steps(
        state.candidates.vectors, state.order[near], state.order[kept], limits=limits
    )
    found = yield from told_as(steps, lambda explained: state.progress(state.visited, explained))
    state.blocker[near] = found.place
    state.closeness[near] = found.similarity
    return state.trace()
