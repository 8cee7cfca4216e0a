"""NeMo Curator's semantic deduplication, so that its users can replay what they know."""

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


class NemoCuratorStrategy:
    """The semantic deduplication of NVIDIA NeMo Curator, with its default which_to_keep="hard".

    It is SemDeDup with two differences: a similarity of exactly 1 - eps makes a duplicate too
    (score >= 1 - eps), and of rows equally far from the centroid the one with the higher id comes
    first (here: the higher row number). eps = 1 - threshold. "hard" keeps the row farthest from
    the centroid; "easy" and "random" are not offered. NeMo Curator ends with the rows to remove;
    the rest is then taken from the highest evol score down to the budget. There, with eps of 1 or
    more, every row is removed; here the first row of each cluster always stays.
    """

    name = "nemo_curator"
    label = "NeMo Curator"
    phrase = "by NeMo Curator's convention"
    source = (
        'Semantic deduplication of NVIDIA NeMo Curator, which_to_keep "hard": within each '
        "cluster, a row with similarity of 1 - eps or more to one farther from the centroid is "
        "dropped (eps is 1 - threshold); then the highest evol scores."
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
        lists = outermost_first(candidates, last_on_ties=True)
        twins = yield from nearest_before_steps(candidates, lists, choice.threshold)
        dropped = twins.similarity >= choice.threshold  # False where NaN
        return (yield from best_of_rest_steps(candidates, choice, twins, dropped))
