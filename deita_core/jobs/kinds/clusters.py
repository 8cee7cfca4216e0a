"""The job that makes clusters, by k-means on the vectors or HDBSCAN on the map, and names them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from pydantic import Field, model_validator

from deita_core.conversation import Conversation
from deita_core.errors import JobError
from deita_core.jobs.handover import Identities, Part, WorkerChannel
from deita_core.jobs.kind import JobSpec
from deita_core.jobs.kinds.similarity import SEED
from deita_core.map.clusters import Method
from deita_core.project import Project
from deita_core.project.clusters import Cluster, set_clusters
from deita_core.project.graphs import graph_key, load_graph_clusters
from deita_core.project.job_log import Progress
from deita_core.project.models import active_model
from deita_core.project.vectors import load_vectors

_BATCH = 2048


class ClusterSpec(JobSpec):
    """Makes the clusters of a pool, and names them by the words that set them apart.

    method: "kmeans" on the vectors (every row with a vector is in one) or "hdbscan" on the map.
    number: how many, for kmeans; None: those made with the graph, or as many as there would be.
    smallest: rows that make a cluster, for hdbscan; None leaves it to the program.
    """

    kind = "cluster"
    label = "Clusters"
    unit = "rows"

    method: Method = "kmeans"
    number: int | None = Field(default=None, ge=1)
    smallest: int | None = Field(default=None, ge=2)

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.number is not None and self.method != "kmeans":
            raise JobError("the number of clusters can be chosen for kmeans only: leave it out")
        if self.smallest is not None and self.method != "hdbscan":
            raise JobError("the smallest cluster can be chosen for hdbscan only: leave it out")
        return self

    def prepare(self, project: Project, identities: Identities, folder: Path) -> int:
        """Write what is clustered, the beginnings of the rows, and clusters that are there."""
        embedder = active_model(project, "embedding")
        if embedder is None:
            raise JobError("clusters need embeddings, and there are none: embed the pool first")
        (folder / "key.json").write_text(json.dumps(graph_key(project, embedder)), encoding="utf-8")
        by_map = self.method == "hdbscan"
        rows, points = (_map_points if by_map else load_vectors)(project, embedder)
        np.save(folder / "rows.npy", rows)
        np.save(folder / "points.npy", points)
        known = load_graph_clusters(project)
        if self.method == "kmeans" and self.number is None and known is not None:
            np.save(folder / "labels.npy", known[rows])
        query = "SELECT row, messages, coalesce(language, 'unknown') AS language FROM conversations"
        project.write_parquet(f"{query} ORDER BY row", folder / "rows.parquet")
        return len(rows)

    def work(self, channel: WorkerChannel) -> None:
        from deita_core.map.cluster_names import cluster_words, name_of
        from deita_core.map.clusters import central_rows

        folder, total = channel.get_input()
        rows = np.load(folder / "rows.npy")
        points = np.load(folder / "points.npy", mmap_mode="r")
        channel.report(Progress(stage="clusters", total=total))
        labels = self._labels(folder, points)
        inside = labels >= 0
        rows, labels = rows[inside], labels[inside]
        examples = rows[central_rows(points[inside], labels)]
        channel.report(Progress(stage="names", done=total // 2, total=total))
        said = cluster_words(*_read_texts(folder, rows, labels, channel))
        made = [
            {"cluster": n, "name": name_of(words, n), "words": words, "example": int(example)}
            for n, (words, example) in enumerate(zip(said, examples, strict=True))
        ]
        key = json.loads((folder / "key.json").read_text(encoding="utf-8"))
        how = {"key": key, "method": self.method, "asked": self.number or self.smallest}
        channel.put(Part({"pairs": _pairs(rows, labels)}, {"clusters": made, "made": how}))
        result = f"{len(made):,} clusters of {len(rows):,} rows; {total - len(rows):,} rows in none"
        channel.report(Progress(done=total, total=total, result=(result,)))

    def _labels(self, folder: Path, points: NDArray[np.floating]) -> NDArray[np.int32]:
        from deita_core.map.clusters import cluster, cluster_map

        if (folder / "labels.npy").is_file():
            known: NDArray[np.int32] = np.load(folder / "labels.npy")
            return known
        if self.method == "hdbscan":
            return cluster_map(points, self.smallest)
        return cluster(points, self.number, SEED)

    def commit(self, project: Project, identities: Identities, part: Part) -> None:
        pairs = part.tables["pairs"]
        found = [
            Cluster(one["cluster"], one["name"], tuple(one["words"]), one["example"], False)
            for one in part.meta["clusters"]
        ]
        rows, labels = pairs["row"].to_numpy(), pairs["cluster"].to_numpy()
        set_clusters(project, rows, labels, found, part.meta["made"])


def _map_points(project: Project, embedder: int) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    found = project.arrays(
        "SELECT row, x, y FROM map_points WHERE embedder = ? AND x IS NOT NULL ORDER BY row",
        embedder,
    )
    if not len(found["row"]):
        raise JobError("hdbscan finds clusters on the map, and there is none: draw the map first")
    return found["row"], np.stack([found["x"], found["y"]], axis=1)


def _pairs(rows: NDArray[np.int32], labels: NDArray[np.int32]) -> Any:
    import pyarrow as pa

    return pa.table({"row": pa.array(rows, pa.int32()), "cluster": pa.array(labels, pa.int32())})


def _read_texts(
    folder: Path, rows: NDArray[np.int32], labels: NDArray[np.int32], channel: WorkerChannel
) -> tuple[Iterator[str], NDArray[np.int32], list[str]]:
    """The beginning of each row of the pool, its cluster and its language."""
    import pyarrow.parquet as pq

    file = pq.ParquetFile(folder / "rows.parquet")
    languages = file.read(["language"])["language"].to_pylist()
    of = np.full(len(languages), -1, np.int32)
    of[rows] = labels
    return _openings(file, channel), of, languages


def _openings(file: Any, channel: WorkerChannel) -> Iterator[str]:
    from deita_core.map.cluster_names import opening

    with file:
        for batch in file.iter_batches(_BATCH, columns=["messages"]):
            channel.check()
            for messages in batch.column(0).to_pylist():
                yield opening(Conversation.from_json(messages))
