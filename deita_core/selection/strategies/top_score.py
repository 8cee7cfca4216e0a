"""The highest evol scores, whatever their likeness."""

from __future__ import annotations

from collections.abc import Generator

from deita_core.selection.passes import pass_steps
from deita_core.selection.progress import FilterProgress
from deita_core.selection.status import SelectionTrace
from deita_core.selection.strategies.protocol import Candidates, Choice


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
        self, candidates: Candidates, choice: Choice
    ) -> Generator[FilterProgress, None, SelectionTrace]:
        """See `Strategy.steps`."""
        return (yield from pass_steps(candidates.best_first(), candidates, choice, threshold=None))
