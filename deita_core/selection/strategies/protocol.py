"""What a strategy is: the one interface behind which all ways of selecting sit.

The edges of a similarity graph as compiled functions take them.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deita_core.progress import FilterProgress
from deita_core.selection.evol import from_highest
from deita_core.selection.quotas import QuotaTable
from deita_core.selection.rule_parts import BudgetUnit, PinPlace
from deita_core.selection.status import SelectionTrace
from deita_core.similarity.graph import SimilarityGraph


@dataclass(frozen=True, slots=True)
class Candidates:
    """The rows of a pool that may be selected, and what a strategy may look at.

    vectors: (m, d) float32, embeddings. scores: (m,) float64, NaN where not eligible, and for a
    pinned row without a score.
    eligible: (m,) bool, rows that may be selected, pinned ones among them; their vectors are
    finite and not zero. row: (m,) int64, numbers of the rows in the pool, ascending.
    graph: the similarity graph of `vectors`, its places are their rows; None: there is none.
    tokens, instruction_characters, response_characters: (m,) int32. cluster: (m,) int32, -1 for
    none. None: not known. pinned: (m,) bool, rows that must be selected; None: no row.
    quota: for `pass_steps`. ranked: (m,) int64, all rows from the highest score down, ties by
    number, those without one last; None: not known yet. closest: (m,) float64, similarity to the
    most similar other row, the graph's floor where that is lower; None: not known yet.
    """

    vectors: NDArray[np.floating]
    scores: NDArray[np.float64]
    eligible: NDArray[np.bool_]
    row: NDArray[np.int64]
    graph: SimilarityGraph | None = None
    tokens: NDArray[np.integer] | None = None
    instruction_characters: NDArray[np.integer] | None = None
    response_characters: NDArray[np.integer] | None = None
    cluster: NDArray[np.int32] | None = None
    pinned: NDArray[np.bool_] | None = None
    quota: QuotaTable | None = None
    ranked: NDArray[np.int64] | None = None
    closest: NDArray[np.float64] | None = None

    def best_first(self) -> NDArray[np.int64]:
        """Eligible rows from the highest score down, ties by number: (k,) int64."""
        ranked = self.ranked
        if ranked is None:
            ranked = from_highest(self.scores)
        order: NDArray[np.int64] = ranked[self.eligible[ranked]]
        return order


@dataclass(frozen=True, slots=True)
class Choice:
    """threshold: cosine similarity in [-1, 1]. seed: >= 0.

    budget: rows or tokens (`budget_unit`), None for no limit. pin_place: "first" or "rank".
    """

    threshold: float
    budget: int | None
    seed: int
    budget_unit: BudgetUnit = "rows"
    pin_place: PinPlace = "first"


class Strategy(Protocol):
    """A way of selecting rows. `name` is for files, `label` for people, `phrase` for sentences:
    "300 rows selected by top score".
    """

    @property
    def name(self) -> str: ...

    @property
    def label(self) -> str: ...

    @property
    def phrase(self) -> str: ...

    @property
    def source(self) -> str:
        """Where it comes from and what it does, in one or two sentences."""
        ...

    @property
    def uses_threshold(self) -> bool:
        """False when the threshold of the rule changes nothing."""
        ...

    @property
    def uses_score(self) -> bool:
        """False when scores at most break ties or choose the first row."""
        ...

    @property
    def needs_graph(self) -> bool:
        """True when it raises SelectionError without a similarity graph."""
        ...

    @property
    def needs_clusters(self) -> bool:
        """True when it raises SelectionError without clusters."""
        ...

    @property
    def duplicate_of(self) -> str:
        """What its near-duplicates are too close to, e.g. "a better one"; "" if it has none."""
        ...

    def steps(
        self, candidates: Candidates, choice: Choice
    ) -> Generator[FilterProgress, None, SelectionTrace]:
        """A generator of progress that returns the trace, numbered like `candidates`."""
        ...


Edges = tuple[NDArray[np.int64], NDArray[np.int32], NDArray[np.float64]]


def read_only_edges(graph: SimilarityGraph) -> Edges:
    """start, neighbour and similarity, read-only: arrays in memory and memory maps then share
    one compiled function.
    """
    start, neighbour = np.asarray(graph.start).view(), np.asarray(graph.neighbour).view()
    similarity = np.asarray(graph.similarity).view()
    for array in (start, neighbour, similarity):
        array.flags.writeable = False
    return start, neighbour, similarity
