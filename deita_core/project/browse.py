"""Reading a pool: pages of rows, rejects, duplicates, one conversation, and counts of it all."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from deita_core.conversation import Conversation
from deita_core.errors import ProjectError
from deita_core.project.store import Project

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True)
class StoredRow:
    """One conversation as the project holds it."""

    conversation: Conversation
    notes: tuple[str, ...]
    flags: tuple[str, ...]
    row: int
    id: str
    source: str
    position: int
    line: int | None
    original: str
    language: str | None
    turns: int
    characters: int
    tokens: int


def stored_row(project: Project, row: int) -> StoredRow:
    """One conversation by its row number; ProjectError when there is none."""
    return stored_rows(project, [row])[0]


def stored_rows(project: Project, rows: Sequence[int]) -> list[StoredRow]:
    """Conversations by their row numbers, in this order; ProjectError where there is none."""
    found = project.rows(
        "SELECT c.messages, c.tools, c.notes, c.flags, c.row, c.id, s.name, c.position, c.line, "
        "c.original, c.language, c.turns, c.characters, c.tokens "
        "FROM conversations c JOIN sources s USING (source) "
        "WHERE c.row IN (SELECT unnest(?::INTEGER[]))",
        list(map(int, rows)),
    )
    known = {}
    for messages, tools, notes, flags, row, *facts in found:
        text = Conversation.from_json(messages, tools)
        known[row] = StoredRow(text, tuple(notes), tuple(flags), row, *facts)
    for row in rows:
        if row not in known:
            raise ProjectError(f"there is no row {row} in {project.name}: rows start at 0")
    return [known[row] for row in rows]


def id_of(project: Project, row: int) -> str:
    """The id of a row by its number; ProjectError when there is none."""
    return stored_row(project, row).id


def rejects_page(project: Project, limit: int, offset: int = 0) -> pd.DataFrame:
    """Rejected rows: file, position, line, reason, raw; in file order."""
    return project.frame(
        "SELECT s.name AS file, r.position, r.line, r.reason, r.raw FROM rejects r "
        "JOIN sources s USING (source) ORDER BY r.source, r.position LIMIT ? OFFSET ?",
        limit,
        offset,
    )


def reject_reasons(project: Project) -> pd.DataFrame:
    """How often each reason occurs, per file: file, reason, rows."""
    return project.frame(
        "SELECT s.name AS file, r.reason, count(*) AS rows FROM rejects r "
        "JOIN sources s USING (source) GROUP BY 1, 2 ORDER BY rows DESC, file, reason"
    )


def duplicates_page(project: Project, limit: int, offset: int = 0) -> pd.DataFrame:
    """Rows left out as duplicates: file, position, line, row (the one kept), preview."""
    return project.frame(
        "SELECT s.name AS file, d.position, d.line, c.row, c.preview FROM duplicates d "
        "JOIN sources s USING (source) JOIN conversations c ON c.id = d.id "
        "ORDER BY d.source, d.position LIMIT ? OFFSET ?",
        limit,
        offset,
    )


def table_of(project: Project, rows: Sequence[int]) -> pd.DataFrame:
    """What a table shows of the given rows, in their order.

    Columns: row, preview, source, language, turns, characters, tokens, flags, id.
    """
    wanted = list(map(int, rows))
    return project.frame(
        """
        SELECT c.row, c.preview, s.name AS source, c.language, c.turns, c.characters, c.tokens,
               c.flags, c.id
        FROM (SELECT unnest(?::INTEGER[]) AS row, generate_subscripts(?::INTEGER[], 1) AS nth) w
        JOIN conversations c USING (row) JOIN sources s USING (source) ORDER BY w.nth
        """,
        wanted,
        wanted,
    )


def previews(project: Project) -> list[str]:
    """The beginning of each row's first instruction, by row."""
    return project.values("SELECT preview FROM conversations ORDER BY row")


@dataclass(frozen=True, slots=True)
class Wanted:
    """A pattern in RE2's syntax that one message must match.

    raw: a pattern that the JSON of such a row matches for sure, which is quicker to look for.
    """

    pattern: str
    raw: str | None = None


def rows_with(project: Project, wanted: Sequence[Wanted]) -> list[int]:
    """Rows in which each pattern matches at least one message, ascending."""
    raw = [one.raw for one in wanted if one.raw is not None]
    maybe = "".join(" AND regexp_matches(messages, ?)" for _ in raw)
    each = " AND ".join("bool_or(regexp_matches(content, ?))" for _ in wanted)
    return project.values(
        "SELECT row FROM (SELECT row, "  # noqa: S608 - only question marks go in
        "unnest(json_extract_string(messages, '$[*].content')) AS content "
        f"FROM conversations WHERE true{maybe}) GROUP BY row HAVING {each} ORDER BY row",
        *raw,
        *(one.pattern for one in wanted),
    )


def tally(project: Project, column: str) -> pd.DataFrame:
    """How many rows have each "language", "source" or "flag": name, rows; most common first."""
    queries = {
        "language": "SELECT coalesce(language, 'unknown') AS name FROM conversations",
        "source": "SELECT s.name FROM conversations c JOIN sources s USING (source)",
        "flag": "SELECT unnest(flags) AS name FROM conversations",
    }
    if column not in queries:
        raise ProjectError(f"tally knows {', '.join(queries)}, got {column!r}")
    return project.frame(
        f"SELECT name, count(*) AS rows FROM ({queries[column]}) GROUP BY 1 ORDER BY 2 DESC, 1"  # noqa: S608 - only names of ours go in
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


_COUNTS = """
WITH given AS (
    SELECT row, turn, r.role, s.score FROM scores s JOIN models r ON r.model = s.scorer
    WHERE r.active),
tried AS (SELECT row FROM given WHERE turn = 0 GROUP BY row HAVING count(DISTINCT role) = 2),
scored AS (
    SELECT DISTINCT row FROM given WHERE score IS NOT NULL
    GROUP BY row, turn HAVING count(DISTINCT role) = 2),
vectors AS (SELECT v.* FROM embeddings v JOIN models e ON e.model = v.embedder WHERE e.active)
SELECT ? AS name, (SELECT count(*) FROM sources) AS files,
       (SELECT coalesce(sum(read), 0)::BIGINT FROM sources) AS read,
       (SELECT count(*) FROM conversations) AS imported,
       (SELECT count(*) FROM duplicates) AS duplicates,
       (SELECT count(*) FROM rejects) AS rejected,
       (SELECT count(*) FROM turns) AS turns,
       (SELECT count(*) FROM scored) AS scored,
       (SELECT count(*) FROM tried) - (SELECT count(*) FROM scored) AS failed,
       (SELECT count(*) FROM conversations) - (SELECT count(*) FROM tried) AS unscored,
       (SELECT count(*) FROM vectors WHERE reason IS NULL) AS embedded,
       (SELECT count(*) FROM vectors WHERE reason IS NOT NULL) AS embedding_failed,
       (SELECT count(*) FROM vectors WHERE truncated) AS truncated,
       (SELECT count(*) FROM map_points JOIN models ON model = embedder WHERE active) AS mapped,
       (SELECT count(*) FROM selections) AS selections,
       ? AS bytes
"""


def project_info(project: Project) -> ProjectInfo:
    """The counts of this moment."""
    return ProjectInfo(*project.rows(_COUNTS, project.name, project.path.stat().st_size)[0])
