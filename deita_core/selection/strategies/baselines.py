"""Seeded random rows: the baseline that every selection is held against.

The longest responses: a baseline that is hard to beat.

The longest instructions: length as a stand-in for complexity.

The highest evol scores, whatever their likeness.
"""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.progress import FilterProgress
from deita_core.selection.candidates import Candidates, Limits
from deita_core.selection.evol import from_highest
from deita_core.selection.greedy import pass_steps
from deita_core.selection.status import SelectionTrace


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


class RandomStrategy:
    """Chance alone."""

    name = "random"
    label = "Random"
    phrase = "at random"
    source = "Seeded random rows: the baseline of every comparison of selections."
    uses_threshold = False
    uses_score = False
    needs_graph = False
    needs_clusters = False
    duplicate_of = ""

    def steps(
        self, candidates: Candidates, limits: Limits
    ) -> Generator[FilterProgress, None, SelectionTrace]:
        """See `Strategy.steps`."""
        eligible = np.flatnonzero(candidates.eligible)
        order = eligible[random_order(candidates.rows[eligible], limits.seed)]
        return (yield from pass_steps(order, candidates, limits, threshold=None))


class LongestResponseStrategy:
    """Response length alone: characters of all responses of a conversation, added up over its
    turns (the paper counts tokens). Ties go to the lower row number.
    """

    name = "longest_response"
    label = "Longest response"
    phrase = "by longest response"
    source = (
        "Zhao et al., Long Is More for Alignment (arXiv 2402.04833), and the response length "
        "baseline of Deita (arXiv 2312.15685): most characters in the responses of all turns."
    )
    uses_threshold = False
    uses_score = False
    needs_graph = False
    needs_clusters = False
    duplicate_of = ""

    def steps(
        self, candidates: Candidates, limits: Limits
    ) -> Generator[FilterProgress, None, SelectionTrace]:
        """See `Strategy.steps`."""
        order = longest_first(candidates, candidates.table.response_characters, "response")
        return (yield from pass_steps(order, candidates, limits, threshold=None))


def longest_first(
    candidates: Candidates, characters: NDArray[np.integer] | None, what: str
) -> NDArray[np.int64]:
    """Eligible places by these characters (n,) from most to least, ties by number: (k,) int64."""
    if characters is None:
        raise SelectionError(
            f"the strategy needs the characters of each row's {what}: give "
            f"{what}_characters with the table"
        )
    places = np.flatnonzero(candidates.eligible)
    return places[from_highest(characters[candidates.rows[places]].astype(np.float64))]


class LongestInstructionStrategy:
    """Instruction length alone: characters of all instructions of a conversation, added up over
    its turns. Ties go to the lower row number.
    """

    name = "longest_instruction"
    label = "Longest instruction"
    phrase = "by longest instruction"
    source = (
        "The instruction length baseline of Deita (arXiv 2312.15685): most characters in the "
        "instructions of all turns."
    )
    uses_threshold = False
    uses_score = False
    needs_graph = False
    needs_clusters = False
    duplicate_of = ""

    def steps(
        self, candidates: Candidates, limits: Limits
    ) -> Generator[FilterProgress, None, SelectionTrace]:
        """See `Strategy.steps`."""
        order = longest_first(candidates, candidates.table.instruction_characters, "instruction")
        return (yield from pass_steps(order, candidates, limits, threshold=None))


class TopScoreStrategy:
    """Score alone."""

    name = "top_score"
    label = "Top score"
    phrase = "by top score"
    source = (
        "The highest evol scores with no regard to diversity: what the Repr Filter is compared "
        "with in Deita (arXiv 2312.15685)."
    )
    uses_threshold = False
    uses_score = True
    needs_graph = False
    needs_clusters = False
    duplicate_of = ""

    def steps(
        self, candidates: Candidates, limits: Limits
    ) -> Generator[FilterProgress, None, SelectionTrace]:
        """See `Strategy.steps`."""
        return (yield from pass_steps(candidates.best_first(), candidates, limits, threshold=None))
