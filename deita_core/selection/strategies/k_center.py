"""K-center greedy: every row of the pool shall have a selected row near it."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray

from deita_core.selection.farthest import farthest_steps
from deita_core.selection.passes import pass_steps
from deita_core.selection.progress import FilterProgress
from deita_core.selection.status import SelectionTrace
from deita_core.selection.strategies.admission import Admission
from deita_core.selection.strategies.protocol import Candidates, Choice


class KCenterStrategy:
    """Farthest first.

    Each row selected is the one least similar to all rows selected before it; ties go to the
    lower row number. Distance is cosine distance: on unit vectors it orders rows as Euclidean
    distance does. Pinned rows are the first centres; without any, the row with the highest evol
    score is (the paper starts from a set labelled before). Where the budget has room for every
    row there is nothing to choose, and the rows come in the order of their scores.
    """

    name = "k_center"
    label = "K-center greedy"
    phrase = "by k-center greedy"
    source = (
        "Sener and Savarese (arXiv 1708.00489): always the row farthest from all rows selected so "
        "far, so that every row of the pool ends up near a selected one. Scores only choose the "
        "first row."
    )
    uses_threshold = False
    uses_score = False
    needs_graph = False
    needs_clusters = False
    duplicate_of = ""

    def steps(
        self, candidates: Candidates, choice: Choice
    ) -> Generator[FilterProgress, None, SelectionTrace]:
        """See `Strategy.steps`."""
        admission = Admission(candidates, choice)
        if admission.nothing_to_choose():
            order = candidates.best_first()
            return (yield from pass_steps(order, candidates, choice, threshold=None))
        centres = admission.pins if len(admission.pins) else _first(admission)
        if len(centres):
            others = np.setdiff1d(admission.others, admission.asked)
            yield from farthest_steps(candidates.vectors, others, centres, admission.take)
        return (yield from admission.trace_steps())


def _first(admission: Admission) -> NDArray[np.int64]:
    """The best row that the quotas let in, (1,), or (0,) where the budget has no room for it."""
    for row in admission.others.tolist():
        taken = admission.take(row)
        if taken is None:
            break
        if taken:
            return np.array([row])
    return admission.others[:0]
