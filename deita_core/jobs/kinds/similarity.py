"""The job that builds the similarity graph and the clusters of the embeddings.

The job that lays the embeddings out on a plane.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from deita_core.errors import JobError
from deita_core.jobs.handover import Parameters, Part, WorkerChannel
from deita_core.progress import finish
from deita_core.project import Project
from deita_core.project.graphs import graph_folder, graph_key, load_graph, set_graph
from deita_core.project.job_log import Progress
from deita_core.project.vectors import active_embedder, load_vectors, set_map

if TYPE_CHECKING:
    from deita_core.similarity.graph import SimilarityGraph
    from deita_core.similarity.graph_build import GraphProgress

SEED = 42


class MakeGraph:
    """parameters: {} or {"floor": cosine similarity, "most_pairs", "clusters": numbers}."""

    name = "graph"
    label = "Graph"
    unit = "million pairs"

    def work(self, parameters: Parameters, channel: WorkerChannel) -> None:
        """Compare all pairs of rows, then cluster them."""
        import numpy as np

        from deita_core.map.clusters import cluster
        from deita_core.similarity.graph import save_graph
        from deita_core.similarity.graph_build import WANTED_FLOOR, build_graph_steps

        folder, _ = channel.get_input({})
        vectors = np.load(folder / "vectors.npy", mmap_mode="r")
        floor = float(parameters.get("floor", WANTED_FLOOR))
        most = parameters.get("most_pairs")

        def compared(step: GraphProgress) -> None:
            channel.report(
                Progress(
                    stage="comparing",
                    done=_millions(step.done),
                    total=_millions(step.total),
                    found=step.pairs,
                    floor=step.floor,
                )
            )

        # A cancel closes the generator, which stops its threads at once.
        graph = finish(build_graph_steps(vectors, floor, most_pairs=most, seed=SEED), compared)
        total = _millions(graph.groups * (graph.groups - 1) // 2)
        channel.report(Progress(stage="clusters", done=total, total=total))
        clusters = cluster(vectors, parameters.get("clusters"), SEED)
        result = (_sentence(graph, int(clusters.max(initial=-1)) + 1),)
        channel.report(Progress(done=total, total=total, result=result))
        key = json.loads((folder / "key.json").read_text(encoding="utf-8"))
        made = folder / "graph"
        save_graph(made, graph, key, {"rows": np.load(folder / "rows.npy"), "clusters": clusters})
        channel.put(Part({}, {"made": str(made), "key": key}))

    def prepare(
        self, project: Project, parameters: Parameters, identity: Parameters, folder: Path
    ) -> int:
        """Write the vectors of the active embedder."""
        import numpy as np

        embedder = active_embedder(project)
        if embedder is None:
            raise JobError("the graph needs embeddings, and there are none: embed the pool first")
        key = graph_key(project, embedder)
        rows, vectors = load_vectors(project, embedder)
        np.save(folder / "rows.npy", rows)
        np.save(folder / "vectors.npy", vectors)
        (folder / "key.json").write_text(json.dumps(key), encoding="utf-8")
        return len(rows)

    def commit(self, project: Project, parameters: Parameters, part: Part) -> None:
        """The whole graph at once."""
        set_graph(project, Path(part.meta["made"]), part.meta["key"])

    def stopped(self, project: Project, parameters: Parameters) -> None:
        """The graph that was there before stays."""


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


class MakeMap:
    """parameters: {} or {"seed": whole number}."""

    name = "map"
    label = "Map"
    unit = "steps"

    def work(self, parameters: Parameters, channel: WorkerChannel) -> None:
        """UMAP of all vectors."""
        import numpy as np
        import pyarrow as pa

        from deita_core.map.projection import project
        from deita_core.similarity.graph import open_graph

        folder, _ = channel.get_input({})
        seed = int(parameters.get("seed", SEED))
        vectors = np.load(folder / "vectors.npy", mmap_mode="r")

        graph_path = folder / "graph"
        graph = None
        if graph_path.exists():
            graph = open_graph(Path(graph_path.read_text(encoding="utf-8"))).graph

        def tell(stage: str, done: int, total: int) -> None:
            channel.report(Progress(stage=stage, done=done, total=total))

        xy = project(vectors, seed=seed, graph=graph, progress=tell)
        points = pa.table(
            {
                "row": pa.array(np.load(folder / "rows.npy"), pa.int32()),
                "x": pa.array(xy[:, 0], pa.float32()),
                "y": pa.array(xy[:, 1], pa.float32()),
            }
        )
        embedder = int((folder / "embedder").read_text(encoding="utf-8"))
        channel.put(Part({"points": points}, {"embedder": embedder, "seed": seed}))

    def prepare(
        self, project: Project, parameters: Parameters, identity: Parameters, folder: Path
    ) -> int:
        """Write the vectors of the active embedder, and where their similarity graph is."""
        import numpy as np

        embedder = active_embedder(project)
        if embedder is None:
            raise JobError("the map needs embeddings, and there are none: embed the pool first")
        rows, vectors = load_vectors(project, embedder)
        np.save(folder / "rows.npy", rows)
        np.save(folder / "vectors.npy", vectors)
        (folder / "embedder").write_text(str(embedder), encoding="utf-8")
        if load_graph(project) is not None:
            (folder / "graph").write_text(str(graph_folder(project)), encoding="utf-8")
        return len(rows)

    def commit(self, project: Project, parameters: Parameters, part: Part) -> None:
        """The whole map at once."""
        meta = part.meta
        set_map(project, meta["embedder"], part.tables["points"], {"seed": meta["seed"]})

    def stopped(self, project: Project, parameters: Parameters) -> None:
        """The map that was there before stays."""
