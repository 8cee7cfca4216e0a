"""The job that applies a selection rule to the whole pool and saves the result under a name."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import JobError
from deita_core.jobs.handover import Identities, Part, WorkerChannel
from deita_core.jobs.kind import JobKind, JobSpec
from deita_core.jobs.kinds.similarity import read_graph, read_vectors, write_vectors
from deita_core.progress import finish
from deita_core.project import Project
from deita_core.project.arrays import load_pool_table
from deita_core.project.graphs import load_clusters
from deita_core.project.job_log import Progress
from deita_core.project.models import active_model
from deita_core.project.selections import save_selection
from deita_core.selection.outcome import select_steps
from deita_core.selection.pool_table import PoolTable
from deita_core.selection.rule import SelectionRule


class SelectSpec(JobSpec):
    """rule: JSON of a SelectionRule. name: what the selection is called; replaces one of it."""

    kind: ClassVar[str] = "select"

    rule: str
    name: str
    notes: str = ""


class SelectRows(JobKind[SelectSpec]):
    """Selects with progress."""

    spec = SelectSpec
    label = "Select"
    unit = "rows"

    def work(self, spec: SelectSpec, channel: WorkerChannel) -> None:
        """Hand over the rows kept."""
        import pyarrow as pa

        folder, total = channel.get_input()
        rows, vectors = read_vectors(folder)
        table = read_columns(folder).with_vectors(
            vectors, rows, graph=read_graph(folder), cluster=_clusters(folder)
        )
        steps = select_steps(SelectionRule.from_json(spec.rule), table)
        outcome = finish(
            steps,
            lambda step: channel.report(
                Progress(stage="selecting", done=step.visited, total=total, found=step.kept)
            ),
        )
        kept = outcome.kept
        columns = {"row": pa.array(kept, pa.int64()), "score": pa.array(outcome.scores[kept])}
        channel.put(Part({"kept": pa.table(columns)}, {"sentence": outcome.sentence()}))
        channel.report(Progress(done=total, total=total, result=(outcome.sentence(),)))

    def prepare(
        self, project: Project, spec: SelectSpec, identities: Identities, folder: Path
    ) -> int:
        """Write the pool's columns and vectors."""
        arrays = load_pool_table(project)
        embedder = active_model(project, "embedding")
        scores = (arrays.turn_complexity, arrays.turn_quality)
        if embedder is None or all(np.isnan(of_turns).all() for of_turns in scores):
            raise JobError("selecting needs scores and embeddings: score and embed the pool first")
        write_vectors(project, embedder, folder)
        write_columns(arrays, folder)
        clusters = load_clusters(project)
        if clusters is not None:
            np.save(folder / "clusters.npy", clusters)
        return len(arrays)

    def commit(
        self, project: Project, spec: SelectSpec, identities: Identities, part: Part
    ) -> None:
        """Save the selection; the same batch again replaces it."""
        kept = part.tables["kept"]
        save_selection(
            project,
            spec.name,
            spec.rule,
            part.meta["sentence"],
            kept["row"].to_numpy(),
            kept["score"].to_numpy(),
            notes=spec.notes,
            replace=True,
        )


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
