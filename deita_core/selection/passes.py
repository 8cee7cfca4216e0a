"""The greedy pass over rows in a given order, which every order-like strategy ends in.

With a similarity graph it is one walk over edges. Without one, or below its floor, each block of
rows is held against the kept ones by a matrix product, and walks over the pairs inside it.
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray

from deita_core.geometry.similarity import Tiles, unit_rows
from deita_core.selection.checks import check_budget, check_threshold
from deita_core.selection.nearest import nearest_steps
from deita_core.selection.pass_edges import Edges, closest_similarity
from deita_core.selection.pass_state import PassState
from deita_core.selection.progress import FilterProgress
from deita_core.selection.repr_filter import (
    BLOCK,
    blocking_pairs,
    free_of_kept,
    trace_order_steps,
)
from deita_core.selection.status import NEAR_DUPLICATE, SelectionTrace
from deita_core.selection.strategies.protocol import Candidates, Choice
from deita_core.stepwise import told_as

Rows = NDArray[np.int64]


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
