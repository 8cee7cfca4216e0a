"""Strategies that first drop near-duplicates and then select the best of what is left.

SemDeDup compares rows within clusters, NeMo Curator does nearly the same, distilabel compares
every row with all others: three conventions that their users can replay here.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deita_core.progress import FilterProgress, finish, told_as
from deita_core.selection import status as st
from deita_core.selection.candidates import Candidates, Limits, Steps, Strategy
from deita_core.selection.strategies.greedy import pass_steps
from deita_core.similarity.definition import DECIMALS, unit_rows
from deita_core.similarity.graph import SimilarityGraph
from deita_core.similarity.nearest import nearest_steps

Rows = NDArray[np.int64]
_BLOCK = 4096
_NO_CENTRE = 1e-9


class Twins(NamedTuple):
    """For each of m candidates the row it is held against; arrays (m,).

    row: int64, -1 for none. similarity: float64 in [-1, 1], NaN for none.
    """

    row: Rows
    similarity: NDArray[np.float64]

    @staticmethod
    def of_none(rows: int) -> Twins:
        """No candidate is held against any row yet."""
        return Twins(np.full(rows, -1, np.int64), np.full(rows, np.nan))


def _best_of_rest_steps(
    candidates: Candidates, limits: Limits, twins: Twins, too_close: np.ufunc
) -> Steps:
    """From the highest score down what is not too close to its twin; pinned rows always stay.

    A dropped row is a near-duplicate of its twin, which may be out itself; it has no rank, for it
    was out before rows were ranked. too_close: `np.greater` than the threshold, or another.
    """
    dropped = too_close(twins.similarity, limits.threshold)  # False where NaN
    out = dropped & candidates.eligible & ~candidates.pinned
    order = candidates.best_first()
    trace = yield from pass_steps(order[~out[order]], candidates, limits, threshold=None)
    return replace(
        trace,
        status=np.where(out, np.int8(st.NEAR_DUPLICATE), trace.status),
        blocker=np.where(out, twins.row.astype(np.int32), trace.blocker),
        similarity=np.where(out, twins.similarity.astype(np.float32), trace.similarity),
    )


def _outermost_first(candidates: Candidates, *, last_on_ties: bool) -> list[Rows]:
    """Candidates of each cluster, pinned ones first, then those least similar to its centroid.

    The centroid is the mean of the unit vectors of all rows of the cluster, candidates or not,
    as in spherical k-means. last_on_ties: the higher row number first among equals, else the
    lower. Rows without a cluster stand alone and are in no list.

    Raises SelectionError when there are no clusters.
    """
    if not candidates.eligible.any():
        return []
    cluster = candidates.clusters()
    rows = np.flatnonzero(candidates.eligible & (cluster >= 0))
    central = _centrality(candidates.table.vectors, cluster, rows)
    ties = -rows if last_on_ties else rows
    order = np.lexsort((ties, central, ~candidates.pinned[rows], cluster[rows]))
    rows = rows[order]
    borders = np.flatnonzero(np.diff(cluster[rows])) + 1
    return np.split(rows, borders)


def cluster_centroids(
    vectors: NDArray[np.floating], cluster: NDArray[np.integer]
) -> NDArray[np.float64]:
    """The mean of the unit vectors of each cluster, of length 1 itself: (clusters, d).

    Zero where the rows cancel each other out, and for a cluster without rows.
    """
    members = np.flatnonzero(cluster >= 0)
    return group_centroids(vectors, members, cluster[members], int(cluster.max()) + 1)


def group_centroids(
    vectors: NDArray[np.floating], rows: Rows, group: NDArray[np.integer], groups: int
) -> NDArray[np.float64]:
    """The same of groups that may share rows: rows, group: (k,), a row and a group it is in."""
    centroids = np.zeros((groups, vectors.shape[1]))
    for start in range(0, len(rows), _BLOCK):
        part = slice(start, start + _BLOCK)
        np.add.at(centroids, group[part], unit_rows(vectors, rows[part]))
    lengths = np.linalg.norm(centroids, axis=1)
    # Rows that cancel each other out have no centre: all are equally far from it.
    centroids *= np.where(lengths > _NO_CENTRE, 1 / np.maximum(lengths, _NO_CENTRE), 0.0)[:, None]
    return centroids


def _centrality(
    vectors: NDArray[np.floating], cluster: NDArray[np.integer], rows: Rows
) -> NDArray[np.float64]:
    """Similarity of each row to the centroid of its cluster: (k,) float64, by 12 decimals."""
    centroids = cluster_centroids(vectors, cluster)
    central = np.empty(len(rows))
    for start in range(0, len(rows), _BLOCK):
        part = rows[start : start + _BLOCK]
        product = np.einsum("ij,ij->i", unit_rows(vectors, part), centroids[cluster[part]])
        central[start : start + _BLOCK] = product
    return np.round(central, DECIMALS)


def _twins_in_clusters_steps(
    candidates: Candidates, limits: Limits, *, last_on_ties: bool
) -> Generator[FilterProgress, None, Twins]:
    """Each row's twin: of the rows before it in its cluster, kept or not, the most similar, the
    first of equally similar ones; those below the threshold may be left out.
    """
    lists = _outermost_first(candidates, last_on_ties=last_on_ties)
    graph, total, done = candidates.table.graph, sum(map(len, lists)), 0
    twins = Twins.of_none(len(candidates.eligible))
    if graph is not None and graph.floor < limits.threshold:
        yield FilterProgress(0, 0, total)
        _before_on_graph(graph, lists, limits.threshold, twins)
        return twins
    for rows in lists:
        vectors = candidates.table.vectors
        found = finish(nearest_steps(vectors, rows, rows, limits=np.arange(len(rows))))
        twins.row[rows] = np.where(found.place >= 0, rows[found.place], -1)
        twins.similarity[rows] = found.similarity
        done += len(rows)
        yield FilterProgress(done, 0, total)
    return twins


def _before_on_graph(
    graph: SimilarityGraph, lists: list[Rows], threshold: float, twins: Twins
) -> None:
    from deita_core.selection.pass_kernel import nearest_before

    order = np.concatenate([np.empty(0, np.int64), *lists])
    first = np.cumsum([0, *map(len, lists)])
    seat = np.full(graph.groups, -1, np.int64)
    found = Twins.of_none(len(order))
    nearest_before(graph.edges(), np.asarray(graph.group)[order], first, threshold, seat, *found)
    twins.row[order] = np.where(found.row >= 0, order[found.row], -1)
    twins.similarity[order] = found.similarity


def _semdedup_steps(candidates: Candidates, limits: Limits) -> Steps:
    """As in the paper's pseudo-code and its published program (eps = 1 - threshold): the rows of a
    cluster are put in the order of their similarity to its centroid, lowest first, so that of
    near-duplicates the least typical one stays; a row is dropped when its similarity to *any* row
    before it is greater than 1 - eps, even to one that was dropped itself. Ties go by row number.
    The paper stops here. Rows of different clusters are never compared, and a row in no cluster is
    never dropped. Pinned rows come first in their cluster.
    """
    twins = yield from _twins_in_clusters_steps(candidates, limits, last_on_ties=False)
    return (yield from _best_of_rest_steps(candidates, limits, twins, np.greater))


SEMDEDUP = Strategy(
    name="semdedup",
    label="SemDeDup",
    phrase="by SemDeDup",
    source=(
        "Abbas et al. (arXiv 2303.09540): within each cluster, a row closer than 1 - eps to one "
        "that is less like the cluster's centroid is dropped (eps is 1 - threshold); then the "
        "highest evol scores."
    ),
    steps=_semdedup_steps,
    uses_threshold=True,
    uses_score=True,
    needs_clusters=True,
    duplicate_of="another one of their cluster",
)


def _nemo_curator_steps(candidates: Candidates, limits: Limits) -> Steps:
    """SemDeDup with the differences of NVIDIA NeMo Curator and its which_to_keep="hard" (keep the
    row farthest from the centroid): a similarity of exactly 1 - eps makes a duplicate too, and of
    rows equally far from the centroid the one with the higher id comes first (here: the higher row
    number). There, with eps of 1 or more, every row is removed; here the first row of each cluster
    always stays.
    """
    twins = yield from _twins_in_clusters_steps(candidates, limits, last_on_ties=True)
    return (yield from _best_of_rest_steps(candidates, limits, twins, np.greater_equal))


NEMO_CURATOR = Strategy(
    name="nemo_curator",
    label="NeMo Curator",
    phrase="by NeMo Curator's convention",
    source=(
        'Semantic deduplication of NVIDIA NeMo Curator, which_to_keep "hard": within each '
        "cluster, a row with similarity of 1 - eps or more to one farther from the centroid is "
        "dropped (eps is 1 - threshold); then the highest evol scores."
    ),
    steps=_nemo_curator_steps,
    uses_threshold=True,
    uses_score=True,
    needs_clusters=True,
    duplicate_of="another one of their cluster",
)


def _distilabel_steps(candidates: Candidates, limits: Limits) -> Steps:
    """`DeitaFiltering` of argilla-io/distilabel.

    A row is held against its nearest neighbour among *all* candidates, not only those kept: it
    stays when their cosine distance is at least diversity_threshold = 1 - threshold. Filters and
    exclusions come before: their rows are nobody's neighbours. distilabel gives rows that lack a
    score the other score, or 0; here they are not scored and so no candidates.
    """
    rows = np.flatnonzero(candidates.eligible)
    graph, unknown, twins = candidates.table.graph, rows, Twins.of_none(len(candidates.eligible))
    if graph is not None:
        _nearest_on_graph(graph, rows, twins)
        unknown = rows[np.isnan(twins.similarity[rows])]
    # Below its floor the graph is silent: at a threshold it serves, silence means far enough.
    if graph is None or not graph.serves(limits.threshold):
        search = nearest_steps(candidates.table.vectors, unknown, rows, skip_self=True)
        found = yield from told_as(search, lambda done: FilterProgress(done, 0, len(unknown)))
        twins.row[unknown] = np.where(found.place >= 0, rows[found.place], -1)
        twins.similarity[unknown] = found.similarity
    return (yield from _best_of_rest_steps(candidates, limits, twins, np.greater))


DISTILABEL = Strategy(
    name="distilabel",
    label="distilabel",
    phrase="by distilabel's convention",
    source=(
        "DeitaFiltering of argilla-io/distilabel: a row too similar to its nearest neighbour in "
        "the whole pool is dropped, and so are both of two twins; then the highest evol scores. "
        "Its diversity_threshold is 1 - threshold."
    ),
    steps=_distilabel_steps,
    uses_threshold=True,
    uses_score=True,
    duplicate_of="another one",
)


def _nearest_on_graph(graph: SimilarityGraph, rows: Rows, twins: Twins) -> None:
    """Writes the nearest neighbour of each row among `rows`, the first of equally similar ones;
    none for rows without one above the graph's floor.
    """
    from deita_core.selection.pass_kernel import best_edges

    group = np.asarray(graph.group)[rows]
    size = np.bincount(group, minlength=graph.groups)
    by_group = rows[np.argsort(group, kind="stable")]
    start = np.cumsum(size) - size
    first, second = np.full(graph.groups, -1, np.int64), np.full(graph.groups, -1, np.int64)
    first[size > 0] = by_group[start[size > 0]]
    second[size > 1] = by_group[start[size > 1] + 1]
    top, other = np.full(graph.groups, np.nan), np.full(graph.groups, -1, np.int64)
    best_edges(graph.edges(), first, top, other)
    # A copy of the row has similarity 1; so may have a row of another group, by rounding.
    copy = np.where(first[group] == rows, second[group], first[group])
    copy[size[group] < 2] = -1
    similarity = np.where(copy >= 0, 1.0, top[group])
    away = np.where(top[group] == similarity, other[group], -1)
    lower = np.where((copy >= 0) & (away >= 0), np.minimum(copy, away), np.maximum(copy, away))
    twins.row[rows], twins.similarity[rows] = lower, similarity
