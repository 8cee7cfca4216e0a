"""SemDeDup: near-duplicates are dropped cluster by cluster, then the best of the rest is taken."""

from __future__ import annotations

from collections.abc import Generator

from deita_core.selection.progress import FilterProgress
from deita_core.selection.status import SelectionTrace
from deita_core.selection.strategies.dropped import (
    best_of_rest_steps,
    nearest_before_steps,
    outermost_first,
)
from deita_core.selection.strategies.protocol import Candidates, Choice


class SemDeDupStrategy:
    """Semantic deduplication within clusters.

    As in the paper's pseudo-code and its published program (eps = 1 - threshold): the rows of a
    cluster are put in the order of their similarity to its centroid, lowest first, so that of
    near-duplicates the least typical one stays; a row is dropped when its similarity to *any* row
    before it is greater than 1 - eps, even to one that was dropped itself. Ties go by row number.
    The paper stops here; the rows left are then taken from the highest evol score down to the
    budget. Rows of different clusters are never compared, and a row in no cluster is never
    dropped. Pinned rows come first in their cluster.
    """

    name = "semdedup"
    label = "SemDeDup"
    phrase = "by SemDeDup"
    source = (
        "Abbas et al. (arXiv 2303.09540): within each cluster, a row closer than 1 - eps to one "
        "that is less like the cluster's centroid is dropped (eps is 1 - threshold); then the "
        "highest evol scores."
    )
    uses_threshold = True
    uses_score = True
    needs_graph = False
    needs_clusters = True
    duplicate_of = "another one of their cluster"

    def steps(
        self, candidates: Candidates, choice: Choice
    ) -> Generator[FilterProgress, None, SelectionTrace]:
        """See `Strategy.steps`. Raises SelectionError when there are no clusters."""
        lists = outermost_first(candidates, last_on_ties=False)
        twins = yield from nearest_before_steps(candidates, lists, choice.threshold)
        dropped = twins.similarity > choice.threshold  # False where NaN
        return (yield from best_of_rest_steps(candidates, choice, twins, dropped))
