"""The job that applies a selection rule to the whole pool and saves the result under a name."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from deita_core.errors import JobError
from deita_core.jobs.desk import Desk
from deita_core.jobs.handover import Part
from deita_core.jobs.kind import Parameters
from deita_core.project import Project
from deita_core.project.arrays import PoolArrays, load_arrays
from deita_core.project.selections import save_selection
from deita_core.project.vectors import active_embedder, load_vectors
from deita_core.selection.outcome import select_steps
from deita_core.selection.progress import FilterProgress
from deita_core.selection.rule import SelectionRule
from deita_core.selection.table import SelectionInput


class SelectRows:
    """parameters: {"rule": JSON of a SelectionRule, "name", "notes"}."""

    name = "select"
    label = "Select"
    unit = "rows"

    def work(self, parameters: Parameters, desk: Desk) -> None:
        """Select with progress; hand over the rows kept."""
        import pyarrow as pa

        folder, total = desk.get_input({})
        vectors = np.load(folder / "vectors.npy", mmap_mode="r")
        table = SelectionInput.of_pool(
            read_arrays(folder), vectors, np.load(folder / "vector_rows.npy")
        )
        steps = select_steps(SelectionRule.from_json(parameters["rule"]), table)
        while True:
            try:
                progress: FilterProgress = next(steps)
            except StopIteration as end:
                outcome = end.value
                break
            desk.report(progress.visited, total, f"{progress.kept:,} kept")
        kept = outcome.kept
        rows = {"row": pa.array(kept, pa.int64()), "score": pa.array(outcome.scores[kept])}
        desk.put(Part({"kept": pa.table(rows)}, {"sentence": outcome.sentence()}))
        desk.report(total, total, outcome.sentence())

    def prepare(
        self, project: Project, parameters: Parameters, identity: Parameters, folder: Path
    ) -> int:
        """Write the pool's columns and vectors."""
        arrays = load_arrays(project)
        embedder = active_embedder(project)
        if embedder is None or np.isnan(arrays.turn_complexity).all():
            raise JobError("selecting needs scores and embeddings: score and embed the pool first")
        rows, vectors = load_vectors(project, embedder)
        np.save(folder / "vector_rows.npy", rows)
        np.save(folder / "vectors.npy", vectors)
        write_arrays(arrays, folder)
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


def write_arrays(arrays: PoolArrays, folder: Path) -> None:
    """The columns as columns.npz, their names as names.json."""
    values = {field.name: getattr(arrays, field.name) for field in fields(arrays)}
    names = {name: value for name, value in values.items() if isinstance(value, tuple)}
    (folder / "names.json").write_text(json.dumps(names), encoding="utf-8")
    np.savez(folder / "columns.npz", **{n: v for n, v in values.items() if n not in names})


def read_arrays(folder: Path) -> PoolArrays:
    """The inverse of `write_arrays`."""
    names = json.loads((folder / "names.json").read_text(encoding="utf-8"))
    with np.load(folder / "columns.npz") as columns:
        values: dict[str, Any] = {name: columns[name] for name in columns.files}
    values |= {name: tuple(value) for name, value in names.items()}
    return PoolArrays(**values)
