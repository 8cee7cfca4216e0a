"""Score queries: scorers, what is still to be scored, and the scores per turn.

The active scores of a pool as Parquet, for the job that writes them to a file.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import ProjectError
from deita_core.project.store import ROW_GROUP, Project, now, sql_path, whole_number

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class ScorerRecord:
    """A scorer known to the project, and how far it has come."""

    scorer: int
    dimension: str
    model: str
    revision: str
    parameters: Mapping[str, str | int | float | bool]
    active: bool
    scored: int
    failed: int


@dataclass(frozen=True, slots=True, eq=False)
class PairedScores:
    """The scores of two scorers, turn by turn, for every turn of the pool in order.

    row: (t,) int32. turn: (t,) int32. first, second: (t,) float32, NaN where there is no score.
    """

    row: NDArray[np.int32]
    turn: NDArray[np.int32]
    first: NDArray[np.float32]
    second: NDArray[np.float32]


def register_scorer(
    project: Project,
    dimension: str,
    model: str,
    revision: str,
    parameters: Mapping[str, object],
    *,
    activate: bool = True,
) -> int:
    """The number of this scorer, made at need.

    activate: it becomes the active one of its dimension; without, only when there is none.
    """
    encoded = json.dumps(dict(parameters), sort_keys=True)
    with project.transaction() as cursor:
        found = cursor.execute(
            "SELECT scorer FROM scorers WHERE dimension = ? AND model = ? AND revision = ? "
            "AND parameters = ?",
            [dimension, model, revision, encoded],
        ).fetchall()
        if not found:
            number = whole_number(cursor, "SELECT coalesce(max(scorer), 0) + 1 FROM scorers")
            cursor.execute(
                "INSERT INTO scorers VALUES (?, ?, ?, ?, ?, false, ?)",
                [number, dimension, model, revision, encoded, now()],
            )
        else:
            number = int(found[0][0])
        cursor.execute(
            "UPDATE scorers SET active = (scorer = ?) WHERE dimension = ? AND "
            "(? OR NOT EXISTS (FROM scorers WHERE dimension = ? AND active))",
            [number, dimension, activate, dimension],
        )
    return number


def scorers(project: Project) -> list[ScorerRecord]:
    """Every scorer that was used, with counts of turns scored and failed."""
    found = (
        project.cursor()
        .execute(
            """
            SELECT r.scorer, r.dimension, r.model, r.revision, r.parameters, r.active,
                   count(s.score), count(s.reason)
            FROM scorers r LEFT JOIN scores s USING (scorer)
            GROUP BY ALL ORDER BY r.scorer
            """
        )
        .fetchall()
    )
    return [_record(row) for row in found]


def _record(row: tuple[Any, ...]) -> ScorerRecord:
    scorer, dimension, model, revision, parameters, active, scored, failed = row
    return ScorerRecord(
        scorer, dimension, model, revision, json.loads(parameters), active, scored, failed
    )


def active_scorer(project: Project, dimension: str) -> int | None:
    """The number of the scorer whose scores count for selection, or None."""
    found = (
        project.cursor()
        .execute("SELECT scorer FROM scorers WHERE dimension = ? AND active", [dimension])
        .fetchone()
    )
    return int(found[0]) if found else None


def count_unscored(project: Project, scorer_numbers: Mapping[str, int]) -> int:
    """Conversations that lack a score (or its reason) from any of the scorers."""
    return whole_number(
        project.cursor(),
        f"SELECT count(*) FROM conversations c WHERE {UNSCORED}",
        list(scorer_numbers.values()),
        len(scorer_numbers),
    )


# A batch commits all turns of a conversation together, so its first turn tells.
UNSCORED = """c.turns > 0 AND c.row NOT IN (
    SELECT row FROM scores WHERE turn = 0 AND scorer IN (SELECT unnest(?::INTEGER[]))
    GROUP BY row HAVING count(DISTINCT scorer) = ?)"""


def write_unscored(project: Project, scorer_numbers: Mapping[str, int], out: Path) -> None:
    """Write row, messages, tools of what is still to be scored as Parquet, in row order."""
    project.cursor().execute(
        f"COPY (SELECT row, messages, tools FROM conversations c WHERE {UNSCORED} ORDER BY row) "
        f"TO '{sql_path(out)}' (FORMAT parquet, ROW_GROUP_SIZE {ROW_GROUP})",
        [list(scorer_numbers.values()), len(scorer_numbers)],
    )


def add_scores(project: Project, scorer: int, batch: pa.Table) -> None:
    """Commit row, turn, score (NULL where it failed) and reason of one batch.

    Columns `mass` and `truncated` (see `ScoreBatch`) are stored where the batch has them.
    Rows that this scorer has scored before are replaced, so a batch may come twice.
    """
    health = ", ".join(c if c in batch.column_names else "NULL" for c in ("mass", "truncated"))
    with project.transaction() as cursor:
        cursor.register("batch", batch)
        cursor.execute(
            "DELETE FROM scores WHERE scorer = ? AND row IN (SELECT row FROM batch)", [scorer]
        )
        cursor.execute(
            f"INSERT INTO scores SELECT ?, row, turn, score, reason, ?, {health} FROM batch",
            [scorer, now()],
        )


def turn_scores(project: Project, row: int) -> pd.DataFrame:
    """Active scores of one conversation: turn, dimension, score, reason, model."""
    return (
        project.cursor()
        .execute(
            "SELECT s.turn, r.dimension, s.score, s.reason, r.model FROM scores s "
            "JOIN scorers r USING (scorer) WHERE s.row = ? AND r.active ORDER BY 1, 2",
            [row],
        )
        .df()
    )


def failure_reasons(project: Project) -> pd.DataFrame:
    """Why active scores are missing: dimension, reason, turns; most common first."""
    return (
        project.cursor()
        .execute(
            "SELECT r.dimension, s.reason, count(*) AS turns FROM scores s "
            "JOIN scorers r USING (scorer) WHERE r.active AND s.reason IS NOT NULL "
            "GROUP BY 1, 2 ORDER BY 3 DESC, 1, 2"
        )
        .df()
    )


def rows_with_failure(project: Project, dimension: str, reason: str) -> list[int]:
    """Rows in which an active score of this dimension is missing for this reason."""
    found = project.cursor().execute(
        "SELECT DISTINCT s.row FROM scores s JOIN scorers r USING (scorer) "
        "WHERE r.active AND r.dimension = ? AND s.reason = ? ORDER BY 1",
        [dimension, reason],
    )
    return [int(row[0]) for row in found.fetchall()]


def paired_scores(project: Project, first: int, second: int) -> PairedScores:
    """The scores of two scorers side by side; what `scoring.agreement` compares."""
    found = (
        project.cursor()
        .execute(
            "SELECT t.row, t.turn, coalesce(a.score, 'nan'::FLOAT) AS first, "
            "coalesce(b.score, 'nan'::FLOAT) AS second FROM turns t "
            "LEFT JOIN scores a ON a.row = t.row AND a.turn = t.turn AND a.scorer = ? "
            "LEFT JOIN scores b ON b.row = t.row AND b.turn = t.turn AND b.scorer = ? "
            "ORDER BY t.row, t.turn",
            [first, second],
        )
        .fetchnumpy()
    )
    return PairedScores(
        np.asarray(found["row"], np.int32),
        np.asarray(found["turn"], np.int32),
        np.asarray(found["first"], np.float32),
        np.asarray(found["second"], np.float32),
    )


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
