"""The paper's strategy: the Repr Filter over rows from the highest evol score down."""

from __future__ import annotations

from collections.abc import Generator

from deita_core.selection.progress import FilterProgress
from deita_core.selection.repr_filter import score_order, trace_order_steps
from deita_core.selection.status import SelectionTrace
from deita_core.selection.strategies.protocol import Candidates, Choice


class ReprFilterStrategy:
    """Score first, aware of diversity."""

    name = "repr_filter"
    label = "Repr Filter"
    source = (
        "Deita (arXiv 2312.15685): from the highest evol score down, a row is kept unless it is "
        "too similar to one kept before."
    )
    uses_threshold = True

    def steps(
        self, candidates: Candidates, choice: Choice
    ) -> Generator[FilterProgress, None, SelectionTrace]:
        """See `Strategy.steps`."""
        order = score_order(candidates.scores, candidates.eligible)
        return (
            yield from trace_order_steps(candidates.vectors, order, choice.threshold, choice.budget)
        )
