"""Reading a pool: pages of rows, rejects, duplicates, one conversation, and counts of it all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from deita_core.conversation import Conversation
from deita_core.errors import ProjectError
from deita_core.project.pool import sources
from deita_core.project.store import Project, whole_number

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class StoredRow:
    """One conversation as the project holds it."""

    row: int
    id: str
    source: str
    position: int
    line: int | None
    conversation: Conversation
    original: str
    notes: tuple[str, ...]
    language: str | None
    turns: int
    characters: int
    tokens: int
    flags: tuple[str, ...]


_STORED = """
SELECT c.row, c.id, s.name, c.position, c.line, c.messages, c.tools, c.original, c.notes,
       c.language, c.turns, c.characters, c.tokens, c.flags
FROM conversations c JOIN sources s USING (source)
"""


def stored_row(project: Project, row: int) -> StoredRow:
    """One conversation by its row number; ProjectError when there is none."""
    found = project.cursor().execute(f"{_STORED} WHERE c.row = ?", [row]).fetchone()
    if found is None:
        raise ProjectError(f"there is no row {row} in {project.name}: rows start at 0")
    return _stored(found)


def _stored(found: tuple[Any, ...]) -> StoredRow:
    row, identity, source, position, line, messages, tools, original, notes, *facts = found
    language, turns, characters, tokens, flags = facts
    return StoredRow(
        row,
        identity,
        source,
        position,
        line,
        Conversation.from_json(messages, tools),
        original,
        tuple(notes),
        language,
        turns,
        characters,
        tokens,
        tuple(flags),
    )


def rejects_page(project: Project, limit: int, offset: int = 0) -> pd.DataFrame:
    """Rejected rows: file, position, line, reason, raw; in file order."""
    return (
        project.cursor()
        .execute(
            "SELECT s.name AS file, r.position, r.line, r.reason, r.raw FROM rejects r "
            "JOIN sources s USING (source) ORDER BY r.source, r.position LIMIT ? OFFSET ?",
            [limit, offset],
        )
        .df()
    )


def reject_reasons(project: Project) -> pd.DataFrame:
    """How often each reason occurs, per file: file, reason, rows."""
    return (
        project.cursor()
        .execute(
            "SELECT s.name AS file, r.reason, count(*) AS rows FROM rejects r "
            "JOIN sources s USING (source) GROUP BY 1, 2 ORDER BY rows DESC, file, reason"
        )
        .df()
    )


def duplicates_page(project: Project, limit: int, offset: int = 0) -> pd.DataFrame:
    """Rows left out as duplicates: file, position, line, row (the one kept), preview."""
    return (
        project.cursor()
        .execute(
            "SELECT s.name AS file, d.position, d.line, c.row, c.preview FROM duplicates d "
            "JOIN sources s USING (source) JOIN conversations c ON c.id = d.id "
            "ORDER BY d.source, d.position LIMIT ? OFFSET ?",
            [limit, offset],
        )
        .df()
    )


def table_of(project: Project, rows: Sequence[int]) -> pd.DataFrame:
    """What a table shows of the given rows, in their order.

    Columns: row, preview, source, language, turns, characters, tokens, flags, id.
    """
    cursor = project.cursor()
    return cursor.execute(
        """
        SELECT c.row, c.preview, s.name AS source, c.language, c.turns, c.characters, c.tokens,
               c.flags, c.id
        FROM (SELECT unnest(?::INTEGER[]) AS row, generate_subscripts(?::INTEGER[], 1) AS nth) w
        JOIN conversations c USING (row) JOIN sources s USING (source) ORDER BY w.nth
        """,
        [list(map(int, rows)), list(map(int, rows))],
    ).df()


def previews(project: Project) -> list[str]:
    """The beginning of each row's first instruction, by row."""
    found = project.cursor().execute("SELECT preview FROM conversations ORDER BY row")
    return [str(row[0]) for row in found.fetchall()]


def search_rows(project: Project, text: str, limit: int = 100_000) -> list[int]:
    """Rows whose messages contain `text` (case-insensitive; % and _ are taken literally)."""
    found = project.cursor().execute(
        "SELECT row FROM conversations WHERE contains(lower(messages), lower(?)) "
        "ORDER BY row LIMIT ?",
        [text, limit],
    )
    return [int(row[0]) for row in found.fetchall()]


def tally(project: Project, column: str) -> pd.DataFrame:
    """How many rows have each "language", "source" or "flag": name, rows; most common first."""
    queries = {
        "language": "SELECT coalesce(language, 'unknown') AS name FROM conversations",
        "source": "SELECT s.name FROM conversations c JOIN sources s USING (source)",
        "flag": "SELECT unnest(flags) AS name FROM conversations",
    }
    if column not in queries:
        raise ProjectError(f"tally knows {', '.join(queries)}, got {column!r}")
    return (
        project.cursor()
        .execute(
            f"SELECT name, count(*) AS rows FROM ({queries[column]}) GROUP BY 1 ORDER BY 2 DESC, 1"
        )
        .df()
    )


@dataclass(frozen=True, slots=True)
class ProjectInfo:
    """Counts of rows (conversations), except where it says turns.

    read = imported + duplicates + rejected. scored: with an evol score, that is at least one
    turn with both active scores. failed: scored through, but without an evol score (each has a
    reason). unscored: not scored yet. embedded, embedding_failed, truncated, mapped: with the
    active embedder. turns: all turns. selections: saved ones.
    """

    name: str
    files: int
    read: int
    imported: int
    duplicates: int
    rejected: int
    turns: int
    scored: int
    failed: int
    unscored: int
    embedded: int
    embedding_failed: int
    truncated: int
    mapped: int
    selections: int
    bytes: int

    def to_dict(self) -> dict[str, str | int]:
        """The counts by name, for `info --json`."""
        return asdict(self)


_SCORED_ROWS = """
SELECT count(DISTINCT row) FROM (
    SELECT row FROM scores s JOIN models r ON r.model = s.scorer
    WHERE r.active AND s.score IS NOT NULL
    GROUP BY row, turn HAVING count(DISTINCT r.role) = 2
)"""
_TRIED_ROWS = """
SELECT count(*) FROM (
    SELECT row FROM scores s JOIN models r ON r.model = s.scorer WHERE r.active AND s.turn = 0
    GROUP BY row HAVING count(DISTINCT r.role) = 2
)"""
_EMBEDDED = """
SELECT count(*) FROM embeddings v JOIN models e ON e.model = v.embedder WHERE e.active AND """


def project_info(project: Project) -> ProjectInfo:
    """The counts of this moment."""
    cursor = project.cursor()
    files = sources(project)
    imported = sum(s.imported for s in files)
    scored = whole_number(cursor, _SCORED_ROWS)
    tried = whole_number(cursor, _TRIED_ROWS)
    return ProjectInfo(
        name=project.name,
        files=len(files),
        read=sum(s.read for s in files),
        imported=imported,
        duplicates=sum(s.duplicates for s in files),
        rejected=sum(s.rejected for s in files),
        turns=whole_number(cursor, "SELECT count(*) FROM turns"),
        scored=scored,
        failed=tried - scored,
        unscored=imported - tried,
        embedded=whole_number(cursor, _EMBEDDED + "v.reason IS NULL"),
        embedding_failed=whole_number(cursor, _EMBEDDED + "v.reason IS NOT NULL"),
        truncated=whole_number(cursor, _EMBEDDED + "v.truncated"),
        mapped=whole_number(
            cursor, "SELECT count(*) FROM map_points JOIN models ON model = embedder WHERE active"
        ),
        selections=whole_number(cursor, "SELECT count(*) FROM selections"),
        bytes=project.path.stat().st_size,
    )
