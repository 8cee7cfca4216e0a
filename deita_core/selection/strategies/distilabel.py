"""distilabel's reading of the Repr Filter, so that its users can replay what they know."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray

from deita_core.geometry.graph import SimilarityGraph
from deita_core.selection.nearest import nearest_steps
from deita_core.selection.progress import FilterProgress
from deita_core.selection.status import SelectionTrace
from deita_core.selection.strategies.dropped import Rows, Twins, best_of_rest_steps
from deita_core.selection.strategies.edges import read_only_edges
from deita_core.selection.strategies.protocol import Candidates, Choice
from deita_core.stepwise import told_as


class DistilabelStrategy:
    """`DeitaFiltering` of argilla-io/distilabel.

    A row is held against its nearest neighbour among *all* candidates, not only those kept: it
    stays when their cosine distance is at least diversity_threshold = 1 - threshold. So of two
    twins both are dropped, and distilabel's default of 0.9 (threshold 0.1 here) keeps almost
    nothing. What is left is taken from the highest evol score down to the budget, ties by row
    number. Filters and exclusions come before: their rows are nobody's neighbours.

    distilabel gives rows that lack a score the other score, or 0; here they are not scored and
    so no candidates.
    """

    name = "distilabel"
    label = "distilabel"
    phrase = "by distilabel's convention"
    source = (
        "DeitaFiltering of argilla-io/distilabel: a row too similar to its nearest neighbour in "
        "the whole pool is dropped, and so are both of two twins; then the highest evol scores. "
        "Its diversity_threshold is 1 - threshold."
    )
    uses_threshold = True
    uses_score = True
    needs_graph = False
    needs_clusters = False
    duplicate_of = "another one"

    def steps(
        self, candidates: Candidates, choice: Choice
    ) -> Generator[FilterProgress, None, SelectionTrace]:
        """See `Strategy.steps`. Rows whose nearest neighbour the graph does not know are compared
        with all others.
        """
        rows = np.flatnonzero(candidates.eligible)
        graph, twins, unknown = candidates.graph, Twins.of_none(len(candidates.row)), rows
        if graph is not None:
            twins = _nearest_on_graph(graph, rows)
            unknown = rows[np.isnan(twins.similarity[rows])]
        # Below its floor the graph is silent: at a threshold it serves, silence means far enough.
        if graph is None or not graph.serves(choice.threshold):
            yield from _look_among_all_steps(candidates.vectors, unknown, rows, twins)
        dropped = twins.similarity > choice.threshold  # False where NaN
        return (yield from best_of_rest_steps(candidates, choice, twins, dropped))


def _look_among_all_steps(
    vectors: NDArray[np.floating], unknown: Rows, rows: Rows, twins: Twins
) -> Generator[FilterProgress, None, None]:
    """Writes the nearest of `rows` to each unknown row into `twins`."""
    search = nearest_steps(vectors, unknown, rows, skip_self=True)
    found = yield from told_as(search, lambda done: FilterProgress(done, 0, len(unknown)))
    there = found.place >= 0
    twins.row[unknown[there]] = rows[found.place[there]]
    twins.similarity[unknown] = found.similarity


def _nearest_on_graph(graph: SimilarityGraph, rows: Rows) -> Twins:
    """The nearest neighbour of each row among `rows`, the first of equally similar ones; none
    for rows without one above the graph's floor.
    """
    from deita_core.selection.strategies.edges_kernel import best_edges

    group = np.asarray(graph.group)[rows]
    size = np.bincount(group, minlength=graph.groups)
    by_group = rows[np.argsort(group, kind="stable")]
    start = np.cumsum(size) - size
    first, second = np.full(graph.groups, -1, np.int64), np.full(graph.groups, -1, np.int64)
    first[size > 0] = by_group[start[size > 0]]
    second[size > 1] = by_group[start[size > 1] + 1]
    top, other = np.full(graph.groups, np.nan), np.full(graph.groups, -1, np.int64)
    best_edges(*read_only_edges(graph), first, top, other)
    # A copy of the row has similarity 1; so may have a row of another group, by rounding.
    copy = np.where(first[group] == rows, second[group], first[group])
    copy[size[group] < 2] = -1
    similarity = np.where(copy >= 0, 1.0, top[group])
    away = np.where(top[group] == similarity, other[group], -1)
    lower = np.where((copy >= 0) & (away >= 0), np.minimum(copy, away), np.maximum(copy, away))
    twins = Twins.of_none(len(graph.group))
    twins.row[rows], twins.similarity[rows] = lower, similarity
    return twins
