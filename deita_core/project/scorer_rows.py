"""Queries from a scorer down to its rows: the extremes, what was cut, what failed and why."""

from __future__ import annotations

from dataclasses import dataclass

from deita_core.project.store import Project


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
