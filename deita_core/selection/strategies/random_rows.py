"""Seeded random rows: the baseline that every selection is held against."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray

from deita_core.selection.passes import pass_steps
from deita_core.selection.progress import FilterProgress
from deita_core.selection.status import SelectionTrace
from deita_core.selection.strategies.protocol import Candidates, Choice


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
        self, candidates: Candidates, choice: Choice
    ) -> Generator[FilterProgress, None, SelectionTrace]:
        """See `Strategy.steps`."""
        eligible = np.flatnonzero(candidates.eligible)
        order = eligible[random_order(candidates.row[eligible], choice.seed)]
        return (yield from pass_steps(order, candidates, choice, threshold=None))
