"""The job that applies a selection rule to the whole pool and saves the result under a name."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import JobError, ProjectError
from deita_core.jobs.handover import Parameters, Part, WorkerChannel
from deita_core.progress import finish
from deita_core.project import Project
from deita_core.project.arrays import load_pool_table
from deita_core.project.graphs import graph_folder, has_graph, load_clusters
from deita_core.project.job_log import Progress
from deita_core.project.selections import save_selection
from deita_core.project.vectors import active_embedder, load_vectors
from deita_core.selection.outcome import select_steps
from deita_core.selection.pool_table import PoolTable
from deita_core.selection.rule import SelectionRule
from deita_core.similarity.graph import SimilarityGraph, open_graph


class SelectRows:
    """parameters: {"rule": JSON of a SelectionRule, "name", "notes"}."""

    name = "select"
    label = "Select"
    unit = "rows"

    def work(self, parameters: Parameters, channel: WorkerChannel) -> None:
        """Select with progress; hand over the rows kept."""
        import pyarrow as pa

        folder, total = channel.get_input({})
        vectors = np.load(folder / "vectors.npy", mmap_mode="r")
        table = read_columns(folder).with_vectors(
            vectors,
            np.load(folder / "vector_rows.npy"),
            graph=_graph(folder),
            cluster=_clusters(folder),
        )
        steps = select_steps(SelectionRule.from_json(parameters["rule"]), table)
        outcome = finish(
            steps,
            lambda step: channel.report(
                Progress(stage="selecting", done=step.visited, total=total, found=step.kept)
            ),
        )
        kept = outcome.kept
        rows = {"row": pa.array(kept, pa.int64()), "score": pa.array(outcome.scores[kept])}
        channel.put(Part({"kept": pa.table(rows)}, {"sentence": outcome.sentence()}))
        channel.report(Progress(done=total, total=total, result=(outcome.sentence(),)))

    def prepare(
        self, project: Project, parameters: Parameters, identity: Parameters, folder: Path
    ) -> int:
        """Write the pool's columns and vectors."""
        arrays = load_pool_table(project)
        embedder = active_embedder(project)
        scores = (arrays.turn_complexity, arrays.turn_quality)
        if embedder is None or all(np.isnan(of_turns).all() for of_turns in scores):
            raise JobError("selecting needs scores and embeddings: score and embed the pool first")
        rows, vectors = load_vectors(project, embedder)
        np.save(folder / "vector_rows.npy", rows)
        np.save(folder / "vectors.npy", vectors)
        write_columns(arrays, folder)
        if has_graph(project):
            (folder / "graph.txt").write_text(str(graph_folder(project)), encoding="utf-8")
        clusters = load_clusters(project)
        if clusters is not None:
            np.save(folder / "clusters.npy", clusters)
        return len(arrays)

    def commit(self, project: Project, parameters: Parameters, part: Part) -> None:
        """Save the selection; the same batch again replaces it."""
        kept = part.tables["kept"]
        save_selection(
            project,
            parameters["name"],
            parameters["rule"],
            part.meta["sentence"],
            kept["row"].to_numpy(),
            kept["score"].to_numpy(),
            notes=parameters.get("notes", ""),
            replace=True,
        )

    def stopped(self, project: Project, parameters: Parameters) -> None:
        """Nothing was saved."""


def _graph(folder: Path) -> SimilarityGraph | None:
    """The project's graph, where it lies; without it the same rows take longer."""
    named = folder / "graph.txt"
    if named.is_file():
        with suppress(ProjectError):  # it may have been made anew since
            return open_graph(Path(named.read_text(encoding="utf-8"))).graph
    return None


def _clusters(folder: Path) -> NDArray[np.int32] | None:
    path = folder / "clusters.npy"
    return np.load(path) if path.is_file() else None


def write_columns(table: PoolTable, folder: Path) -> None:
    """The columns as columns.npz, their names as names.json."""
    values = {field.name: getattr(table, field.name) for field in fields(table)}
    names = {name: value for name, value in values.items() if isinstance(value, tuple)}
    (folder / "names.json").write_text(json.dumps(names), encoding="utf-8")
    columns: dict[str, Any] = {n: v for n, v in values.items() if isinstance(v, np.ndarray)}
    np.savez(folder / "columns.npz", **columns)


def read_columns(folder: Path) -> PoolTable:
    """The inverse of `write_columns`."""
    names = json.loads((folder / "names.json").read_text(encoding="utf-8"))
    with np.load(folder / "columns.npz") as columns:
        values: dict[str, Any] = {name: columns[name] for name in columns.files}
    values |= {name: tuple(value) for name, value in names.items()}
    return PoolTable(**values)
