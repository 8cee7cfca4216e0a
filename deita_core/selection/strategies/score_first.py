"""The paper's strategy: the Repr Filter over rows from the highest evol score down."""

from __future__ import annotations

from collections.abc import Generator

from deita_core.progress import FilterProgress
from deita_core.selection.candidates import Candidates, Limits
from deita_core.selection.greedy import pass_steps
from deita_core.selection.status import SelectionTrace


class ReprFilterStrategy:
    """Score first, aware of diversity."""

    name = "repr_filter"
    label = "Repr Filter"
    phrase = "by the Repr Filter"
    source = (
        "Deita (arXiv 2312.15685): from the highest evol score down, a row is kept unless it is "
        "too similar to one kept before."
    )
    uses_threshold = True
    uses_score = True
    needs_graph = False
    needs_clusters = False
    duplicate_of = "a better one"

    def steps(
        self, candidates: Candidates, limits: Limits
    ) -> Generator[FilterProgress, None, SelectionTrace]:
        """See `Strategy.steps`."""
        order = candidates.best_first()
        return (yield from pass_steps(order, candidates, limits, threshold=limits.threshold))
