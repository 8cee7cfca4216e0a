"""The job that lays the embeddings out on a plane."""

from __future__ import annotations

from pathlib import Path

from deita_core.errors import JobError
from deita_core.jobs.desk import Desk
from deita_core.jobs.handover import Part
from deita_core.jobs.kind import Parameters
from deita_core.project import Project
from deita_core.project.graphs import graph_folder, load_graph
from deita_core.project.vectors import active_embedder, load_vectors, set_map

SEED = 42


class MakeMap:
    """parameters: {} or {"seed": whole number}."""

    name = "map"
    label = "Map"
    unit = "steps"

    def work(self, parameters: Parameters, desk: Desk) -> None:
        """UMAP of all vectors."""
        import numpy as np
        import pyarrow as pa

        from deita_core.geometry.graph_file import open_graph
        from deita_core.geometry.projection import project

        folder, _ = desk.get_input({})
        seed = int(parameters.get("seed", SEED))
        vectors = np.load(folder / "vectors.npy", mmap_mode="r")

        graph_path = folder / "graph"
        graph = None
        if graph_path.exists():
            graph = open_graph(Path(graph_path.read_text(encoding="utf-8"))).graph

        def tell(stage: str, done: int, total: int) -> None:
            desk.report(done, total, stage)

        xy = project(vectors, seed=seed, graph=graph, progress=tell)
        points = pa.table(
            {
                "row": pa.array(np.load(folder / "rows.npy"), pa.int32()),
                "x": pa.array(xy[:, 0], pa.float32()),
                "y": pa.array(xy[:, 1], pa.float32()),
            }
        )
        embedder = int((folder / "embedder").read_text(encoding="utf-8"))
        desk.put(Part({"points": points}, {"embedder": embedder, "seed": seed}))

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
