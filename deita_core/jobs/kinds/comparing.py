"""The jobs of a comparison: a file's rows in the pool, measures of two sets, stability."""

from __future__ import annotations

import json
from collections.abc import Generator
from dataclasses import asdict
from pathlib import Path
from typing import TypeVar

import numpy as np

from deita_core.errors import JobError, PathError
from deita_core.jobs.compare_sets import (
    file_record,
    match_file,
    match_key,
    measured_record,
    measures_key,
    other_embedders,
    saved_set,
    sets_of_keys,
    stability_key,
    stability_steps,
    stability_table,
)
from deita_core.jobs.handover import Identities, Part, WorkerChannel
from deita_core.jobs.kind import JobSpec, OutPath
from deita_core.jobs.kinds.select_rows import read_table, write_table
from deita_core.jobs.kinds.similarity import write_graph_place
from deita_core.progress import Stage, finish
from deita_core.project import Project
from deita_core.project.job_log import Progress
from deita_core.project.measured import keep_measures, keep_stability
from deita_core.project.pool import load_pool_table
from deita_core.project.selections import SavedSelection, selections
from deita_core.project.vectors import load_vectors
from deita_core.selection.analysis.compare import RowSet, compare_sets, measure_sets
from deita_core.selection.rule import SelectionRule

Result = TypeVar("Result")


class MatchSpec(JobSpec):
    """Finds the rows of the pool that a file from elsewhere holds."""

    kind = "match"
    label = "Matching a file"
    unit = "rows"

    file: OutPath

    def check(self, project: Project) -> None:
        """Raises PathError for a file that is not there."""
        if not self.file.is_file():
            raise PathError(f"there is no file {self.file}: choose another one")

    def prepare(self, project: Project, identities: Identities, folder: Path) -> int:
        """Write the ids of the pool and the key of the result."""
        table = load_pool_table(project)
        write_table(table, folder)
        (folder / "key").write_text(match_key(table, self.file), encoding="utf-8")
        return len(table)

    def work(self, channel: WorkerChannel) -> None:
        folder, _ = channel.get_input()

        def told(read: int) -> None:
            channel.check()
            channel.report(Progress(done=read))

        found = match_file(read_table(folder), self.file, told)
        key = (folder / "key").read_text(encoding="utf-8")
        channel.put(Part({}, {"key": key, "found": file_record(found)}))

    def commit(self, project: Project, identities: Identities, part: Part) -> None:
        keep_measures(project, part.meta["key"], part.meta["found"])


class MeasuresSpec(JobSpec):
    """Measures two sets, each by its key as `sets_of_keys` takes it, beside random rows."""

    kind = "measures"
    label = "Measures"
    unit = "steps"

    a: str
    b: str

    def prepare(self, project: Project, identities: Identities, folder: Path) -> int:
        """Write the pool, the rows of both sets, the evol scores and the key of the result."""
        named = sets_of_keys(project, self.a, self.b)
        write_table(named.table, folder)
        write_graph_place(project, folder)
        sets = named.sets
        np.savez(folder / "sets.npz", a=sets.a.rows, b=sets.b.rows, scores=named.scores)
        key = measures_key(project, named.table, sets, named.scores)
        (folder / "key").write_text(key, encoding="utf-8")
        return len(named.table)

    def work(self, channel: WorkerChannel) -> None:
        folder, _ = channel.get_input()
        table = read_table(folder)
        with np.load(folder / "sets.npz") as sets:
            a, b, scores = sets["a"], sets["b"], sets["scores"]
        found = compare_sets(table, RowSet("A", a), RowSet("B", b), scores)
        measured = _told(measure_sets(table, found, scores), channel)
        key = (folder / "key").read_text(encoding="utf-8")
        channel.put(Part({}, {"key": key, "found": measured_record(measured)}))

    def commit(self, project: Project, identities: Identities, part: Part) -> None:
        keep_measures(project, part.meta["key"], part.meta["found"])


class StabilitySpec(JobSpec):
    """Tries a saved selection, by its number, under every change that the project can try."""

    kind = "stability"
    label = "Stability"
    unit = "steps"

    selection: int

    def check(self, project: Project) -> None:
        """Raises JobError for a selection that is not there."""
        self._saved(project)

    def _saved(self, project: Project) -> SavedSelection:
        for one in selections(project):
            if one.selection == self.selection:
                return one
        raise JobError(f"there is no selection {self.selection}: choose another one")

    def prepare(self, project: Project, identities: Identities, folder: Path) -> int:
        """Write the pool, the selection with its rule, other vectors and the key of the result."""
        saved = self._saved(project)
        rule, rows = SelectionRule.from_json(saved.rule), saved_set(project, saved).rows
        table = stability_table(project, rule)
        write_table(table, folder)
        write_graph_place(project, folder)
        np.save(folder / "selected.npy", rows)
        models = other_embedders(project)
        for place, (_, number) in enumerate(models):
            numbers, vectors = load_vectors(project, number)
            np.save(folder / f"rows-{place}.npy", numbers)
            np.save(folder / f"vectors-{place}.npy", vectors)
        key = stability_key(project, saved, table, rows)
        said = {"key": key, "rule": saved.rule, "models": [model for model, _ in models]}
        (folder / "asked.json").write_text(json.dumps(said), encoding="utf-8")
        return len(rows)

    def work(self, channel: WorkerChannel) -> None:
        folder, _ = channel.get_input()
        asked = json.loads((folder / "asked.json").read_text(encoding="utf-8"))
        others = {
            model: (np.load(folder / f"rows-{place}.npy"), np.load(folder / f"vectors-{place}.npy"))
            for place, model in enumerate(asked["models"])
        }
        rule, rows = SelectionRule.from_json(asked["rule"]), np.load(folder / "selected.npy")
        steps = stability_steps(rule, read_table(folder), rows, others)
        found = [asdict(one) for one in _told(steps, channel)]
        channel.put(Part({}, {"key": asked["key"], "found": found}))

    def commit(self, project: Project, identities: Identities, part: Part) -> None:
        keep_stability(project, self.selection, part.meta["key"], part.meta["found"])


def _told(steps: Generator[Stage, None, Result], channel: WorkerChannel) -> Result:
    def tell(at: Stage) -> None:
        channel.report(Progress(stage=at.what, done=at.done, total=at.total))

    return finish(steps, tell)
