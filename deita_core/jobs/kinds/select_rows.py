"""The job that applies a selection rule to the whole pool and saves the result under a name."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np

from deita_core.jobs.curate import check_rule_names, selection_input
from deita_core.jobs.handover import Identities, Part, WorkerChannel
from deita_core.jobs.kind import JobSpec
from deita_core.jobs.kinds.similarity import read_graph, write_graph_place
from deita_core.progress import finish
from deita_core.project import Project
from deita_core.project.job_log import Progress
from deita_core.project.selections import save_selection
from deita_core.selection.outcome import select_steps
from deita_core.selection.pool_table import PoolTable
from deita_core.selection.rule import SelectionRule


class SelectSpec(JobSpec):
    """Selects with progress.

    rule: JSON of a SelectionRule. name: what the selection is called; replaces one of it.
    """

    kind = "select"
    label = "Select"
    unit = "rows"

    rule: str
    name: str
    notes: str = ""

    def prepare(self, project: Project, identities: Identities, folder: Path) -> int:
        """Write the pool's columns and vectors, and where their similarity graph is."""
        table = selection_input(project)
        check_rule_names(SelectionRule.from_json(self.rule), table)
        _write_table(table, folder)
        write_graph_place(project, folder)
        return len(table)

    def work(self, channel: WorkerChannel) -> None:
        """Hand over the rows kept."""
        import pyarrow as pa

        folder, total = channel.get_input()
        outcome = finish(
            select_steps(SelectionRule.from_json(self.rule), _read_table(folder)),
            lambda step: channel.report(
                Progress(stage="selecting", done=step.visited, total=total, found=step.kept)
            ),
        )
        kept = outcome.kept
        columns = {"row": pa.array(kept, pa.int64()), "score": pa.array(outcome.scores[kept])}
        channel.put(Part({"kept": pa.table(columns)}, {"sentence": outcome.sentence()}))
        channel.report(Progress(done=total, total=total, result=(outcome.sentence(),)))

    def commit(self, project: Project, identities: Identities, part: Part) -> None:
        """Save the selection; the same batch again replaces it."""
        kept = part.tables["kept"]
        save_selection(
            project,
            self.name,
            self.rule,
            part.meta["sentence"],
            kept["row"].to_numpy(),
            kept["score"].to_numpy(),
            notes=self.notes,
            replace=True,
        )


def _write_table(table: PoolTable, folder: Path) -> None:
    """The vectors as vectors.npy, the other columns as columns.npz, their names as names.json."""
    values = {field.name: getattr(table, field.name) for field in fields(table)}
    names = {name: value for name, value in values.items() if isinstance(value, tuple)}
    (folder / "names.json").write_text(json.dumps(names), encoding="utf-8")
    np.save(folder / "vectors.npy", values.pop("vectors"))
    columns: dict[str, Any] = {n: v for n, v in values.items() if isinstance(v, np.ndarray)}
    np.savez(folder / "columns.npz", **columns)


def _read_table(folder: Path) -> PoolTable:
    names = json.loads((folder / "names.json").read_text(encoding="utf-8"))
    with np.load(folder / "columns.npz") as columns:
        values: dict[str, Any] = {name: columns[name] for name in columns.files}
    values |= {name: tuple(value) for name, value in names.items()}
    vectors = np.load(folder / "vectors.npy", mmap_mode="r")
    return PoolTable(**values, vectors=vectors, graph=read_graph(folder))
