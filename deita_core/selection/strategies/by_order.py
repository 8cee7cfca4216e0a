"""Strategies that put all rows in an order beforehand: by score, at random, or by length."""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.selection.candidates import Candidates, Limits, Steps, Strategy
from deita_core.selection.evol import from_highest
from deita_core.selection.greedy import pass_steps


def _repr_filter_steps(candidates: Candidates, limits: Limits) -> Steps:
    """Score first, diversity-aware."""
    order = candidates.best_first()
    return (yield from pass_steps(order, candidates, limits, threshold=limits.threshold))


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
    """Score alone."""
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
    """Chance alone."""
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
    """Length alone: characters of all instructions, or all responses, of a conversation, added up
    over its turns (the paper counts tokens). Ties go to the lower row number.
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
