"""From names to sets of rows of a project, and what is told of them: compared, and how stable.

A set is named by a saved selection, by the words "pool" and "random", or by a file from elsewhere,
whose conversations are matched with the pool by their content.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import PathError, SelectionError
from deita_core.filtering import PoolColumns
from deita_core.filtering.settling import with_closeness
from deita_core.formats.read import PoolRow, read
from deita_core.project import Project
from deita_core.project.graphs import load_clusters, load_graph
from deita_core.project.models import active_model
from deita_core.project.pool import load_pool_table
from deita_core.project.selections import SavedSelection, find_selection, selection_rows, selections
from deita_core.project.vectors import embedders, load_vectors
from deita_core.selection.analysis.compare import (
    SEEDS,
    Measured,
    RowSet,
    SetComparison,
    compare_sets,
    measure_sets,
    random_set,
)
from deita_core.selection.analysis.stability import Kind, Survival, stability
from deita_core.selection.filters import rule_scores
from deita_core.selection.pool_table import PoolTable
from deita_core.selection.rule import SelectionRule
from deita_core.selection.strategies import find_strategy

Rows = NDArray[np.int64]

POOL: Final = "pool"
RANDOM: Final = "random"
CLUSTER_SEED: Final = 1


@dataclass(frozen=True, slots=True, eq=False)
class FileSet:
    """A file's conversations in the pool.

    found: the set, each row once, in the order of the file. read: rows of the file, of which
    rejected could not be read, unknown are no conversation of the pool, and repeated were there
    before; read = rows of the set + the three.
    """

    found: RowSet
    read: int
    rejected: int
    unknown: int
    repeated: int

    def sentence(self) -> str:
        """How the rows add up (no full stop)."""
        return (
            f"{self.found.name}: {self.read:,} read = {len(self.found.rows):,} of the pool + "
            f"{self.unknown:,} not in it + {self.repeated:,} repeated + {self.rejected:,} rejected"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Compared:
    """Two sets of a project; files: what was read of those that are files."""

    sets: SetComparison
    measured: Measured
    files: tuple[FileSet, ...]


def comparison_table(project: Project) -> PoolTable:
    """The pool with the vectors, graph and clusters of the active embedder, where there are any.

    Raises SelectionError for an empty pool.
    """
    table = load_pool_table(project)
    if not len(table):
        raise SelectionError("the pool is empty: import a file first")
    embedder = active_model(project, "embedding")
    if embedder is None:
        return table
    rows, vectors = load_vectors(project, embedder)
    return table.with_vectors(
        vectors, rows, graph=load_graph(project), cluster=load_clusters(project)
    )


def match_file(table: PoolTable, path: Path) -> FileSet:
    """The conversations of a file that the pool has; FormatError for a file of no known layout.

    They are matched by the hash of roles, texts and tools alone, so the format may be another.
    """
    ids: list[str] = []
    rejected = 0
    for row in read(path):
        if isinstance(row, PoolRow):
            ids.append(row.conversation.id)
        else:
            rejected += 1
    once = tuple(dict.fromkeys(ids))
    rows = table.rows_of(once)
    known = rows[rows >= 0]
    return FileSet(
        RowSet(path.name, known),
        read=len(ids) + rejected,
        rejected=rejected,
        unknown=len(rows) - len(known),
        repeated=len(ids) - len(once),
    )


def compare_named(
    project: Project,
    a: str,
    b: str,
    *,
    seeds: Sequence[int] = SEEDS,
    table: PoolTable | None = None,
) -> Generator[str, None, Compared]:
    """Compares two sets by name; yields which measure it is at.

    A set is the name of a saved selection, "pool", "random" (as many rows as the other, by the
    first seed), or a file. Evol scores are those of the first saved selection's rule, or the
    paper's. table: that of `comparison_table`, where it is at hand.

    Raises PathError for a name that is none of these.
    """
    table = comparison_table(project) if table is None else table
    saved = {one.name: one for one in selections(project)}
    named = [saved[name] for name in (a, b) if name in saved]
    rule = SelectionRule.from_json(named[0].rule) if named else SelectionRule()
    table = with_closeness(table, rule, PoolColumns(project, table))
    scores, files = rule_scores(rule, table), []
    sets: dict[str, RowSet] = {}
    for name in dict.fromkeys((a, b)):
        if name in saved:
            sets[name] = saved_set(project, saved[name])
        elif name == POOL:
            sets[name] = RowSet("the pool", np.arange(len(table)))
        elif name != RANDOM:
            files.append(match_file(table, _file(name, saved)))
            sets[name] = files[-1].found
    if RANDOM in (a, b) and RANDOM not in saved:
        if not sets:
            raise SelectionError("random rows of how many? Compare them with a set that has rows")
        count = len(next(iter(sets.values())).rows)
        drawn = random_set(table, scores, count, seeds[0])
        sets[RANDOM] = RowSet(f"random rows (seed {seeds[0]})", drawn)
    # The first draw is a set of the comparison: the baseline shows the others.
    more = seeds[1:] if RANDOM in sets and RANDOM not in saved and len(seeds) > 1 else seeds
    compared = compare_sets(table, sets[a], sets[b], scores)
    measured = yield from measure_sets(table, compared, scores, seeds=more)
    return Compared(compared, measured, tuple(files))


def saved_set(project: Project, saved: SavedSelection) -> RowSet:
    """The rows of a saved selection, in the order kept."""
    rows, _ = selection_rows(project, saved.selection)
    return RowSet(saved.name, np.array(rows, np.int64))


def _file(name: str, saved: dict[str, SavedSelection]) -> Path:
    path = Path(name).expanduser()
    if not path.is_file():
        names = ", ".join(map(repr, saved)) or "none yet"
        raise PathError(
            f"{name!r} is no saved selection (there are: {names}) and no file: name a selection, "
            f"a file, {POOL!r} or {RANDOM!r}"
        )
    return path


def stability_of(
    project: Project, name: str, *, table: PoolTable | None = None
) -> Generator[str, None, tuple[Survival, ...]]:
    """The stability of a saved selection under each change that the project can try.

    Besides the changes of the rule: every other embedder that has vectors of this pool, under the
    same threshold; and for a strategy that needs clusters, clusters from another seed. table: that
    of `comparison_table`, where it is at hand. Yields what it is at.

    Raises ProjectError for a name that is not there.
    """
    saved = find_selection(project, name)
    rule, rows = SelectionRule.from_json(saved.rule), saved_set(project, saved).rows
    table = comparison_table(project) if table is None else table
    table = with_closeness(table, rule, PoolColumns(project, table))
    others: dict[tuple[Kind, str], PoolTable] = {}
    for one in embedders(project):
        if not one.active and one.embedded:
            numbers, vectors = load_vectors(project, one.embedder)
            others["embedder", f"embedder {one.model}"] = table.with_vectors(vectors, numbers)
    if find_strategy(rule.strategy).needs_clusters and table.cluster is not None:
        yield "clusters"
        others["clusters", f"clusters from seed {CLUSTER_SEED}"] = _clustered_anew(table)
    return (yield from stability(rule, table, rows, others))


def _clustered_anew(table: PoolTable) -> PoolTable:
    from deita_core.map.clusters import cluster

    number = int(table.cluster.max(initial=0)) + 1 if table.cluster is not None else None
    of_rows = np.full(len(table), -1, np.int32)
    of_rows[table.vector_rows] = cluster(table.vectors, number, seed=CLUSTER_SEED)
    return table.with_vectors(table.vectors, table.vector_rows, graph=table.graph, cluster=of_rows)
