"""What a strategy is: the one interface behind which all ways of selecting sit."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deita_core.selection.progress import FilterProgress
from deita_core.selection.status import SelectionTrace


@dataclass(frozen=True, slots=True)
class Candidates:
    """The rows of a pool that may be selected, and what a strategy may look at.

    vectors: (m, d) float32, embeddings. scores: (m,) float64, NaN where not eligible.
    eligible: (m,) bool, rows that may be selected; their vectors are finite and not zero.
    row: (m,) int64, numbers of the rows in the pool, ascending.
    """

    vectors: NDArray[np.floating]
    scores: NDArray[np.float64]
    eligible: NDArray[np.bool_]
    row: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Choice:
    """threshold: cosine similarity in [-1, 1]. budget: rows, None for no limit. seed: >= 0."""

    threshold: float
    budget: int | None
    seed: int


class Strategy(Protocol):
    """A way of selecting rows. `name` is for files, `label` for people."""

    @property
    def name(self) -> str: ...

    @property
    def label(self) -> str: ...

    @property
    def source(self) -> str:
        """Where it comes from and what it does, in one or two sentences."""
        ...

    @property
    def uses_threshold(self) -> bool:
        """False when it does not look at similarities."""
        ...

    def steps(
        self, candidates: Candidates, choice: Choice
    ) -> Generator[FilterProgress, None, SelectionTrace]:
        """A generator of progress that returns the trace, numbered like `candidates`."""
        ...
