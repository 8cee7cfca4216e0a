"""Queries on the log of background jobs."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from deita_core.project.store import Project, now, whole_number

# waiting -> running -> done | cancelled | failed; a running job whose process died without a
# word is "interrupted" and can be resumed, as can cancelled and failed ones.
STATES = ("waiting", "running", "done", "cancelled", "failed", "interrupted")
RESUMABLE = frozenset({"cancelled", "failed", "interrupted"})


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One job as the log has it. done and total are in rows; total is None while unknown."""

    job: int
    kind: str
    parameters: Mapping[str, Any]
    state: str
    done: int
    total: int | None
    rate: float | None
    message: str
    error: str | None
    made: datetime
    started: datetime | None
    finished: datetime | None

    @property
    def active(self) -> bool:
        """Waiting for its turn, or running."""
        return self.state in ("waiting", "running")

    @property
    def seconds(self) -> float | None:
        """How long it ran, or None before it started."""
        if self.started is None:
            return None
        return ((self.finished or now()) - self.started).total_seconds()

    @property
    def seconds_left(self) -> float | None:
        """Time left at the present rate, or None while that cannot be told."""
        if self.state != "running" or not self.rate or self.total is None:
            return None
        return max(0.0, (self.total - self.done) / self.rate)


def add_job(project: Project, kind: str, parameters: Mapping[str, Any]) -> int:
    """Log a new waiting job; returns its number."""
    with project.transaction(changes_data=False) as cursor:
        number = whole_number(cursor, "SELECT coalesce(max(job), 0) + 1 FROM jobs")
        cursor.execute(
            "INSERT INTO jobs (job, kind, parameters, state, done, message, made) "
            "VALUES (?, ?, ?, 'waiting', 0, '', ?)",
            [number, kind, json.dumps(dict(parameters)), now()],
        )
    return number


def set_job_state(project: Project, job: int, state: str, error: str | None = None) -> None:
    """Move a job to another state; stamps its start and its end."""
    started = now() if state == "running" else None
    finished = None if state in ("waiting", "running") else now()
    with project.transaction(changes_data=False) as cursor:
        cursor.execute(
            "UPDATE jobs SET state = ?, error = ?, started = coalesce(started, ?), finished = ? "
            "WHERE job = ?",
            [state, error, started, finished, job],
        )


def set_job_progress(
    project: Project, job: int, done: int, total: int | None, rate: float | None, message: str
) -> None:
    """Record how far a job has come."""
    with project.transaction(changes_data=False) as cursor:
        cursor.execute(
            "UPDATE jobs SET done = ?, total = ?, rate = ?, message = ? WHERE job = ?",
            [done, total, rate, message, job],
        )


def jobs(project: Project, limit: int = 50) -> list[JobRecord]:
    """The latest jobs, newest first."""
    found = (
        project.cursor()
        .execute(
            "SELECT job, kind, parameters, state, done, total, rate, message, error, made, "
            "started, finished FROM jobs ORDER BY job DESC LIMIT ?",
            [limit],
        )
        .fetchall()
    )
    return [JobRecord(row[0], row[1], json.loads(row[2]), *row[3:]) for row in found]


def interrupt_running(project: Project) -> list[JobRecord]:
    """Mark jobs left running by a process that died as interrupted; returns them, oldest first."""
    left = [job for job in jobs(project) if job.active]
    for job in left:
        set_job_state(project, job.job, "interrupted")
    return sorted(left, key=lambda job: job.job)
