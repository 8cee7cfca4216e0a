"""The clusters of a project: which row is in which, their names, and what is in them.

Names belong to the clusters they were made for: where these are made anew and come out the same,
names given by hand stay, otherwise they go.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import ProjectError
from deita_core.project.graphs import CLUSTERING, clustering
from deita_core.project.pool import load_pool_table
from deita_core.project.selections import find_selection, selection_rows
from deita_core.project.store import Project, check_name
from deita_core.selection.filters import mean_scores, rule_scores
from deita_core.selection.rule import SelectionRule

NAME_CLUSTER = "rename a cluster"


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster by name. words: the most distinctive first. example: its most typical row.
    by_hand: somebody chose the name."""

    cluster: int
    name: str
    words: tuple[str, ...]
    example: int
    by_hand: bool


@dataclass(frozen=True, slots=True)
class ClusterFacts:
    """A cluster and its rows.

    complexity, quality, evol_score: means over the rows that have them, None where none has.
    kept: rows of it in the selection asked about, None without one. sentence: how its most typical
    row begins.
    """

    cluster: Cluster
    rows: int
    complexity: float | None
    quality: float | None
    evol_score: float | None
    kept: int | None
    sentence: str

    @property
    def kept_share(self) -> float | None:
        """Share of its rows that are in the selection, 0 to 1."""
        return None if self.kept is None else self.kept / self.rows


def set_clusters(
    project: Project,
    rows: NDArray[np.integer],
    labels: NDArray[np.integer],
    clusters: Sequence[Cluster],
    made: Mapping[str, Any],
) -> None:
    """Replace the clusters of the project and their names.

    rows, labels: (m,), rows and the cluster of each; those in none are left out. made: "key", the
    graph key of the vectors, and how they were made.
    """
    import pyarrow as pa

    pairs = pa.table({"row": rows.astype(np.int32), "cluster": labels.astype(np.int32)})
    digest = hashlib.blake2b(rows.astype("<i4").tobytes() + labels.astype("<i4").tobytes())
    said = {**made, "digest": digest.hexdigest()[:32]}
    what = {"clusters": len(clusters), "method": made.get("method")}
    with project.transaction("curator", "make clusters", what) as cursor:
        before = cursor.execute("SELECT value FROM meta WHERE key = ?", [CLUSTERING]).fetchall()
        same = bool(before) and json.loads(before[0][0]).get("digest") == said["digest"]
        query = "SELECT cluster, name FROM clusters WHERE by_hand"
        by_hand = dict(cursor.execute(query).fetchall()) if same else {}
        cursor.execute("DELETE FROM clusters")
        cursor.execute("DELETE FROM cluster_rows")
        cursor.register("pairs", pairs)
        cursor.execute("INSERT INTO cluster_rows SELECT row, cluster FROM pairs")
        for one in clusters:
            name = by_hand.get(one.cluster, one.name)
            given = [one.cluster, name, list(one.words), one.example, one.cluster in by_hand]
            cursor.execute("INSERT INTO clusters VALUES (?, ?, ?, ?, ?)", given)
        cursor.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", [CLUSTERING, json.dumps(said)])


def forget_clusters(project: Project) -> None:
    """Go back to the clusters made with the graph, which have no names."""
    with project.transaction("curator", None) as cursor:
        for table in ("clusters", "cluster_rows"):
            cursor.execute(f"DELETE FROM {table}")  # noqa: S608 - only names of ours go in
        cursor.execute("DELETE FROM meta WHERE key = ?", [CLUSTERING])


def clusters(project: Project) -> list[Cluster]:
    """The clusters with their names, largest first; none where they have none for these vectors."""
    if clustering(project) is None:
        return []
    found = project.rows(
        "SELECT cluster, name, words, example, by_hand FROM clusters ORDER BY cluster"
    )
    return [Cluster(n, name, tuple(said), row, hand) for n, name, said, row, hand in found]


def rename_cluster(project: Project, cluster: int, name: str) -> None:
    """Give a cluster a name of one's own; ProjectError when there is no such cluster."""
    name = check_name(name, "cluster")
    what: dict[str, Any] = {"cluster": cluster, "name": name}
    with project.transaction("curator", NAME_CLUSTER, what) as cursor:
        query = "SELECT name FROM clusters WHERE cluster = ?"
        before = cursor.execute(query, [cluster]).fetchall()
        if not before:
            raise ProjectError(_no_such(project, cluster))
        what["before"] = before[0][0]
        cursor.execute(
            "UPDATE clusters SET name = ?, by_hand = true WHERE cluster = ?", [name, cluster]
        )


def _no_such(project: Project, cluster: int) -> str:
    last = project.number("SELECT max(cluster) FROM clusters")
    if not project.number("SELECT count(*) FROM clusters"):
        return f"there is no cluster {cluster}: make and name clusters first (`clusters --make`)"
    return f"there is no cluster {cluster}: they are numbered from 0 to {last}"


def cluster_facts(project: Project, selection: str | None = None) -> list[ClusterFacts]:
    """Every cluster with what is in it, largest first.

    selection: the name of a saved one, to tell how much of each cluster is kept; None: the one
    that the project stands by, if any. Raises ProjectError for a name that is not there.
    """
    found = clusters(project)
    if not found:
        return []
    kept = _kept(project, selection)
    pairs = project.arrays("SELECT row, cluster FROM cluster_rows ORDER BY row")
    table = load_pool_table(project)
    means = mean_scores(table)
    columns = (means.complexity, means.quality, rule_scores(SelectionRule(), table))
    examples = [one.example for one in found]
    query = "SELECT row, preview FROM conversations WHERE row IN (SELECT unnest(?::INTEGER[]))"
    sentences = dict(project.rows(query, examples))
    order = np.argsort(pairs["cluster"], kind="stable")
    rows, of = pairs["row"][order], pairs["cluster"][order]
    result = []
    for one in found:
        own = rows[slice(*np.searchsorted(of, [one.cluster, one.cluster + 1]))]
        complexity, quality, evol = (_mean(column[own]) for column in columns)
        inside = None if kept is None else int(np.isin(own, kept).sum())
        sentence = sentences.get(one.example, "")
        result.append(ClusterFacts(one, len(own), complexity, quality, evol, inside, sentence))
    return result


def _kept(project: Project, selection: str | None) -> NDArray[np.int64] | None:
    if selection is None:
        current = project.values("SELECT name FROM selections WHERE current")
        if not current:
            return None
        selection = str(current[0])
    rows, _ = selection_rows(project, find_selection(project, selection).selection)
    return np.array(rows, np.int64)


def _mean(values: NDArray[np.floating]) -> float | None:
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None
