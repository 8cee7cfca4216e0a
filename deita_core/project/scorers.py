"""Queries on how scorers do: masses, failures to try again, pilots and what is left to do.

Queries from a scorer down to its rows: the extremes, what was cut, what failed and why.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_core.project.scores import UNSCORED
from deita_core.project.store import Project, now, sql_path, whole_number
from deita_core.project.vectors import UNEMBEDDED


@dataclass(frozen=True, slots=True)
class ScoreColumns:
    """Every turn that a scorer was given: score and mass (n,) float32 with NaN for none,
    truncated (n,) bool, and how many turns lack a score for which reason."""

    score: NDArray[np.float32]
    mass: NDArray[np.float32]
    truncated: NDArray[np.bool_]
    reasons: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class PilotRecord:
    """A pilot that was run. facts: what `deita_core.jobs.kinds.pilot` measured."""

    pilot: int
    model: str
    facts: Mapping[str, Any]
    made: datetime


def score_columns(project: Project, scorer: int) -> ScoreColumns:
    """What a scorer gave so far."""
    found = (
        project.cursor()
        .execute(
            "SELECT coalesce(score, 'nan'::FLOAT) s, coalesce(mass, 'nan'::FLOAT) m, "
            "coalesce(truncated, false) t FROM scores WHERE scorer = ?",
            [scorer],
        )
        .fetchnumpy()
    )
    reasons = project.cursor().execute(
        "SELECT reason, count(*) FROM scores WHERE scorer = ? AND reason IS NOT NULL "
        "GROUP BY 1 ORDER BY 2 DESC, 1",
        [scorer],
    )
    return ScoreColumns(
        np.asarray(found["s"], np.float32),
        np.asarray(found["m"], np.float32),
        np.asarray(found["t"], np.bool_),
        dict(reasons.fetchall()),
    )


def forget_failures(project: Project, scorer: int, reasons: Sequence[str] | None = None) -> int:
    """Drop the scores of rows in which a turn has none, so that the next run tries them again.

    reasons: only these; None: all. Returns how many rows that are.
    """
    asked = "AND reason IN (SELECT unnest(?::VARCHAR[]))" if reasons is not None else ""
    given = [scorer] if reasons is None else [scorer, list(reasons)]
    with project.transaction() as cursor:
        rows = f"SELECT row FROM scores WHERE scorer = ? AND reason IS NOT NULL {asked}"
        count = whole_number(cursor, f"SELECT count(DISTINCT row) FROM ({rows})", *given)
        cursor.execute(f"DELETE FROM scores WHERE scorer = ? AND row IN ({rows})", [scorer, *given])
    return count


def activate_scorer(project: Project, scorer: int) -> None:
    """Let the scores of this scorer count for selection, instead of others of its dimension."""
    with project.transaction() as cursor:
        cursor.execute(
            "UPDATE scorers SET active = (scorer = ?) WHERE dimension = "
            "(SELECT dimension FROM scorers WHERE scorer = ?)",
            [scorer, scorer],
        )


def write_pilot_rows(
    project: Project, dimension: str, number: int, rows: int, seed: int, out: Path
) -> int:
    """Write row and messages of a sample of what a model has not done yet; returns how many.

    dimension: of the scorer `number`, or "embedding" for the embedder `number`. The sample is
    one row at random (by hash and seed) out of each of `rows` classes of like length.
    """
    condition, given = _left(dimension, number)
    project.cursor().execute(
        f"COPY (WITH left_over AS (SELECT row, messages, hash(row + ?) h, "
        f"ntile(?) OVER (ORDER BY tokens, row) class FROM conversations c WHERE {condition}) "
        "SELECT row, messages FROM left_over QUALIFY row_number() OVER "
        f"(PARTITION BY class ORDER BY h, row) = 1 ORDER BY row) TO '{sql_path(out)}' "
        "(FORMAT parquet)",
        [seed, rows, *given],
    )
    return whole_number(project.cursor(), f"SELECT count(*) FROM '{sql_path(out)}'")


def reading_left(project: Project, dimension: str, number: int) -> tuple[int, int]:
    """Rows that a model has not done yet, and the characters it will read of them."""
    condition, given = _left(dimension, number)
    return _reading(project, dimension, condition, given)


def reading_of(project: Project, dimension: str, rows: Sequence[int]) -> int:
    """The characters that a model of this dimension reads of these rows."""
    return _reading(project, dimension, "c.row IN (SELECT unnest(?::INTEGER[]))", [list(rows)])[1]


# A prompt around each turn, in characters.
_PROMPT = 120
_READ = {
    "complexity": f"instruction_characters + {_PROMPT}",
    "quality": f"instruction_characters + coalesce(response_characters, 0) + {_PROMPT}",
}


def _left(dimension: str, number: int) -> tuple[str, list[Any]]:
    if dimension == "embedding":
        return UNEMBEDDED, [number]
    return UNSCORED, [[number], 1]


def _reading(project: Project, dimension: str, condition: str, given: list[Any]) -> tuple[int, int]:
    if dimension == "embedding":
        query = (
            "SELECT count(*), coalesce(sum(c.characters), 0) FROM conversations c "
            f"WHERE {condition}"
        )
    else:
        query = (
            f"SELECT count(DISTINCT t.row), coalesce(sum({_READ[dimension]}), 0) FROM turns t "
            f"WHERE t.row IN (SELECT c.row FROM conversations c WHERE {condition})"
        )
    found = project.cursor().execute(query, given).fetchall()[0]
    return int(found[0]), int(found[1])


def add_pilot(project: Project, model: str, facts: Mapping[str, Any]) -> int:
    """Keep what a pilot found out; returns its number."""
    with project.transaction(changes_data=False) as cursor:
        number = whole_number(cursor, "SELECT coalesce(max(pilot), 0) + 1 FROM pilots")
        encoded = json.dumps(dict(facts), sort_keys=True)
        cursor.execute("INSERT INTO pilots VALUES (?, ?, ?, ?)", [number, model, encoded, now()])
    return number


def pilots(project: Project, limit: int = 50) -> list[PilotRecord]:
    """The latest pilots, newest first."""
    found = project.cursor().execute(
        "SELECT pilot, model, facts, made FROM pilots ORDER BY pilot DESC LIMIT ?", [limit]
    )
    return [
        PilotRecord(pilot, model, json.loads(facts), made)
        for pilot, model, facts, made in found.fetchall()
    ]


@dataclass(frozen=True, slots=True)
class ScoredTurn:
    """A turn and its score by one scorer."""

    row: int
    turn: int
    score: float


@dataclass(frozen=True, slots=True)
class ScorerCounts:
    """rows: conversations it was given. truncated: turns cut to fit. mass: median probability on
    the six digits, None where it is not known."""

    rows: int
    truncated: int
    mass: float | None


def scorer_counts(project: Project) -> dict[int, ScorerCounts]:
    """Counts beyond those of `scores.scorers`, by the scorer's number."""
    found = project.cursor().execute(
        "SELECT scorer, count(DISTINCT row), count(*) FILTER (truncated), "
        "median(mass) FILTER (NOT isnan(mass)) FROM scores GROUP BY 1"
    )
    return {s: ScorerCounts(rows, cut, mass) for s, rows, cut, mass in found.fetchall()}


def extreme_turns(
    project: Project, scorer: int, most: int = 5
) -> tuple[list[ScoredTurn], list[ScoredTurn]]:
    """The turns with the lowest and with the highest scores of a scorer, the extreme one first.

    Of equal scores those of the first rows; of a conversation the most extreme turn only.
    """

    def found(order: str, extreme: str) -> list[ScoredTurn]:
        rows = project.cursor().execute(
            f"SELECT row, {extreme}(turn, score), {extreme.removeprefix('arg_')}(score) s "
            "FROM scores WHERE scorer = ? AND score IS NOT NULL GROUP BY row "
            f"ORDER BY s {order}, row LIMIT ?",
            [scorer, most],
        )
        return [ScoredTurn(row, turn, score) for row, turn, score in rows.fetchall()]

    return found("ASC", "arg_min"), found("DESC", "arg_max")


def cut_rows(project: Project, scorer: int) -> list[int]:
    """Rows of which a turn was cut to fit the model."""
    return _rows(project, "truncated", [scorer])


def failures(project: Project, scorer: int) -> list[tuple[str, int]]:
    """Why scores of this scorer are missing, and for how many turns; most common first."""
    found = project.cursor().execute(
        "SELECT reason, count(*) FROM scores WHERE scorer = ? AND reason IS NOT NULL "
        "GROUP BY 1 ORDER BY 2 DESC, 1",
        [scorer],
    )
    return [(reason, turns) for reason, turns in found.fetchall()]


def failed_rows(project: Project, scorer: int, reason: str) -> list[int]:
    """Rows in which a score of this scorer is missing for this reason."""
    return _rows(project, "reason = ?", [scorer, reason])


def _rows(project: Project, condition: str, given: list[object]) -> list[int]:
    found = project.cursor().execute(
        f"SELECT DISTINCT row FROM scores WHERE scorer = ? AND {condition} ORDER BY row", given
    )
    return [int(row[0]) for row in found.fetchall()]
