"""The jobs that compute on all vectors: the similarity graph with the clusters, and the map."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import JobError, ProjectError
from deita_core.jobs.handover import Identities, Part, WorkerChannel
from deita_core.jobs.kind import JobSpec
from deita_core.project import Project
from deita_core.project.clusters import forget_clusters
from deita_core.project.graphs import graph_folder, graph_key, has_graph, set_graph
from deita_core.project.job_log import Progress
from deita_core.project.models import active_model
from deita_core.project.vectors import load_vectors, set_map

if TYPE_CHECKING:
    from deita_core.similarity.graph import SimilarityGraph

SEED = 42


class GraphSpec(JobSpec):
    """Compares all pairs of rows, then clusters them.

    floor: cosine similarity above which pairs are kept. most_pairs: raises it where there are
    more. clusters: how many. None leaves each to the program.
    """

    kind = "graph"
    label = "Graph"
    unit = "million pairs"

    floor: float | None = None
    most_pairs: int | None = None
    clusters: int | None = None

    def prepare(self, project: Project, identities: Identities, folder: Path) -> int:
        embedder = _embedder(project, "the graph")
        (folder / "key.json").write_text(json.dumps(graph_key(project, embedder)), encoding="utf-8")
        return _write_vectors(project, embedder, folder)

    def work(self, channel: WorkerChannel) -> None:
        """Build the graph in a folder of the job, where the project takes it from."""
        from deita_core.map.clusters import cluster
        from deita_core.similarity.graph import save_graph
        from deita_core.similarity.graph_build import WANTED_FLOOR, build_graph

        folder, _ = channel.get_input()
        rows, vectors = _read_vectors(folder)
        floor = WANTED_FLOOR if self.floor is None else self.floor

        def compared(done: int, total: int, pairs: int, floor: float) -> None:
            done, total = _millions(done), _millions(total)
            channel.report(
                Progress(stage="comparing", done=done, total=total, found=pairs, floor=floor)
            )

        # A cancel raises in `compared`, which stops the threads at once.
        graph = build_graph(
            vectors, floor, most_pairs=self.most_pairs, seed=SEED, progress=compared
        )
        total = _millions(graph.groups * (graph.groups - 1) // 2)
        channel.report(Progress(stage="clusters", done=total, total=total))
        clusters = cluster(vectors, self.clusters, SEED)
        result = (_sentence(graph, int(clusters.max(initial=-1)) + 1),)
        channel.report(Progress(done=total, total=total, result=result))
        key = json.loads((folder / "key.json").read_text(encoding="utf-8"))
        made = folder / "graph"
        save_graph(made, graph, key, {"rows": rows, "clusters": clusters})
        channel.put(Part({}, {"made": str(made), "key": key}))

    def commit(self, project: Project, identities: Identities, part: Part) -> None:
        set_graph(project, Path(part.meta["made"]), part.meta["key"])
        if self.clusters is not None:  # asked for: others must not stand before them
            forget_clusters(project)


def _millions(pairs: int) -> int:
    return -(-pairs // 1_000_000)


def _sentence(graph: SimilarityGraph, clusters: int) -> str:
    raised = (
        ""
        if graph.floor == graph.wanted_floor
        else f" (not {graph.wanted_floor:.2f}: there are too many)"
    )
    return (
        f"{graph.pairs:,} pairs of {graph.groups:,} distinct rows are more similar than "
        f"{graph.floor:.2f}{raised}; {clusters} clusters"
    )


class MapSpec(JobSpec):
    """UMAP of all vectors. seed: of the layout."""

    kind = "map"
    label = "Map"
    unit = "steps"

    seed: int = SEED

    def prepare(self, project: Project, identities: Identities, folder: Path) -> int:
        """Write the vectors of the active embedder, and where their similarity graph is."""
        embedder = _embedder(project, "the map")
        (folder / "embedder").write_text(str(embedder), encoding="utf-8")
        return _write_vectors(project, embedder, folder)

    def work(self, channel: WorkerChannel) -> None:
        import pyarrow as pa

        from deita_core.map.projection import project

        folder, _ = channel.get_input()
        rows, vectors = _read_vectors(folder)

        def tell(stage: str, done: int, total: int) -> None:
            channel.report(Progress(stage=stage, done=done, total=total))

        xy = project(vectors, seed=self.seed, graph=read_graph(folder), progress=tell)
        points = pa.table(
            {
                "row": pa.array(rows, pa.int32()),
                "x": pa.array(xy[:, 0], pa.float32()),
                "y": pa.array(xy[:, 1], pa.float32()),
            }
        )
        embedder = int((folder / "embedder").read_text(encoding="utf-8"))
        channel.put(Part({"points": points}, {"embedder": embedder}))

    def commit(self, project: Project, identities: Identities, part: Part) -> None:
        set_map(project, part.meta["embedder"], part.tables["points"], {"seed": self.seed})


def _embedder(project: Project, what: str) -> int:
    embedder = active_model(project, "embedding")
    if embedder is None:
        raise JobError(f"{what} needs embeddings, and there are none: embed the pool first")
    return embedder


def _write_vectors(project: Project, embedder: int, folder: Path) -> int:
    """Write the vectors, their rows, and where their similarity graph is; returns how many."""
    rows, vectors = load_vectors(project, embedder)
    np.save(folder / "rows.npy", rows)
    np.save(folder / "vectors.npy", vectors)
    write_graph_place(project, folder)
    return len(rows)


def write_graph_place(project: Project, folder: Path) -> None:
    """Tell the worker where the similarity graph is, if there is one."""
    if has_graph(project):
        (folder / "graph.txt").write_text(str(graph_folder(project)), encoding="utf-8")


def _read_vectors(folder: Path) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Rows (n,) int32 and their vectors (n, d), float32 (wide ones float16), by memory map."""
    return np.load(folder / "rows.npy"), np.load(folder / "vectors.npy", mmap_mode="r")


def read_graph(folder: Path) -> SimilarityGraph | None:
    """The graph of these vectors, where it lies; None (and slower work) when it is not there."""
    from deita_core.similarity.graph import open_graph

    place = folder / "graph.txt"
    if place.is_file():
        with suppress(ProjectError):  # it may have been made anew since
            return open_graph(Path(place.read_text(encoding="utf-8"))).graph
    return None
