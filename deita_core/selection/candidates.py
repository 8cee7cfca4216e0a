"""What a strategy is, the rows it may select, and the limits it keeps to."""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from deita_core.progress import FilterProgress
from deita_core.selection.evol import from_highest
from deita_core.selection.pass_arrays import Ledger
from deita_core.selection.pool_table import BudgetUnit, PoolTable
from deita_core.selection.status import SelectionTrace

PinPlace = Literal["first", "rank"]


@dataclass(frozen=True, slots=True)
class Candidates:
    """The rows of a pool that may be selected, by place in `table.vectors`: arrays (m,).

    scores: float64, NaN where not eligible, and for a pinned row without a score. eligible: bool,
    rows that may be selected, pinned ones among them; their vectors are finite and not zero.
    pinned: bool, rows that must be selected. ledger: budget and quotas by row of the pool, in
    which the pins count. ranked: int64, all places from the highest score down, ties by place,
    those without one last; None: not known yet.
    """

    table: PoolTable
    scores: NDArray[np.float64]
    eligible: NDArray[np.bool_]
    pinned: NDArray[np.bool_]
    ledger: Ledger
    ranked: NDArray[np.int64] | None = None

    def best_first(self) -> NDArray[np.int64]:
        """Eligible places from the highest score down, ties by place: (k,) int64."""
        ranked = from_highest(self.scores) if self.ranked is None else self.ranked
        order: NDArray[np.int64] = ranked[self.eligible[ranked]]
        return order

    @property
    def rows(self) -> NDArray[np.int64]:
        """The row of the pool of each place."""
        return self.table.vector_rows


@dataclass(frozen=True, slots=True)
class Limits:
    """threshold: cosine similarity in [-1, 1]. seed: >= 0.

    budget: rows or tokens (`budget_unit`), None for no limit. pin_place: "first" or "rank".
    """

    threshold: float
    budget: int | None
    seed: int = 0
    budget_unit: BudgetUnit = "rows"
    pin_place: PinPlace = "first"


Steps = Generator[FilterProgress, None, SelectionTrace]


@dataclass(frozen=True, slots=True)
class Strategy:
    """A way of selecting rows.

    name: for files. label: for people. phrase: for sentences, "300 rows selected by top score".
    source: where it comes from and what it does, in one or two sentences.
    steps: a generator of progress that returns the trace, by place like its candidates.
    uses_threshold: the threshold of the rule changes something. uses_score: scores do more than
    break ties or choose the first row. needs_graph, needs_clusters: SelectionError without them.
    duplicate_of: what its near-duplicates are too close to, e.g. "a better one"; "" without any.
    """

    name: str
    label: str
    phrase: str
    source: str
    steps: Callable[[Candidates, Limits], Steps]
    uses_threshold: bool = False
    uses_score: bool = False
    needs_graph: bool = False
    needs_clusters: bool = False
    duplicate_of: str = ""
