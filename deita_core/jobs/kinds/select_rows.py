"""From a project to a selection and back into it: at once, or by a job that shows its progress."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from deita_core.errors import SelectionError
from deita_core.filtering import PoolColumns, settled
from deita_core.filtering.settling import for_rule
from deita_core.jobs.handover import Identities, Part, WorkerChannel
from deita_core.jobs.kind import JobSpec
from deita_core.jobs.kinds.similarity import read_graph, write_graph_place
from deita_core.progress import finish
from deita_core.project import Project
from deita_core.project.graphs import load_clusters, load_graph
from deita_core.project.job_log import Progress
from deita_core.project.models import active_model
from deita_core.project.pins import pins
from deita_core.project.pool import load_pool_table
from deita_core.project.selections import save_selection
from deita_core.project.vectors import load_vectors
from deita_core.selection.outcome import Outcome, select, select_steps
from deita_core.selection.pool_table import PoolTable
from deita_core.selection.rule import EACH, SelectionRule
from deita_core.selection.strategies import find_strategy


def selection_input(
    project: Project, arrays: PoolTable | None = None, *, rule: SelectionRule | None = None
) -> PoolTable:
    """The pool as `select` takes it, with the vectors of the active embedder.

    With the similarity graph and the clusters where the project has them, and with the closeness
    to the examples of the rule.
    Raises SelectionError when the pool is empty, not scored or not embedded, saying what to do.
    """
    arrays = load_pool_table(project) if arrays is None else arrays
    if not len(arrays):
        raise SelectionError("the pool is empty: import a file first")
    if np.isnan(arrays.turn_complexity).all() and np.isnan(arrays.turn_quality).all():
        raise SelectionError("no conversation has a score: score the pool first")
    embedder = active_model(project, "embedding")
    if embedder is None:
        raise SelectionError("no conversation has an embedding: embed the pool first")
    rows, vectors = load_vectors(project, embedder)
    graph, cluster = load_graph(project), load_clusters(project)
    table = arrays.with_vectors(vectors, rows, graph=graph, cluster=cluster)
    return table if rule is None else for_rule(table, rule, PoolColumns(project, table))


def with_pins(rule: SelectionRule, project: Project) -> SelectionRule:
    """The rule with the project's pins and exclusions by hand added to its own.

    Where the two disagree about a conversation, the rule has its way.
    """
    by_hand = pins(project)

    def joined(own: Iterable[str], more: Iterable[str], opposite: Iterable[str]) -> tuple[str, ...]:
        against = set(opposite)
        return tuple(dict.fromkeys([*own, *(one for one in more if one not in against)]))

    return replace(
        rule,
        pinned=joined(rule.pinned, by_hand.pinned, rule.excluded),
        excluded=joined(rule.excluded, by_hand.excluded, rule.pinned),
    )


def check_rule_names(rule: SelectionRule, arrays: PoolTable) -> None:
    """Raises SelectionError for a language, source or flag that no row of the pool has."""
    find_strategy(rule.strategy)

    def named(column: str) -> tuple[str, ...]:
        return tuple(q.name for q in rule.quotas if q.column == column and q.name != EACH)

    known = {
        "language": (rule.languages + named("language"), arrays.language_names),
        "source": (rule.sources + named("source"), arrays.source_names),
        "flag": (rule.excluded_flags + named("flag"), arrays.flag_names),
    }
    for what, (wanted, names) in known.items():
        for name in wanted:
            if name not in names:
                raise SelectionError(
                    f"no row of this pool has the {what} {name!r}; it has {', '.join(names)}"
                )


def select_and_save(
    project: Project, rule: SelectionRule, name: str, *, notes: str = "", replace: bool = False
) -> Outcome:
    """Apply a rule to the project's pool and keep the result under a name."""
    table = selection_input(project, rule=rule)
    check_rule_names(rule, table)
    outcome = select(settled(rule, PoolColumns(project, table)), table)
    save_outcome(project, outcome, name, notes=notes, replace=replace)
    return outcome


def save_outcome(
    project: Project,
    outcome: Outcome,
    name: str,
    *,
    notes: str = "",
    author: str = "",
    replace: bool = False,
    replaces: int | None = None,
) -> int:
    """Keep an outcome under a name (see `save_selection`); returns the selection's number."""
    rule, said, kept = outcome.rule.to_json(), outcome.sentence(), outcome.kept
    scores = outcome.scores[kept]
    return save_selection(
        project,
        name,
        rule,
        said,
        kept,
        scores,
        notes=notes,
        author=author,
        replace=replace,
        replaces=replaces,
    )


class SelectSpec(JobSpec):
    """Selects with progress.

    rule: JSON of a SelectionRule, of which a filter is settled. name: what the selection is
    called; replaces one of it.
    """

    kind = "select"
    label = "Select"
    unit = "rows"

    rule: str
    name: str
    notes: str = ""

    def prepare(self, project: Project, identities: Identities, folder: Path) -> int:
        """Write the pool's columns and vectors, and where their similarity graph is."""
        rule = SelectionRule.from_json(self.rule)
        table = selection_input(project, rule=rule)
        check_rule_names(rule, table)
        write_table(table, folder)
        write_graph_place(project, folder)
        return len(table)

    def work(self, channel: WorkerChannel) -> None:
        import pyarrow as pa

        folder, total = channel.get_input()
        outcome = finish(
            select_steps(SelectionRule.from_json(self.rule), read_table(folder)),
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


def write_table(table: PoolTable, folder: Path) -> None:
    """The vectors as vectors.npy, the other columns as columns.npz, their names as names.json."""
    values = {field.name: getattr(table, field.name) for field in fields(table)}
    names = {name: value for name, value in values.items() if isinstance(value, tuple)}
    (folder / "names.json").write_text(json.dumps(names), encoding="utf-8")
    np.save(folder / "vectors.npy", values.pop("vectors"))
    columns: dict[str, Any] = {n: v for n, v in values.items() if isinstance(v, np.ndarray)}
    np.savez(folder / "columns.npz", **columns)


def read_table(folder: Path) -> PoolTable:
    """What `write_table` wrote, with the similarity graph where it lies; vectors by memory map."""
    names = json.loads((folder / "names.json").read_text(encoding="utf-8"))
    with np.load(folder / "columns.npz") as columns:
        values: dict[str, Any] = {name: columns[name] for name in columns.files}
    values |= {name: tuple(value) for name, value in names.items()}
    vectors = np.load(folder / "vectors.npy", mmap_mode="r")
    return PoolTable(**values, vectors=vectors, graph=read_graph(folder))
