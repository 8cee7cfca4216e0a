"""The greedy pass over rows in a given order, in which every strategy ends, and the strategies
that are this pass alone: by score, at random, or by length.

Rows are visited in the order; one is kept unless a row kept before it is too similar, a quota of
it is full, or the budget is. Which rows block which comes from the similarity graph where it
reaches down to the threshold, for the whole order at once; else block by block, each held against
the rows kept so far by a matrix product. The pass and its result are the same.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator
from functools import partial

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.progress import FilterProgress, told_as
from deita_core.selection import status as st
from deita_core.selection.candidates import Blockers, Candidates, Decisions, Limits, Steps, Strategy
from deita_core.selection.evol import from_highest
from deita_core.similarity.definition import Tiles, cosines, pair_cosines, screen_margin, unit_rows
from deita_core.similarity.graph import SimilarityGraph
from deita_core.similarity.nearest import nearest_steps

BLOCK = 1024

Floats = NDArray[np.floating]
Places = NDArray[np.int64]


def pass_steps(
    order: Places,
    candidates: Candidates,
    limits: Limits,
    *,
    threshold: float | None,
    explain: bool = True,
    block: int = BLOCK,
) -> Generator[FilterProgress, None, st.SelectionTrace]:
    """Keeps rows in the order given, unless one is too close to a row kept before it.

    order: (k,) int64, eligible places of `candidates`, each at most once; pinned rows that are
    not in it come last. threshold: cosine similarity in [-1, 1]; None: no row blocks another.
    explain: without a graph the blockers are looked for by a search of their own after the pass.

    A pinned row is kept whatever else holds, and room is kept for it in the budget and in the
    quotas: "first" puts pins before all others, "rank" where the order has them. A row whose
    quota is full is over quota and blocks nobody; after that, one too similar to a kept row is a
    near-duplicate. The pass ends when the budget in rows is full, or at the first row that would
    go over the budget in tokens; then only pins are still kept.

    Returns the trace, by place like `candidates`: the same with or without a graph.
    """
    bound = 1.0 if threshold is None else threshold
    graph = candidates.table.graph
    order = _with_pins(order, candidates, limits)
    greedy = _GreedyPass(order, candidates)
    by_blocks = False
    if bound >= 1.0:  # no similarity is greater than 1
        stretches = iter([(len(order), Blockers.none())])
    elif graph is not None and graph.serves(bound):
        stretches = iter([(len(order), _graph_blockers(graph, order, candidates, bound))])
    else:
        by_blocks = True
        stretches = _block_stretches(greedy, bound, block)
    first = 0
    for last, blockers in stretches:
        greedy.decide(first, last, blockers)
        yield greedy.progress(last, 0 if by_blocks else len(greedy.near_duplicates))
        first = last
        if greedy.ended:
            if greedy.decisions.state[2]:  # pins left: they are kept whatever they are like
                greedy.decide(last, len(order), Blockers.none())
            break
    if by_blocks and explain:
        yield from _explain_steps(greedy)
    return greedy.trace(limits)


def _with_pins(order: Places, candidates: Candidates, limits: Limits) -> Places:
    """The order in which the rows are visited, with every pinned row where it belongs."""
    pinned = candidates.pinned
    if not pinned.any():
        return order
    missing = pinned.copy()
    missing[order] = False
    order = np.concatenate((order, np.flatnonzero(missing)))
    if limits.pin_place == "rank":
        return order
    is_pin = pinned[order]
    return np.concatenate((order[is_pin], order[~is_pin]))


class _GreedyPass:
    """A pass over `order` in the middle of its way."""

    def __init__(self, order: Places, candidates: Candidates) -> None:
        count = len(order)
        self.order, self.candidates = np.ascontiguousarray(order, np.int64), candidates
        self.ledger = candidates.ledger.copy()
        self.decisions = Decisions(
            status=np.full(count, st.BELOW_CUT, np.int8),
            kept=np.empty(count, np.int64),
            blocker=np.full(count, -1, np.int32),
            similarity=np.full(count, np.nan, np.float32),
            quota=np.full(count, -1, np.int16),
            state=np.array([0, -1, np.count_nonzero(candidates.pinned)], np.int64),
        )

    def decide(self, first: int, last: int, blockers: Blockers) -> None:
        """Decide about order[first:last]."""
        from deita_core.selection.pass_kernel import walk

        rows, pinned = self.candidates.rows, self.candidates.pinned
        walk(first, last, self.order, rows, pinned, self.ledger, blockers, self.decisions)

    @property
    def kept(self) -> Places:
        """Positions in the order of the rows kept so far: (k,) int64."""
        return self.decisions.kept[: self.decisions.state[0]]

    @property
    def ended(self) -> bool:
        """True once the budget is filled: only pins may still come."""
        return bool(self.decisions.state[1] >= 0)

    @property
    def near_duplicates(self) -> Places:
        """Positions in the order of the near-duplicates found so far, ascending."""
        return np.flatnonzero(self.decisions.status == st.NEAR_DUPLICATE)

    def progress(self, visited: int, explained: int = 0) -> FilterProgress:
        """How far the pass is."""
        visited = int(self.decisions.state[1]) if self.ended else visited
        return FilterProgress(visited, len(self.kept), len(self.order), explained)

    def trace(self, limits: Limits) -> st.SelectionTrace:
        """What was decided, by place of the candidates."""
        order, decisions, total = self.order, self.decisions, len(self.candidates.eligible)
        kept = order[self.kept]
        near = np.flatnonzero(decisions.blocker >= 0)
        blocker = kept[decisions.blocker[near]].astype(np.int32)
        has_quotas = self.ledger.codes.shape[1] > 0
        return st.SelectionTrace(
            kept=kept,
            status=st.scattered(decisions.status, order, total, st.FILTERED),
            rank=st.scattered(np.arange(1, len(order) + 1, dtype=np.int32), order, total, 0),
            blocker=st.scattered(blocker, order[near], total, -1),
            similarity=st.scattered(decisions.similarity[near], order[near], total, np.nan),
            rank_reached=self.progress(len(order)).visited,
            budget=limits.budget,
            by_tokens=self.ledger.in_tokens,
            quota=st.scattered(decisions.quota, order, total, -1) if has_quotas else None,
            # A budget that the last row of all filled is filled too.
            filled=self.ended or self.ledger.room[0] == 0,
        )


def _graph_blockers(
    graph: SimilarityGraph, order: Places, candidates: Candidates, threshold: float
) -> Blockers:
    """The whole graph, for the whole order."""
    closest = candidates.table.remember("closest", lambda: _closest_similarity(graph))
    return Blockers(
        known=np.empty(0, np.bool_),
        alone=closest[order] <= threshold,
        group=np.asarray(graph.group)[order],
        edges=graph.edges(),
        seat=np.full(graph.groups, -1, np.int32),
        threshold=threshold,
    )


def _closest_similarity(graph: SimilarityGraph) -> NDArray[np.float64]:
    """Of each place to its most similar other one: (m,) float64, the floor where that is lower."""
    of_groups = graph.nearest()
    of_groups[np.diff(np.asarray(graph.member_start)) > 1] = 1.0
    result = np.full(len(graph), graph.floor)
    there = graph.group >= 0
    result[there] = of_groups[graph.group[there]]
    return result


def _block_stretches(
    greedy: _GreedyPass, threshold: float, block: int
) -> Iterator[tuple[int, Blockers]]:
    """The order block by block: where each ends, and what blocks what in it."""
    from deita_core.selection.pass_kernel import over_quota

    candidates, ledger = greedy.candidates, greedy.ledger
    vectors = candidates.table.vectors
    tiles = Tiles(vectors)
    for first in range(0, len(greedy.order), block):
        places = greedy.order[first : first + block]
        units = unit_rows(vectors, places).astype(np.float32)
        pinned = candidates.pinned[places]
        asked = np.flatnonzero(~pinned & ~over_quota(candidates.rows[places], ledger))
        free = asked[_free_of_kept(vectors, places[asked], units[asked], tiles, threshold)]
        known = np.zeros(len(places), np.bool_)
        known[asked] = True
        known[free] = False
        live = np.sort(np.concatenate((free, np.flatnonzero(pinned))))
        one, other = _blocking_pairs(vectors, places[live], units[live], threshold)
        before = len(greedy.kept)
        yield first + len(places), Blockers.of_pairs(known, live[one], live[other])
        new = greedy.kept[before:] - first
        tiles.add(places[new], units[new])


def _free_of_kept(
    vectors: Floats, places: Places, units: NDArray[np.float32], tiles: Tiles, threshold: float
) -> Places:
    """Positions in the block that no kept row blocks, ascending."""
    margin = screen_margin(units.shape[1])
    free = np.arange(len(places))
    for tile_rows, tile_units in tiles:
        near = units[free] @ tile_units.T
        highest = near.max(axis=1)
        blocked = highest > threshold + margin
        unsure = np.flatnonzero(~blocked & (highest >= threshold - margin))
        if len(unsure):
            rivals = np.flatnonzero((near[unsure] >= threshold - margin).any(axis=0))
            exact = cosines(vectors, places[free[unsure]], tile_rows[rivals])
            blocked[unsure] = (exact > threshold).any(axis=1)
        free = free[~blocked]
        if not len(free):
            break
    return free


def _blocking_pairs(
    vectors: Floats, places: Places, units: NDArray[np.float32], threshold: float
) -> tuple[Places, Places]:
    """Positions (first, second) in the block, first < second, of rows too close to each other.

    Sorted by first. Most rows have no such partner, so pairs are looked for only in those rows
    of the product whose highest value is near the threshold.
    """
    margin = screen_margin(units.shape[1])
    near = units @ units.T
    near[np.diag_indices(len(near))] = -2.0  # a row does not block itself
    close = np.flatnonzero(near.max(axis=1, initial=-2.0) >= threshold - margin)
    first, second = np.nonzero(near[close] >= threshold - margin)
    first = close[first]
    ahead = first < second
    first, second = first[ahead], second[ahead]
    similarity = near[first, second].astype(np.float64)
    unsure = np.flatnonzero(similarity <= threshold + margin)
    similarity[unsure] = pair_cosines(vectors, places[first[unsure]], places[second[unsure]])
    over = similarity > threshold
    return first[over], second[over]


def _explain_steps(greedy: _GreedyPass) -> Generator[FilterProgress, None, None]:
    """Finds the most similar kept row of each near-duplicate, now that all kept rows are known."""
    decisions, kept, order = greedy.decisions, greedy.kept, greedy.order
    near, vectors = greedy.near_duplicates, greedy.candidates.table.vectors
    # A row is held against the rows kept before it.
    limits = np.searchsorted(kept, near)
    search = nearest_steps(vectors, order[near], order[kept], limits=limits)
    found = yield from told_as(search, lambda done: greedy.progress(len(order), done))
    decisions.blocker[near] = found.place
    decisions.similarity[near] = found.similarity


def _repr_filter_steps(candidates: Candidates, limits: Limits) -> Steps:
    order, threshold = candidates.best_first(), limits.threshold
    return pass_steps(order, candidates, limits, threshold=threshold)


REPR_FILTER = Strategy(
    name="repr_filter",
    label="Repr Filter",
    phrase="by the Repr Filter",
    source=(
        "Deita (arXiv 2312.15685): from the highest evol score down, a row is kept unless it is "
        "too similar to one kept before."
    ),
    steps=_repr_filter_steps,
    uses_threshold=True,
    uses_score=True,
    duplicate_of="a better one",
)


def _top_score_steps(candidates: Candidates, limits: Limits) -> Steps:
    return (yield from pass_steps(candidates.best_first(), candidates, limits, threshold=None))


TOP_SCORE = Strategy(
    name="top_score",
    label="Top score",
    phrase="by top score",
    source=(
        "The highest evol scores with no regard to diversity: what the Repr Filter is compared "
        "with in Deita (arXiv 2312.15685)."
    ),
    steps=_top_score_steps,
    uses_score=True,
)


def random_order(rows: NDArray[np.integer], seed: int) -> NDArray[np.int64]:
    """Places in `rows` in a random order: (m,) int64.

    A row's lot depends on its number and the seed alone, so the order of two rows stays the same
    when others come or go, and in every version of NumPy. The lot is SplitMix64 (Steele, Lea,
    Flood: Fast Splittable Pseudorandom Number Generators, OOPSLA 2014) of the row's number.
    """
    with np.errstate(over="ignore"):
        start = _mix(np.array([seed], np.uint64) + np.uint64(0x9E3779B97F4A7C15))
        lots = _mix(start + (rows.astype(np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15))
    return np.argsort(lots, kind="stable")


def _mix(state: NDArray[np.uint64]) -> NDArray[np.uint64]:
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


def _random_steps(candidates: Candidates, limits: Limits) -> Steps:
    eligible = np.flatnonzero(candidates.eligible)
    order = eligible[random_order(candidates.rows[eligible], limits.seed)]
    return (yield from pass_steps(order, candidates, limits, threshold=None))


RANDOM = Strategy(
    name="random",
    label="Random",
    phrase="at random",
    source="Seeded random rows: the baseline of every comparison of selections.",
    steps=_random_steps,
)


def _longest_steps(what: str, candidates: Candidates, limits: Limits) -> Steps:
    """Characters of `what`, added up over the turns (the paper counts tokens); ties go to the
    lower row number.
    """
    characters = getattr(candidates.table, f"{what}_characters")
    if characters is None:
        raise SelectionError(
            f"the strategy needs the characters of each row's {what}: give "
            f"{what}_characters with the table"
        )
    places = np.flatnonzero(candidates.eligible)
    order = places[from_highest(characters[candidates.rows[places]].astype(np.float64))]
    return (yield from pass_steps(order, candidates, limits, threshold=None))


LONGEST_RESPONSE = Strategy(
    name="longest_response",
    label="Longest response",
    phrase="by longest response",
    source=(
        "Zhao et al., Long Is More for Alignment (arXiv 2402.04833), and the response length "
        "baseline of Deita (arXiv 2312.15685): most characters in the responses of all turns."
    ),
    steps=partial(_longest_steps, "response"),
)


LONGEST_INSTRUCTION = Strategy(
    name="longest_instruction",
    label="Longest instruction",
    phrase="by longest instruction",
    source=(
        "The instruction length baseline of Deita (arXiv 2312.15685): most characters in the "
        "instructions of all turns."
    ),
    steps=partial(_longest_steps, "instruction"),
)
