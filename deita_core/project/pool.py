"""Pool queries, writing side: sources, and the batches of rows and rejects read from them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from deita_core.errors import ProjectError
from deita_core.project.store import Project, now, whole_number

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Source:
    """One file of the pool, and what became of its rows.

    container, mapping: how the file is read, as JSON text; None while it is not detected.
    state: "importing", "imported", or "incomplete" (stopped before its end; can be resumed).
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
    with project.transaction() as cursor:
        number = whole_number(cursor, "SELECT coalesce(max(source), -1) + 1 FROM sources")
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
    with project.transaction() as cursor:
        cursor.execute(
            f"UPDATE sources SET {', '.join(f'{name} = ?' for name in names)} WHERE source = ?",
            [*(facts[name] for name in names), source],
        )


def finish_source(project: Project, source: int, read: int) -> None:
    """Mark a file as read to its end; ProjectError if its rows do not add up to `read`."""
    with project.transaction() as cursor:
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
    with project.transaction() as cursor:
        cursor.execute("UPDATE sources SET state = 'incomplete' WHERE state = 'importing'")


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

    with project.transaction() as cursor:
        cursor.register("incoming", rows)
        known = cursor.execute(
            "SELECT id FROM conversations WHERE id IN (SELECT id FROM incoming)"
        ).fetchall()
        seen = {str(row[0]) for row in known}
        fresh: list[bool] = []
        for identity in rows["id"].to_pylist():
            fresh.append(identity not in seen)
            seen.add(identity)
        mask = pa.array(fresh, pa.bool_())
        cursor.register("repeated", rows.filter(pa.array([not f for f in fresh], pa.bool_())))
        cursor.execute(
            "INSERT INTO duplicates SELECT ?, position, line, id FROM repeated", [source]
        )
        cursor.register("refused", rejects)
        cursor.execute(
            "INSERT INTO rejects SELECT ?, position, line, reason, raw FROM refused", [source]
        )
        new = rows.filter(mask)
        start = whole_number(cursor, "SELECT coalesce(max(row), -1) + 1 FROM conversations")
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
