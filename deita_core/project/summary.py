"""How far a project has come, in numbers: what `info` prints and the side column shows."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from deita_core.project.pool import sources
from deita_core.project.store import Project, whole_number


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
    SELECT row FROM scores s JOIN scorers r USING (scorer)
    WHERE r.active AND s.score IS NOT NULL
    GROUP BY row, turn HAVING count(DISTINCT r.dimension) = 2
)"""
_TRIED_ROWS = """
SELECT count(*) FROM (
    SELECT row FROM scores s JOIN scorers r USING (scorer) WHERE r.active AND s.turn = 0
    GROUP BY row HAVING count(DISTINCT r.dimension) = 2
)"""
_EMBEDDED = """
SELECT count(*) FROM embeddings v JOIN embedders e USING (embedder) WHERE e.active AND """


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
            cursor, "SELECT count(*) FROM map_points JOIN embedders USING (embedder) WHERE active"
        ),
        selections=whole_number(cursor, "SELECT count(*) FROM selections"),
        bytes=project.path.stat().st_size,
    )
