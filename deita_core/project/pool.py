"""The pool: its sources, the batches read from them, and the whole of it as a `PoolTable`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import ProjectError
from deita_core.project.models import active_model
from deita_core.project.scores import paired_scores
from deita_core.project.store import Project, next_number, now
from deita_core.scoring.protocol import DIMENSIONS
from deita_core.selection.pool_table import PoolTable

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Source:
    """One file of the pool, and what became of its rows.

    container, mapping: how it is read, as JSON text; None while it is not detected. state:
    "importing", "imported", or "incomplete" (stopped before its end; can be resumed).
    """

    source: int
    name: str
    path: str
    sha256: str | None
    bytes: int | None
    container: str | None
    mapping: str | None
    explanation: str | None
    state: str
    read: int
    imported: int
    duplicates: int
    rejected: int

    @property
    def fruitless(self) -> bool:
        """No row of it became a conversation, or was one that is there already."""
        return not self.imported and not self.duplicates

    @property
    def complete(self) -> bool:
        """Rows read = imported + duplicates + rejected, as it must always be."""
        return self.read == self.imported + self.duplicates + self.rejected


def add_source(
    project: Project,
    name: str,
    path: str,
    mapping: str | None,
    container: str | None = None,
    explanation: str | None = None,
) -> int:
    """Register a file that is about to be imported; returns its number.

    mapping, container: JSON text; without a container the importer detects the rest.
    """
    what: dict[str, Any] = {"file": name}
    with project.transaction("curator", "add a file", what) as cursor:
        what["source"] = number = next_number(cursor, "sources", "source", first=0)
        cursor.execute(
            "INSERT INTO sources (source, name, path, mapping, container, explanation, state, "
            "added) VALUES (?, ?, ?, ?, ?, ?, 'importing', ?)",
            [number, name, path, mapping, container, explanation, now()],
        )
    return number


def set_source_facts(project: Project, source: int, facts: Mapping[str, Any]) -> None:
    """Record what the importer found out about a file before reading it.

    facts: path, sha256, bytes, container and mapping (JSON text), explanation.
    """
    names = ("path", "sha256", "bytes", "container", "mapping", "explanation")
    with project.transaction("curator", None) as cursor:
        cursor.execute(
            f"UPDATE sources SET {', '.join(f'{name} = ?' for name in names)} WHERE source = ?",  # noqa: S608 - only names of ours go in
            [*(facts[name] for name in names), source],
        )


def finish_source(project: Project, source: int, read: int) -> None:
    """Mark a file as read to its end; ProjectError if its rows do not add up to `read`."""
    what = {"source": source, "read": read}
    with project.transaction("curator", "import a file", what) as cursor:
        cursor.execute(
            "UPDATE sources SET state = 'imported', read = ? WHERE source = ?", [read, source]
        )
    found = next(s for s in sources(project) if s.source == source)
    if not found.complete:
        raise ProjectError(
            f"{found.name}: {read} rows were read, but {found.imported} imported + "
            f"{found.duplicates} duplicates + {found.rejected} rejected = "
            f"{found.imported + found.duplicates + found.rejected}: import it into a new project"
        )


def stop_sources(project: Project) -> None:
    """Mark every file that is still importing as incomplete (its import was stopped)."""
    with project.transaction("curator", None) as cursor:
        cursor.execute("UPDATE sources SET state = 'incomplete' WHERE state = 'importing'")


def forget_source(project: Project, source: int) -> None:
    """Take back a file none of whose rows became a conversation, so that it can be read otherwise.

    Raises ProjectError when one did: rows are never renumbered.
    """
    with project.transaction("curator", "take back a file", {"source": source}) as cursor:
        query = "SELECT count(*) FROM conversations WHERE source = ?"
        ((imported,),) = cursor.execute(query, [source]).fetchall()
        if imported:
            raise ProjectError(
                f"{imported:,} conversations of file {source} are in the project and stay there: "
                "import the file into a new project to read it otherwise"
            )
        for table in ("rejects", "duplicates", "sources"):
            cursor.execute(f"DELETE FROM {table} WHERE source = ?", [source])  # noqa: S608 - only names of ours go in


def next_position(project: Project, source: int) -> int:
    """How many rows of a file are already in the project: where a resumed import goes on."""
    return project.number(
        "SELECT coalesce(max(position), -1) + 1 FROM ("
        "SELECT position FROM conversations WHERE source = $1 "
        "UNION ALL SELECT position FROM duplicates WHERE source = $1 "
        "UNION ALL SELECT position FROM rejects WHERE source = $1)",
        source,
    )


def add_rows(project: Project, source: int, rows: pa.Table, rejects: pa.Table) -> int:
    """Commit one batch of a file: new rows, duplicates and rejects, all or nothing.

    rows: columns as in `conversations` (without row and source) plus the two lists
    `instruction_characters` and `response_characters` with one entry a turn.
    Returns how many rows were new. A row whose id is already there (in the project or earlier in
    the batch) is recorded as a duplicate.
    """
    import pyarrow as pa

    with project.transaction("curator", None) as cursor:
        cursor.register("incoming", rows)
        query = "SELECT id FROM conversations WHERE id IN (SELECT id FROM incoming)"
        seen = {row[0] for row in cursor.execute(query).fetchall()}
        fresh = np.empty(len(rows), np.bool_)
        for place, identity in enumerate(rows["id"].to_pylist()):
            fresh[place] = identity not in seen
            seen.add(identity)
        cursor.register("repeated", rows.filter(pa.array(~fresh)))
        cursor.execute(
            "INSERT INTO duplicates SELECT ?, position, line, id FROM repeated", [source]
        )
        cursor.register("refused", rejects)
        cursor.execute(
            "INSERT INTO rejects SELECT ?, position, line, reason, raw FROM refused", [source]
        )
        new = rows.filter(pa.array(fresh))
        start = next_number(cursor, "conversations", "row", first=0)
        numbers = pa.array(range(start, start + len(new)), pa.int32())
        cursor.register("fresh", new.append_column("row", numbers))
        cursor.execute(_INSERT_CONVERSATIONS, [source])
        cursor.execute(_INSERT_TURNS)
        cursor.execute(
            "UPDATE sources SET read = read + ? WHERE source = ?",
            [len(rows) + len(rejects), source],
        )
    return len(new)


_INSERT_CONVERSATIONS = """
INSERT INTO conversations SELECT row, id, ?, position, line, messages, tools, original, notes,
    preview, language, language_confidence, turns, characters, tokens, flags FROM fresh
"""
_INSERT_TURNS = """
INSERT INTO turns SELECT row, unnest(range(turns)), unnest(instruction_characters),
    unnest(response_characters) FROM fresh WHERE turns > 0
"""


def sources(project: Project) -> list[Source]:
    """The pool's files in the order imported, each with its counts."""
    rows = project.rows(
        """
        SELECT s.source, s.name, s.path, s.sha256, s.bytes, s.container,
               s.mapping, s.explanation, s.state,
               s.read, coalesce(c.n, 0), coalesce(d.n, 0), coalesce(r.n, 0)
        FROM sources s
        LEFT JOIN (SELECT source, count(*) n FROM conversations GROUP BY 1) c USING (source)
        LEFT JOIN (SELECT source, count(*) n FROM duplicates GROUP BY 1) d USING (source)
        LEFT JOIN (SELECT source, count(*) n FROM rejects GROUP BY 1) r USING (source)
        ORDER BY s.source
        """
    )
    return [Source(*row) for row in rows]


# the whole pool, in columns

_FETCHED_AT_ONCE = 50_000

_COLUMNS = """
SELECT c.turns, c.characters, c.tokens, c.source::SMALLINT AS source,
       (list_position(?, coalesce(c.language, 'unknown')) - 1)::SMALLINT AS language,
       list_sum(list_transform(c.flags, lambda f:
           (1::BIGINT << (list_position(?, f) - 1)::BIGINT)))::BIGINT AS flags,
       t.instruction AS instruction_characters, t.response AS response_characters,
       v.row IS NOT NULL AS has_vector, v.truncated, m.x, m.y
FROM conversations c
LEFT JOIN (SELECT row, sum(instruction_characters)::INTEGER AS instruction,
                  sum(coalesce(response_characters, 0))::INTEGER AS response
           FROM turns GROUP BY row) t USING (row)
LEFT JOIN embeddings v ON v.row = c.row AND v.embedder = ? AND v.reason IS NULL
LEFT JOIN map_points m ON m.row = c.row AND m.embedder = ?
ORDER BY c.row
"""


def load_pool_table(project: Project) -> PoolTable:
    """The columns of the whole pool, without its vectors (about 0.3 s at 52,000 rows)."""
    source_names = project.values("SELECT name FROM sources ORDER BY source")
    language_names = project.values(
        "SELECT DISTINCT coalesce(language, 'unknown') FROM conversations ORDER BY 1"
    )
    flag_names = project.values("SELECT DISTINCT unnest(flags) FROM conversations ORDER BY 1")
    embedder = active_model(project, "embedding")
    columns: dict[str, Any] = project.arrays(
        _COLUMNS, language_names, flag_names, embedder, embedder
    )
    x, y = columns.pop("x"), columns.pop("y")
    scores = paired_scores(project, *(active_model(project, role) for role in DIMENSIONS))
    return PoolTable(
        **columns,
        source_names=tuple(source_names),
        language_names=tuple(language_names),
        flag_names=tuple(flag_names),
        turn_row=scores.row.astype(np.int64),
        turn_complexity=scores.first,
        turn_quality=scores.second,
        ids=_ids(project),
        xy=np.stack([x, y], axis=1),
    )


def _ids(project: Project) -> NDArray[np.bytes_]:
    """The ids in the order of the rows; part by part, for a Python text for each takes room."""
    parts = [np.empty(0, "S1")]
    with project.reading() as cursor:
        cursor.execute("SELECT id FROM conversations ORDER BY row")
        while found := cursor.fetchmany(_FETCHED_AT_ONCE):
            parts.append(np.array([row[0] for row in found]).astype(np.bytes_))
    return np.concatenate(parts)
