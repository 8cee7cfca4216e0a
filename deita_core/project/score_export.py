"""The active scores of a pool as Parquet, for the job that writes them to a file."""

from __future__ import annotations

from pathlib import Path

from deita_core.errors import ProjectError
from deita_core.project.scores import active_scorer
from deita_core.project.store import ROW_GROUP, Project, sql_path, whole_number

_DIMENSIONS = ("complexity", "quality")
_SCORES = """
    LEFT JOIN scores c ON c.row = t.row AND c.turn = t.turn AND c.scorer = ?
    LEFT JOIN scores q ON q.row = t.row AND q.turn = t.turn AND q.scorer = ?
"""


def write_turn_scores(project: Project, out: Path) -> int:
    """Write one row a turn, in order; returns how many turns there are.

    id, source, position (of the conversation in its file), turn (from 0), complexity,
    complexity_reason, quality, quality_reason. Raises ProjectError when nothing is scored.
    """
    scorers = _active(project)
    cursor = project.cursor()
    cursor.execute(
        "COPY (SELECT v.id, s.name AS source, v.position, t.turn, c.score AS complexity, "
        "c.reason AS complexity_reason, q.score AS quality, q.reason AS quality_reason "
        f"FROM turns t JOIN conversations v USING (row) JOIN sources s USING (source) {_SCORES} "
        f"ORDER BY t.row, t.turn) "
        f"TO '{sql_path(out)}' (FORMAT parquet, ROW_GROUP_SIZE {ROW_GROUP})",
        scorers,
    )
    return whole_number(cursor, "SELECT count(*) FROM turns")


def write_scored_rows(project: Project, out: Path) -> int:
    """Write one row a conversation that has turns, in order; returns how many there are.

    id, messages (JSON text), and the lists complexity and quality, one entry a turn (NULL where
    there is no score), or NULL for a dimension without a scorer. Raises ProjectError when nothing
    is scored.
    """
    scorers = _active(project)
    lists = [
        "NULL" if number is None else f"list({short}.score ORDER BY t.turn)"
        for number, short in zip(scorers, "cq", strict=True)
    ]
    cursor = project.cursor()
    cursor.execute(
        "COPY (SELECT v.id, v.messages, m.complexity::FLOAT[] AS complexity, "
        "m.quality::FLOAT[] AS quality FROM conversations v JOIN ("
        f"SELECT t.row, {lists[0]} AS complexity, {lists[1]} AS quality "
        f"FROM turns t {_SCORES} GROUP BY t.row) m USING (row) ORDER BY v.row) "
        f"TO '{sql_path(out)}' (FORMAT parquet, ROW_GROUP_SIZE {ROW_GROUP})",
        scorers,
    )
    return whole_number(cursor, "SELECT count(*) FROM conversations WHERE turns > 0")


def _active(project: Project) -> list[int | None]:
    """The active scorers of complexity and quality."""
    found = [active_scorer(project, dimension) for dimension in _DIMENSIONS]
    if found == [None, None]:
        raise ProjectError(f"no turn of {project.name} has a score: score the pool first")
    return found
