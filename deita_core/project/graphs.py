"""The similarity graph and the clusters of a project, in a folder beside its file.

Each graph lies in a folder named after what it was made from; vectors that came later lead to
another name, so an old graph is never taken for a current one.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import ProjectError
from deita_core.files import replace_folder
from deita_core.project.models import active_model
from deita_core.project.store import Project
from deita_core.similarity.graph import FILE_VERSION, SimilarityGraph, StoredGraph, open_graph


def graphs_folder(path: Path) -> Path:
    """Where the graphs of the project file at `path` lie."""
    return path.with_name(path.name + ".graph")


def graph_key(project: Project, embedder: int) -> dict[str, Any]:
    """What a graph of this embedder is made from: the same for the same vectors only.

    The sum of all their times changes with each vector that is made again, even after a clock
    was put back.
    """
    revision, vectors, times = project.rows(
        "SELECT any_value(m.revision), count(*) FILTER (e.reason IS NULL), "
        "sum(epoch_us(e.embedded))::VARCHAR "
        "FROM models m LEFT JOIN embeddings e ON e.embedder = m.model WHERE m.model = ?",
        embedder,
    )[0]
    return {"embedder": embedder, "revision": revision, "vectors": vectors, "times": times}


def graph_folder(project: Project) -> Path | None:
    """The folder of the current graph, whether it is there or not; None without an embedder."""
    embedder = active_model(project, "embedding")
    if embedder is None:
        return None
    return _folder_of(project, graph_key(project, embedder))


def has_graph(project: Project) -> bool:
    """Is there a whole graph of the vectors as they are now?"""
    return _stored(project) is not None


def is_graph_damaged(project: Project) -> bool:
    """Is there a graph of the vectors as they are now that cannot be used?"""
    folder = graph_folder(project)
    return folder is not None and folder.is_dir() and _stored(project) is None


def load_graph(project: Project) -> SimilarityGraph | None:
    """The graph of the active embedder's vectors, by memory map (a few milliseconds).

    Its places are the rows that `load_vectors` returns. None when there is no current, whole one.
    """
    stored = _stored(project)
    return None if stored is None else stored.graph


# The key in `meta` of what the clusters in the tables were made from.
CLUSTERING = "clustering"


def load_clusters(project: Project) -> NDArray[np.int32] | None:
    """The cluster of each row: (n,) int32, -1 for none; None without current clusters.

    Those that `set_clusters` stored for these vectors, else those made with the graph.
    """
    if clustering(project) is None:
        return load_graph_clusters(project)
    clusters = np.full(project.number("SELECT count(*) FROM conversations"), -1, np.int32)
    found = project.arrays("SELECT row, cluster FROM cluster_rows")
    clusters[found["row"]] = found["cluster"]
    return clusters


def load_graph_clusters(project: Project) -> NDArray[np.int32] | None:
    """The clusters that were made with the graph, as `load_clusters` gives them."""
    stored = _stored(project)
    if stored is None or "clusters" not in stored.extra:
        return None
    clusters = np.full(project.number("SELECT count(*) FROM conversations"), -1, np.int32)
    rows, of_rows = stored.extra["rows"], stored.extra["clusters"]
    if len(rows) != len(of_rows) or (
        len(rows) and not 0 <= rows.min() <= rows.max() < len(clusters)
    ):
        return None
    clusters[rows] = of_rows
    return clusters


def clustering(project: Project) -> dict[str, Any] | None:
    """How the stored clusters were made ("method", "asked"); None without any of these vectors."""
    embedder = active_model(project, "embedding")
    said = project.values("SELECT value FROM meta WHERE key = ?", CLUSTERING)
    if embedder is None or not said:
        return None
    found: dict[str, Any] = json.loads(said[0])
    return found if found.pop("key") == graph_key(project, embedder) else None


def set_graph(project: Project, made: Path, key: Mapping[str, Any]) -> None:
    """Take over a graph that `save_graph` wrote to `made`; doing it twice is harmless.

    Older graphs of the embedder go away. Changes the data version: pages show what it says.
    """
    folder = _folder_of(project, key)
    if not made.is_dir():
        if folder.is_dir():
            return
        raise ProjectError(f"there is no similarity graph at {made}: build it again")
    with project.transaction("curator", "build the graph", {"embedder": key["embedder"]}):
        replace_folder(made, folder)
    for other in folder.parent.glob(f"{_prefix(key)}*"):
        if other != folder:
            shutil.rmtree(other, ignore_errors=True)


def copy_graphs(project_file: Path, target: Path) -> None:
    """Give a copied project file the graphs of the first one; files, which never change, shared."""
    source = graphs_folder(project_file)
    if source.is_dir():
        shutil.copytree(source, graphs_folder(target), copy_function=_link, dirs_exist_ok=True)


def delete_graphs(project_file: Path) -> None:
    """Delete the graphs of a project file."""
    shutil.rmtree(graphs_folder(project_file), ignore_errors=True)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another disk, or one without links
        shutil.copy2(source, target)


def _prefix(key: Mapping[str, Any]) -> str:
    return f"{key['embedder']}-"


def _folder_of(project: Project, key: Mapping[str, Any]) -> Path:
    encoded = json.dumps({**key, "file": FILE_VERSION}, sort_keys=True)
    digest = hashlib.sha256(encoded.encode()).hexdigest()[:16]
    return graphs_folder(project.path) / f"{_prefix(key)}{digest}"


def _stored(project: Project) -> StoredGraph | None:
    folder = graph_folder(project)
    if folder is None or not folder.is_dir():
        return None
    with suppress(ProjectError):
        stored = open_graph(folder)
        rows = stored.extra.get("rows")
        places = len(stored.graph)
        if places == stored.key["vectors"] and (rows is None or len(rows) == places):
            return stored
    return None
