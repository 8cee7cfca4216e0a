"""`deita check`: a project held against itself, table by table, vector by vector, edge by edge.

A finding says what is wrong and what to do. What can be computed again (scores, vectors, points of
the map, the graph) can be mended: what is wrong is taken out, and the command named makes it anew.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from deita_core.conversation import Conversation
from deita_core.errors import ProjectDamagedError, ProjectError
from deita_core.project.graphs import delete_graphs, graph_folder, is_graph_damaged
from deita_core.project.pool import sources
from deita_core.project.store import Project
from deita_core.project.vectors import embedders, load_vectors
from deita_core.similarity.definition import cosines, pair_cosines, usable_rows
from deita_core.similarity.graph import SimilarityGraph, altered_files, open_graph

# Adding up in another order can move the last of the 12 decimals of a similarity.
_ROUNDING = 1e-11
_EDGES, _ROWS = 5000, 32  # of a graph that are looked at without `deep`
_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class Finding:
    """Something wrong with a project, in words, and what to do about it.

    table, rows: what `mend` takes out, as a condition of SQL; "" where it cannot mend.
    """

    sentence: str
    remedy: str
    table: str = ""
    rows: str = ""


@dataclass(frozen=True, slots=True)
class _Rule:
    """What no row of a table may be: `wrong`, a condition on the row `t`."""

    table: str
    wrong: str
    sentence: str


def _missing(other: str, *columns: str) -> str:
    same = " AND ".join(f"o.{column} = t.{column}" for column in columns)
    return f"NOT EXISTS (SELECT 1 FROM {other} o WHERE {same})"  # noqa: S608 - tables and columns are named in this file


def _doubled(table: str, *columns: str) -> str:
    return f"t.rowid NOT IN (SELECT min(rowid) FROM {table} GROUP BY {', '.join(columns)})"  # noqa: S608 - tables and columns are named in this file


_NO_ROW = _missing("conversations", "row")
_RULES = (
    _Rule("conversations", _doubled("conversations", "row"), "rows have the number of another"),
    _Rule("conversations", _doubled("conversations", "id"), "rows have the id of another"),
    _Rule("conversations", _missing("sources", "source"), "rows are from a file that is not there"),
    _Rule("rejects", _missing("sources", "source"), "rejects are from a file that is not there"),
    _Rule("duplicates", _missing("sources", "source"), "duplicates are from a file not there"),
    _Rule("duplicates", _missing("conversations", "id"), "duplicates are of a row not there"),
    _Rule("turns", _NO_ROW, "turns are of a row that is not there"),
    _Rule("turns", _doubled("turns", "row", "turn"), "turns stand twice"),
    _Rule(
        "conversations",
        "t.turns <> (SELECT count(*) FROM turns o WHERE o.row = t.row)",
        "rows have more or fewer turns than they say",
    ),
    _Rule("selection_rows", _NO_ROW, "selected rows are not there"),
    _Rule("selection_rows", _missing("selections", "selection"), "rows are of no selection"),
    _Rule("stabilities", _missing("selections", "selection"), "stabilities are of no selection"),
    _Rule("selection_rows", _doubled("selection_rows", "selection", "row"), "rows stand twice"),
    _Rule("selection_rows", _doubled("selection_rows", "selection", "rank"), "ranks stand twice"),
    _Rule("cluster_rows", _NO_ROW, "rows of clusters are not there"),
    _Rule("cluster_rows", _doubled("cluster_rows", "row"), "rows are in several clusters"),
    _Rule("cluster_rows", _missing("clusters", "cluster"), "rows are in a cluster without a name"),
    _Rule("clusters", _doubled("clusters", "cluster"), "clusters have the number of another"),
    _Rule("text_duplicates", _NO_ROW, "near-duplicates by text are not there"),
    _Rule("text_duplicates", _doubled("text_duplicates", "row"), "near-duplicates stand twice"),
    _Rule("benchmark_pairs", _NO_ROW, "rows that a benchmark found are not there"),
    _Rule("benchmark_pairs", _missing("benchmarks", "benchmark"), "pairs are of no benchmark"),
    _Rule("decisions", _NO_ROW, "decisions are about rows that are not there"),
    _Rule("decisions", _doubled("decisions", "number"), "decisions have the number of another"),
    _Rule("queue_rows", _NO_ROW, "rows of queues are not there"),
    _Rule("queue_rows", _missing("queues", "queue"), "rows are of no queue"),
    _Rule("queue_rows", _doubled("queue_rows", "queue", "row"), "rows stand twice in a queue"),
    _Rule("chains", _missing("turns", "row", "turn"), "seeds are of a turn that is not there"),
    *(
        _Rule(table, _missing("chains", "evolution", "chain"), f"{table} are of no chain")
        for table in ("variants", "rankings", "rank_edits")
    ),
    _Rule("chains", _missing("evolutions", "evolution"), "chains are of no evolution"),
    _Rule(
        "variants",
        _doubled("variants", "evolution", "chain", "round", "attempt"),
        "variants stand twice",
    ),
    _Rule("turn_tags", _missing("turns", "row", "turn"), "tags are of a turn that is not there"),
    _Rule("turn_tags", _doubled("turn_tags", "scorer", "row", "turn"), "tags stand twice"),
    _Rule("scores", _missing("turns", "row", "turn"), "scores are of a turn that is not there"),
    _Rule("scores", _doubled("scores", "scorer", "row", "turn"), "scores stand twice"),
    _Rule("scores", "NOT isfinite(t.score)", "scores are not finite"),
    _Rule("embeddings", _NO_ROW, "vectors are of a row that is not there"),
    _Rule("embeddings", _doubled("embeddings", "embedder", "row"), "vectors stand twice"),
    _Rule(
        "embeddings",
        "coalesce(len(t.vector), octet_length(t.half) // 2) <> "
        "(SELECT any_value(m.width) FROM models m WHERE m.model = t.embedder)",
        "vectors are of another width than their embedder's",
    ),
    _Rule("map_points", _NO_ROW, "points of the map are of a row that is not there"),
    _Rule("map_points", _doubled("map_points", "embedder", "row"), "points of the map stand twice"),
    _Rule("map_points", "NOT (isfinite(t.x) AND isfinite(t.y))", "points of the map are nowhere"),
    *(
        _Rule(
            table,
            f"NOT EXISTS (SELECT 1 FROM models m WHERE m.model = t.{column})",  # noqa: S608 - tables and columns are named in this file
            f"{table} are of a model that is not there",
        )
        for table, column in (
            ("scores", "scorer"),
            ("turn_tags", "scorer"),
            ("embeddings", "embedder"),
        )
    ),
)
# What `mend` may take out of, and what makes it anew.
_AGAIN = {"scores": "score", "embeddings": "embed", "map_points": "map"}
_RESTORE = "bring a snapshot back (`deita snapshot --list`), or import the files anew"


def check_project(project: Project, *, deep: bool = False) -> list[Finding]:
    """Everything that is wrong with an open project; empty when all is well.

    deep: also compares all pairs of rows again and holds every edge of the graph against them,
    instead of a sample. Changes nothing.
    """
    steps: list[Callable[[], Iterator[Finding]]] = [
        lambda: _unreadable(project),
        lambda: _counts(project),
        lambda: _references(project),
        lambda: _ids(project),
        lambda: _vectors(project),
        lambda: _graph(project, deep),
    ]
    found: list[Finding] = []
    for step in steps:
        try:
            found += step()
        except ProjectDamagedError as error:
            if not found:  # the first of them says it
                found.append(Finding(str(error), _RESTORE))
    return found


def mend(project: Project, findings: list[Finding]) -> list[Finding]:
    """Take out what can be made anew, all or nothing; returns the findings that stay.

    A damaged graph is deleted.
    """
    what = {"tables": sorted({one.table for one in findings if one.table})}
    with project.transaction("admin", "mend the project", what) as cursor:
        for one in findings:
            if one.table in _AGAIN:
                cursor.execute(
                    f"DELETE FROM {one.table} WHERE rowid IN "  # noqa: S608 - tables and columns are named in this file
                    f"(SELECT t.rowid FROM {one.table} t WHERE {one.rows})"
                )
    if any(one.table == "graph" for one in findings):
        delete_graphs(project.path)
    return [one for one in findings if not one.table]


def _unreadable(project: Project) -> Iterator[Finding]:
    """Reads every block of every table, of which each has a checksum."""
    for table in project.values("SELECT table_name FROM duckdb_tables() ORDER BY 1"):
        try:
            project.rows(f"SELECT bit_xor(hash(t)) FROM {table} t")  # noqa: S608 - tables and columns are named in this file
        except ProjectDamagedError as error:
            yield Finding(f"the table {table} cannot be read whole: {error}", _RESTORE)


def _counts(project: Project) -> Iterator[Finding]:
    for source in sources(project):
        if not source.complete:
            yield Finding(
                f"{source.name}: {source.read:,} rows were read, but {source.imported:,} imported "
                f"+ {source.duplicates:,} duplicates + {source.rejected:,} rejected are there",
                _RESTORE,
            )
    doubled = project.number(
        "SELECT count(*) FROM (SELECT 1 FROM (SELECT source, position FROM conversations UNION ALL "
        "SELECT source, position FROM duplicates UNION ALL SELECT source, position FROM rejects) "
        "GROUP BY source, position HAVING count(*) > 1)"
    )
    if doubled:
        yield Finding(f"{doubled:,} records of the files were read twice", _RESTORE)
    rows, last = project.rows("SELECT count(*), coalesce(max(row) + 1, 0) FROM conversations")[0]
    if rows != last:
        yield Finding(f"there are {rows:,} rows, but their numbers go up to {last - 1:,}", _RESTORE)
    for table, entries in (("log", "entries of the log"), ("decisions", "decisions")):
        gaps = project.number(f"SELECT coalesce(max(number), 0) - count(*) FROM {table}")  # noqa: S608 - tables are named in this file
        if gaps > 0:
            yield Finding(f"{gaps:,} {entries} are missing", _RESTORE)


def _references(project: Project) -> Iterator[Finding]:
    for rule in _RULES:
        wrong = project.number(f"SELECT count(*) FROM {rule.table} t WHERE {rule.wrong}")  # noqa: S608 - tables and columns are named in this file
        if wrong:
            yield _finding(wrong, rule)


def _finding(count: int, rule: _Rule) -> Finding:
    sentence = f"{count:,} {rule.sentence}"
    if rule.table not in _AGAIN:
        return Finding(f"{rule.table}: {sentence}", _RESTORE)
    again = f"`deita check --mend` takes them out, and `deita {_AGAIN[rule.table]}` makes them anew"
    return Finding(f"{rule.table}: {sentence}", again, rule.table, rule.wrong)


def _ids(project: Project) -> Iterator[Finding]:
    """The id is a hash of the messages: a row whose text changed has another."""
    wrong: list[int] = []
    with project.reading() as cursor:
        cursor.execute("SELECT row, id, messages, tools FROM conversations ORDER BY row")
        while found := cursor.fetchmany(_BLOCK):
            wrong += [row for row, *rest in found if not _is_id(*rest)]
    if wrong:
        yield Finding(
            f"conversations: {len(wrong):,} rows have another text than their id says, "
            f"the first of them row {wrong[0]}",
            _RESTORE,
        )


def _is_id(identity: str, messages: str, tools: str | None) -> bool:
    try:
        return Conversation.from_json(messages, tools).id == identity
    except (ValueError, KeyError, TypeError):
        return False


def _vectors(project: Project) -> Iterator[Finding]:
    for one in embedders(project):
        try:
            rows, vectors = load_vectors(project, one.embedder)
        except ValueError:
            continue  # of several widths, which has been said
        bad = rows[~usable_rows(vectors)]
        if len(bad):
            numbers = ", ".join(map(str, bad.tolist()))
            rule = _Rule(
                "embeddings",
                f"t.embedder = {one.embedder} AND t.row IN ({numbers})",
                f"vectors of {one.model} are not finite or have no length",
            )
            yield _finding(len(bad), rule)


def _graph(project: Project, deep: bool) -> Iterator[Finding]:
    """The current graph against the vectors."""
    folder = graph_folder(project)
    if folder is None or not folder.is_dir():
        return
    again = "`deita check --mend` deletes it, and `deita graph` makes it anew"
    try:
        stored = open_graph(folder)
        if is_graph_damaged(project):
            wrong = "the similarity graph is of other rows"
        elif altered := altered_files(folder):
            wrong = f"the similarity graph in {folder} is damaged ({', '.join(altered)} differs)"
        else:
            embedder = int(stored.key["embedder"])
            _, vectors = load_vectors(project, embedder)
            wrong = (_all_pairs if deep else _some_pairs)(stored.graph, vectors)
    except (ProjectError, OSError, ValueError, KeyError, json.JSONDecodeError) as error:
        wrong = str(error)
    if wrong:
        yield Finding(wrong, again, "graph")


def _some_pairs(graph: SimilarityGraph, vectors: np.ndarray) -> str:
    """What is wrong with a sample of the edges, and of the rows' lists of edges; "" if nothing."""
    draw = np.random.default_rng(0)
    first = np.asarray(graph.member)[np.asarray(graph.member_start)[:-1]].astype(np.int64)
    edges = np.sort(draw.permutation(len(graph.neighbour))[:_EDGES])
    left = np.searchsorted(np.asarray(graph.start), edges, side="right") - 1
    right = np.asarray(graph.neighbour[edges])
    with np.errstate(invalid="ignore"):  # a vector that lost its length since
        apart = np.abs(pair_cosines(vectors, first[left], first[right]) - graph.similarity[edges])
    if wrong := int((~(apart <= _ROUNDING)).sum()):
        return f"{wrong:,} of {len(edges):,} edges of the similarity graph have another similarity"
    some = np.sort(draw.permutation(graph.groups)[:_ROWS])
    near = np.zeros(len(some), np.int64)
    for start in range(0, graph.groups, _BLOCK):
        others = first[start : start + _BLOCK]
        near += (cosines(vectors, first[some], others) > graph.floor + _ROUNDING).sum(axis=1)
    near -= graph.floor + _ROUNDING < 1.0  # itself
    missing = int((near > np.diff(graph.start)[some]).sum())
    return f"edges of {missing} of {len(some)} rows are missing in the graph" if missing else ""


def _all_pairs(graph: SimilarityGraph, vectors: np.ndarray) -> str:
    """What a graph that is built again differs in; "" if in nothing."""
    from deita_core.similarity.graph_build import build_graph

    again = build_graph(vectors, graph.floor, most_pairs=graph.pairs + 1)
    for name in ("group", "member", "member_start", "start"):
        if not np.array_equal(getattr(again, name), getattr(graph, name)):
            return f"the similarity graph has other edges than the vectors say ({name})"
    apart = np.abs(again.similarity - graph.similarity) > _ROUNDING
    return f"{int(apart.sum()):,} edges of the similarity graph are wrong" if apart.any() else ""
