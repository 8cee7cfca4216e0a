"""The highest evol scores, whatever their likeness."""

from __future__ import annotations

from collections.abc import Generator

from deita_core.selection.progress import FilterProgress
from deita_core.selection.repr_filter import score_order
from deita_core.selection.status import SelectionTrace, trace_of_order
from deita_core.selection.strategies.protocol import Candidates, Choice


class TopScoreStrategy:
    """Score alone."""

    name = "top_score"
    label = "Top score"
    source = (
        "The highest evol scores with no regard to diversity: what the Repr Filter is compared "
        "with in Deita (arXiv 2312.15685)."
    )
    uses_threshold = False

    def steps(
        self, candidates: Candidates, choice: Choice
    ) -> Generator[FilterProgress, None, SelectionTrace]:
        """See `Strategy.steps`."""
        order = score_order(candidates.scores, candidates.eligible)
        kept = order[: choice.budget].copy()
        yield FilterProgress(len(kept), len(kept), len(order))
        return trace_of_order(order, kept, len(kept), len(candidates.row), choice.budget)
