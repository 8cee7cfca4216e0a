"""From names to sets of rows of a project, and what is told of them: compared, and how stable.

A set is named by a saved selection, by the words "pool" and "random", or by a file from elsewhere,
whose conversations are matched with the pool by their content. A name that could be two of these
is refused; jobs know sets by keys, which are never taken for one another.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import PathError, SelectionError
from deita_core.filtering import PoolColumns
from deita_core.filtering.settling import for_rule
from deita_core.formats.read import PoolRow, read
from deita_core.jobs.kind import absolute
from deita_core.progress import Stage
from deita_core.project import Project
from deita_core.project.graphs import graph_key, load_clusters, load_graph
from deita_core.project.ledger import decisions_version
from deita_core.project.measured import keep_stability, kept_measures, kept_stability
from deita_core.project.models import active_model
from deita_core.project.pool import load_pool_table
from deita_core.project.selections import SavedSelection, find_selection, selection_rows, selections
from deita_core.project.turn_tags import turn_tags_version
from deita_core.project.vectors import embedders, load_vectors
from deita_core.selection.analysis.compare import (
    COVERED_AT,
    SEEDS,
    Figure,
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
_SELECTION, _FILE = "selection:", "file:"
CLUSTER_SEED: Final = 1
# Part of the key of what is kept: raise it when a measure or a change of a rule changes.
_REVISION: Final = 1
_BY_RULE: Final = ("admitted", "closeness", "closeness_to", "tags", "tag_names")
_COUNTS: Final = ("read", "rejected", "unknown", "repeated")
_NOT_IN_KEY: Final = ("vectors", "vector_rows", "cluster", "xy", *_BY_RULE)
_TOLD = 1024  # rows of a file between two words on it
_TEXTS, _SHOWN = 200, 200  # texts of nobody's conversations that are kept, and characters of each


@dataclass(frozen=True, slots=True, eq=False)
class FileSet:
    """A file's conversations in the pool.

    found: the set, each row once, in the order of the file. read: rows of the file, of which
    rejected could not be read, unknown are no conversation of the pool, and repeated were there
    before; read = rows of the set + the three. unmatched: of the first 200 unknown ones the
    position in the file, from 0, and how they begin.
    """

    found: RowSet
    read: int
    rejected: int
    unknown: int
    repeated: int
    unmatched: tuple[tuple[int, str], ...] = ()

    def sentence(self) -> str:
        """How the rows add up (no full stop)."""
        return (
            f"{self.found.name}: {self.read:,} read = {len(self.found.rows):,} of the pool + "
            f"{self.unknown:,} not in it + {self.repeated:,} repeated + {self.rejected:,} rejected"
        )


@dataclass(frozen=True, slots=True, eq=False)
class Named:
    """Two sets by name, compared. table, scores: the pool, and the evol score of each row, (n,).

    files: what was read of those that are files.
    """

    sets: SetComparison
    table: PoolTable
    scores: NDArray[np.float64]
    files: tuple[FileSet, ...]


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


def match_file(
    table: PoolTable, path: Path, told: Callable[[int], None] = lambda read: None
) -> FileSet:
    """The conversations of a file that the pool has; FormatError for a file of no known layout.

    They are matched by the hash of roles, texts and tools alone, so the format may be another.
    told: hears now and then how many rows were read.
    """
    positions: dict[str, int] = {}
    begins: list[str] = []
    good = rejected = 0
    for row in read(path):
        if (good + rejected) % _TOLD == 0:
            told(good + rejected)
        if not isinstance(row, PoolRow):
            rejected += 1
            continue
        good += 1
        if row.conversation.id not in positions:
            positions[row.conversation.id] = row.position
            begins.append(_begin(row))
    rows = table.rows_of(tuple(positions))
    known, unknown = rows[rows >= 0], np.flatnonzero(rows < 0)
    places = list(positions.values())
    return FileSet(
        RowSet(path.name, known),
        read=good + rejected,
        rejected=rejected,
        unknown=len(unknown),
        repeated=good - len(positions),
        unmatched=tuple((places[one], begins[one]) for one in unknown[:_TEXTS].tolist()),
    )


def _begin(row: PoolRow) -> str:
    return next((m.content[:_SHOWN] for m in row.conversation.messages if m.role == "user"), "")


def compare_named(
    project: Project,
    a: str,
    b: str,
    *,
    seeds: Sequence[int] = SEEDS,
    table: PoolTable | None = None,
) -> Generator[Stage, None, Compared]:
    """Compares two sets by name, see `named_sets`, and measures them; yields what it is at."""
    named = named_sets(project, a, b, seed=seeds[0], table=table)
    measured = yield from measure_sets(named.table, named.sets, named.scores, seeds=seeds)
    return Compared(named.sets, measured, named.files)


def named_sets(
    project: Project, a: str, b: str, *, seed: int = SEEDS[0], table: PoolTable | None = None
) -> Named:
    """Two sets by name, see `key_of_name`.

    Evol scores are those of the first saved selection's rule, or the paper's. table: that of
    `comparison_table`, where it is at hand.

    Raises PathError for a name that is none, SelectionError for one that could be several.
    """
    keys = key_of_name(project, a), key_of_name(project, b)
    return sets_of_keys(project, *keys, seed=seed, table=table)


def key_of_name(project: Project, name: str) -> str:
    """What a set is known by, whatever selections and files are called.

    A name is that of a saved selection, "pool", "random" (as many rows as the other set, drawn by
    a seed), a file, or "selection:NUMBER". The key is "pool", "random", "selection:NUMBER" or
    "file:PATH".

    Raises PathError for a name that is none of these, SelectionError for one that could be two.
    """
    saved = {one.name: one for one in selections(project)}
    meant = dict.fromkeys([_SELECTION + str(saved[name].selection)] if name in saved else [])
    if name in (POOL, RANDOM) or any(name == selection_key(one) for one in saved.values()):
        meant[name] = None
    elif (path := Path(name).expanduser()).is_file():
        meant[file_key(path)] = None
    if len(meant) > 1:
        chosen, other = meant
        is_file = other.startswith(_FILE)
        raise SelectionError(
            f"{name!r} is a saved selection and {'a file' if is_file else 'means other rows too'}: "
            f"write {chosen} for the selection; for the other, "
            + (f"write ./{name}" if is_file else "rename the selection on the Select page")
        )
    if not meant:
        names = ", ".join(map(repr, saved)) or "none yet"
        raise PathError(
            f"{name!r} is no saved selection (there are: {names}) and no file: name a selection, "
            f"a file, {POOL!r} or {RANDOM!r}"
        )
    return next(iter(meant))


def selection_key(saved: SavedSelection) -> str:
    """The key of a saved selection, for `sets_of_keys`."""
    return f"{_SELECTION}{saved.selection}"


def file_key(path: Path) -> str:
    """The key of a file's rows, for `sets_of_keys`."""
    return f"{_FILE}{path}"


def sets_of_keys(
    project: Project, a: str, b: str, *, seed: int = SEEDS[0], table: PoolTable | None = None
) -> Named:
    """Two sets by what `key_of_name`, `selection_key` and `file_key` give; see `named_sets`.

    Raises SelectionError for a selection that was deleted, and for random rows on both sides.
    """
    table = comparison_table(project) if table is None else table
    saved = {selection_key(one): one for one in selections(project)}
    rules = [saved[key].rule for key in (a, b) if key in saved]
    rule = SelectionRule.from_json(rules[0]) if rules else SelectionRule()
    table = for_rule(table, rule, PoolColumns(project, table))
    scores, files = rule_scores(rule, table), []
    sets: dict[str, RowSet] = {}
    for key in dict.fromkeys((a, b)):
        if key in saved:
            sets[key] = saved_set(project, saved[key])
        elif key == POOL:
            sets[key] = RowSet("the pool", np.arange(len(table)))
        elif key.startswith(_FILE):
            path = Path(key.removeprefix(_FILE))
            files.append(kept_match(project, table, path) or match_file(table, path))
            sets[key] = files[-1].found
        elif key != RANDOM:
            raise SelectionError(f"there is no {key} any more: choose another one")
    if RANDOM in (a, b):
        if not sets:
            raise SelectionError("random rows of how many? Compare them with a set that has rows")
        count = len(next(iter(sets.values())).rows)
        drawn = random_set(table, scores, count, seed)
        sets[RANDOM] = RowSet(f"random rows (seed {seed})", drawn)
    compared = compare_sets(table, sets[a], sets[b], scores)
    return Named(compared, table, scores, tuple(files))


def saved_set(project: Project, saved: SavedSelection) -> RowSet:
    """The rows of a saved selection, in the order kept."""
    rows, _ = selection_rows(project, saved.selection)
    return RowSet(saved.name, np.array(rows, np.int64))


def stability_of(
    project: Project, name: str, *, table: PoolTable | None = None
) -> Generator[Stage, None, tuple[Survival, ...]]:
    """The stability of a saved selection under each change that the project can try.

    Besides the changes of the rule: every other embedder that has vectors of this pool, under the
    same threshold; and for a strategy that needs clusters, clusters from another seed. table: that
    of `comparison_table`, where it is at hand. Yields what it is at.

    Raises ProjectError for a name that is not there.
    """
    saved = find_selection(project, name)
    rule = SelectionRule.from_json(saved.rule)
    rows, table = saved_set(project, saved).rows, stability_table(project, rule, table)
    others = {model: load_vectors(project, number) for model, number in other_embedders(project)}
    return (yield from stability_steps(rule, table, rows, others))


def kept_stability_of(project: Project, name: str) -> Generator[Stage, None, tuple[Survival, ...]]:
    """The stability kept with the selection, where nothing that it is made from has changed since;
    else that of `stability_of`, which is kept from now on."""
    saved = find_selection(project, name)
    table = comparison_table(project)
    key = stability_key(project, saved, table, saved_set(project, saved).rows)
    kept = kept_stability(project, saved.selection)
    if kept is not None and kept.key == key:
        return read_stability(kept.found)
    found = yield from stability_of(project, name, table=table)
    keep_stability(project, saved.selection, key, [asdict(one) for one in found])
    return found


def stability_table(
    project: Project, rule: SelectionRule, table: PoolTable | None = None
) -> PoolTable:
    """What `stability_steps` takes: the pool, with the closeness that the rule asks for."""
    table = comparison_table(project) if table is None else table
    return for_rule(table, rule, PoolColumns(project, table))


def other_embedders(project: Project) -> list[tuple[str, int]]:
    """Name and number of each embedder that is not the active one and has vectors of the pool."""
    return [(e.model, e.embedder) for e in embedders(project) if not e.active and e.embedded]


def stability_steps(
    rule: SelectionRule,
    table: PoolTable,
    rows: Rows,
    others: Mapping[str, tuple[NDArray[np.integer], NDArray[np.floating]]],
) -> Generator[Stage, None, tuple[Survival, ...]]:
    """See `stability_of`. rows: (k,), of the selection. others: of each other embedder the rows
    and their vectors."""
    tables: dict[tuple[Kind, str], PoolTable] = {
        ("embedder", f"embedder {model}"): table.with_vectors(vectors, numbers)
        for model, (numbers, vectors) in others.items()
    }
    if find_strategy(rule.strategy).needs_clusters and table.cluster is not None:
        tables["clusters", f"clusters from seed {CLUSTER_SEED}"] = _clustered_anew(table)
    return (yield from stability(rule, table, rows, tables))


def _clustered_anew(table: PoolTable) -> PoolTable:
    from deita_core.map.clusters import cluster

    number = int(table.cluster.max(initial=0)) + 1 if table.cluster is not None else None
    of_rows = np.full(len(table), -1, np.int32)
    of_rows[table.vector_rows] = cluster(table.vectors, number, seed=CLUSTER_SEED)
    return table.with_vectors(table.vectors, table.vector_rows, graph=table.graph, cluster=of_rows)


# what is kept


def measures_key(
    project: Project,
    table: PoolTable,
    found: SetComparison,
    scores: NDArray[np.float64],
    seeds: Sequence[int] = SEEDS,
) -> str:
    """The key of the measures of two sets: the same for the same rows, scores and vectors."""
    said = json.dumps([_REVISION, COVERED_AT, list(seeds)])
    return _key(project, table, said, found.a.rows, found.b.rows, scores)


def stability_key(project: Project, saved: SavedSelection, table: PoolTable, rows: Rows) -> str:
    """The key of a selection's stability: the same for the same rule, rows, pool and embedders."""
    rivals = [graph_key(project, number) for _, number in other_embedders(project)]
    looks = find_strategy(SelectionRule.from_json(saved.rule).strategy).needs_tags
    tags = decisions_version(project) + turn_tags_version(project) if looks else 0
    said = json.dumps([_REVISION, CLUSTER_SEED, saved.rule, rivals, tags])
    clusters = load_clusters(project)
    return _key(project, table, said, rows, *([] if clusters is None else [clusters]))


def _key(project: Project, table: PoolTable, said: str, *arrays: NDArray[Any]) -> str:
    """A hash of all of them, of the pool's columns, and of what its vectors are."""
    digest = hashlib.sha256(said.encode())
    embedder = active_model(project, "embedding")
    vectors = None if embedder is None else graph_key(project, embedder)
    digest.update(json.dumps(vectors, sort_keys=True).encode())
    columns = [getattr(table, one.name) for one in fields(table) if one.name not in _NOT_IN_KEY]
    for one in (*columns, *arrays):
        if isinstance(one, np.ndarray):
            digest.update(f"{one.dtype} {one.shape};".encode())
            digest.update(np.ascontiguousarray(one).tobytes())
        elif isinstance(one, tuple):
            digest.update(json.dumps(one).encode())
    return digest.hexdigest()


def match_key(table: PoolTable, path: Path) -> str:
    """The key of what the pool has of a file: the same for the same file and rows of the pool.

    Raises PathError for a file that is not there.
    """
    path = absolute(path)
    try:
        found = path.stat()
    except OSError as error:
        raise PathError(f"{path} cannot be read: {error}; choose another file") from error
    said = json.dumps([_REVISION, str(path), found.st_size, found.st_mtime_ns])
    digest = hashlib.sha256(said.encode())
    if table.ids is not None:
        digest.update(np.ascontiguousarray(table.ids).tobytes())
    return digest.hexdigest()


def kept_match(project: Project, table: PoolTable, path: Path) -> FileSet | None:
    """What a job found the pool to have of a file, while neither has changed."""
    kept = kept_measures(project, match_key(table, path))
    return None if kept is None else read_file_set(kept.found)


def file_record(found: FileSet) -> dict[str, Any]:
    """What the pool has of a file as a value of JSON; `read_file_set` is the inverse."""
    counts = {name: getattr(found, name) for name in _COUNTS}
    rows = {"name": found.found.name, "rows": found.found.rows.tolist()}
    return rows | counts | {"unmatched": found.unmatched}


def read_file_set(record: Mapping[str, Any]) -> FileSet:
    """What the pool has of a file from what `file_record` gave."""
    rows = RowSet(record["name"], np.array(record["rows"], np.int64))
    unmatched = tuple((position, text) for position, text in record["unmatched"])
    return FileSet(rows, **{name: record[name] for name in _COUNTS}, unmatched=unmatched)


def measured_record(measured: Measured) -> dict[str, Any]:
    """The measures as a value of JSON; `read_measured` is the inverse."""
    return asdict(measured)


def read_measured(record: Mapping[str, Any]) -> Measured:
    """The measures from what `measured_record` gave."""
    figures = (Figure(**{**one, "random": tuple(one["random"])}) for one in record["figures"])
    return Measured(tuple(figures), tuple(record["chance"]), tuple(record["waiting"]))


def read_stability(record: Sequence[Mapping[str, Any]]) -> tuple[Survival, ...]:
    """The stability from its lines as values of JSON (`asdict` of each)."""
    return tuple(Survival(**one) for one in record)
