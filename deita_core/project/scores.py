"""Scores turn by turn: what scorers gave, failed at and cut short."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import ProjectError
from deita_core.project.models import Parameters, active_model
from deita_core.project.store import Project, now, whole_number
from deita_core.scoring.health import Health, health_of

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class ScorerRecord:
    """A scorer known to the project, and how many turns it has scored and failed at."""

    scorer: int
    dimension: str
    model: str
    revision: str
    parameters: Parameters
    active: bool
    scored: int
    failed: int


def scorers(project: Project) -> list[ScorerRecord]:
    """Every scorer that was used, with its counts."""
    found = project.rows(
        """
        SELECT m.model, m.role, m.id, m.revision, m.parameters, m.active,
               count(s.score), count(s.reason)
        FROM models m LEFT JOIN scores s ON s.scorer = m.model
        WHERE m.role <> 'embedding' GROUP BY ALL ORDER BY m.model
        """
    )
    return [
        ScorerRecord(number, role, name, revision, json.loads(parameters), *rest)
        for number, role, name, revision, parameters, *rest in found
    ]


def add_scores(project: Project, scorer: int, batch: pa.Table) -> None:
    """Commit row, turn, score (NULL where it failed) and reason of one batch.

    Columns `mass` and `truncated` (see `ScoreBatch`) are stored where the batch has them.
    Rows that this scorer has scored before are replaced, so a batch may come twice.
    """
    optional = ", ".join(c if c in batch.column_names else "NULL" for c in ("mass", "truncated"))
    with project.transaction("curator", None) as cursor:
        cursor.register("batch", batch)
        cursor.execute(
            "DELETE FROM scores WHERE scorer = ? AND row IN (SELECT row FROM batch)", [scorer]
        )
        cursor.execute(
            f"INSERT INTO scores SELECT ?, row, turn, score, reason, ?, {optional} FROM batch",  # noqa: S608 - only names of ours go in
            [scorer, now()],
        )


def turn_scores(project: Project, row: int) -> pd.DataFrame:
    """Active scores of one conversation: turn, dimension, score, reason, model."""
    return project.frame(
        "SELECT s.turn, m.role AS dimension, s.score, s.reason, m.id AS model FROM scores s "
        "JOIN models m ON m.model = s.scorer WHERE s.row = ? AND m.active ORDER BY 1, 2",
        row,
    )


@dataclass(frozen=True, slots=True, eq=False)
class PairedScores:
    """The scores of two scorers, turn by turn, for every turn of the pool in order.

    row: (t,) int32. turn: (t,) int32. first, second: (t,) float32, NaN where there is no score.
    """

    row: NDArray[np.int32]
    turn: NDArray[np.int32]
    first: NDArray[np.float32]
    second: NDArray[np.float32]


# The scores c and q of two scorers beside every turn t.
_BESIDE = """
    LEFT JOIN scores c ON c.row = t.row AND c.turn = t.turn AND c.scorer = ?
    LEFT JOIN scores q ON q.row = t.row AND q.turn = t.turn AND q.scorer = ?
"""


def paired_scores(project: Project, first: int | None, second: int | None) -> PairedScores:
    """The scores of two scorers side by side; what `scoring.agreement` compares."""
    query = (
        f"SELECT t.row, t.turn, c.score AS first, q.score AS second FROM turns t {_BESIDE} "  # noqa: S608 - only names of ours go in
        "ORDER BY t.row, t.turn"
    )
    return PairedScores(**project.arrays(query, first, second))


# how a scorer does


@dataclass(frozen=True, slots=True)
class ScorerCounts:
    """rows: conversations it was given. truncated: turns shortened to fit. mass: median
    probability on the six digits, None where it is not known."""

    rows: int
    truncated: int
    mass: float | None


@dataclass(frozen=True, slots=True)
class ScoredTurn:
    """A turn and its score by one scorer."""

    row: int
    turn: int
    score: float


def health(project: Project, scorer: int) -> Health:
    """What the scores so far tell about a scorer."""
    found = project.arrays("SELECT score, mass, truncated FROM scores WHERE scorer = ?", scorer)
    reasons = dict(failures(project, scorer))
    return health_of(found["score"], found["mass"], found["truncated"], reasons)


def scorer_counts(project: Project) -> dict[int, ScorerCounts]:
    """Counts beyond those of `scorers`, by the scorer's number."""
    found = project.rows(
        "SELECT scorer, count(DISTINCT row), count(*) FILTER (truncated), "
        "median(mass) FILTER (NOT isnan(mass)) FROM scores GROUP BY 1"
    )
    return {scorer: ScorerCounts(*counts) for scorer, *counts in found}


def extreme_turns(
    project: Project, scorer: int, most: int = 5
) -> tuple[list[ScoredTurn], list[ScoredTurn]]:
    """The turns with the lowest and with the highest scores of a scorer, the extreme one first.

    Of equal scores those of the first rows; of a conversation the most extreme turn only.
    """

    def found(extreme: str, order: str) -> list[ScoredTurn]:
        rows = project.rows(
            f"SELECT row, arg_{extreme}(turn, score), {extreme}(score) s FROM scores "  # noqa: S608 - only names of ours go in
            f"WHERE scorer = ? AND score IS NOT NULL GROUP BY row ORDER BY s {order}, row LIMIT ?",
            scorer,
            most,
        )
        return [ScoredTurn(*turn) for turn in rows]

    return found("min", "ASC"), found("max", "DESC")


def failures(project: Project, scorer: int) -> list[tuple[str, int]]:
    """Why scores of this scorer are missing, and for how many turns; most common first."""
    found = project.rows(
        "SELECT reason, count(*) FROM scores WHERE scorer = ? AND reason IS NOT NULL "
        "GROUP BY 1 ORDER BY 2 DESC, 1",
        scorer,
    )
    return [(reason, turns) for reason, turns in found]


def failed_rows(project: Project, scorer: int, reason: str) -> list[int]:
    """Rows in which a score of this scorer is missing for this reason."""
    query = "SELECT DISTINCT row FROM scores WHERE scorer = ? AND reason = ? ORDER BY row"
    return project.values(query, scorer, reason)


def shortened_rows(project: Project, scorer: int) -> list[int]:
    """Rows of which a turn was shortened to fit the scorer."""
    query = "SELECT DISTINCT row FROM scores WHERE scorer = ? AND truncated ORDER BY row"
    return project.values(query, scorer)


def forget_failures(project: Project, scorer: int, reasons: Sequence[str] | None = None) -> int:
    """Drop the scores of rows in which a turn has none, so that the next run tries them again.

    reasons: only these; None: all. Returns how many rows that are.
    """
    asked = "AND reason IN (SELECT unnest(?::VARCHAR[]))" if reasons is not None else ""
    given = [scorer] if reasons is None else [scorer, list(reasons)]
    what = {"scorer": scorer, "reasons": None if reasons is None else list(reasons)}
    with project.transaction("curator", "forget failed scores", what) as cursor:
        rows = f"SELECT row FROM scores WHERE scorer = ? AND reason IS NOT NULL {asked}"  # noqa: S608 - only names of ours go in
        count = whole_number(cursor, f"SELECT count(DISTINCT row) FROM ({rows})", *given)  # noqa: S608 - only names of ours go in
        cursor.execute(f"DELETE FROM scores WHERE scorer = ? AND row IN ({rows})", [scorer, *given])  # noqa: S608 - only names of ours go in
    return count


# the active scores, for a file


def write_turn_scores(project: Project, out: Path) -> int:
    """Write one row a turn as Parquet, in order; returns how many turns there are.

    id, source, position (of the conversation in its file), turn (from 0), complexity,
    complexity_reason, quality, quality_reason. Raises ProjectError when nothing is scored.
    """
    return project.write_parquet(
        "SELECT v.id, s.name AS source, v.position, t.turn, c.score AS complexity, "  # noqa: S608 - only names of ours go in
        "c.reason AS complexity_reason, q.score AS quality, q.reason AS quality_reason "
        f"FROM turns t JOIN conversations v USING (row) JOIN sources s USING (source) {_BESIDE} "
        "ORDER BY t.row, t.turn",
        out,
        *_active(project),
    )


def write_scored_rows(project: Project, out: Path) -> int:
    """Write one row a conversation that has turns as Parquet, in order; returns how many.

    id, messages (JSON text), and the lists complexity and quality: an entry a turn, NULL without
    a score; or NULL without a scorer. Raises ProjectError when nothing is scored.
    """
    scorers = _active(project)
    complexity, quality = (
        "NULL" if number is None else f"list({short}.score ORDER BY t.turn)"
        for number, short in zip(scorers, "cq", strict=True)
    )
    return project.write_parquet(
        "SELECT v.id, v.messages, m.complexity::FLOAT[] AS complexity, "  # noqa: S608 - only names of ours go in
        "m.quality::FLOAT[] AS quality FROM conversations v JOIN ("
        f"SELECT t.row, {complexity} AS complexity, {quality} AS quality "
        f"FROM turns t {_BESIDE} GROUP BY t.row) m USING (row) ORDER BY v.row",
        out,
        *scorers,
    )


def _active(project: Project) -> list[int | None]:
    """The active scorers of complexity and quality."""
    found = [active_model(project, "complexity"), active_model(project, "quality")]
    if found == [None, None]:
        raise ProjectError(f"no turn of {project.name} has a score: score the pool first")
    return found
