"""The log of background jobs: what was asked for, how far it has come, and how it ended."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from deita_core.models.spending import Spent
from deita_core.people import Person, require
from deita_core.project.store import Project, next_number, now

# A job left running by a process that died is taken up by the next owner of the project.
State = Literal["waiting", "running", "done", "cancelled", "failed"]
RESUMABLE = frozenset({"cancelled", "failed"})
_ACTIVE = ("waiting", "running")
# Parameters that the log leaves to the job's own record: long, or an address that may hold a key.
_LONG = frozenset({"rule", "options", "prompts"})


class ScorerNote(BaseModel):
    """The worst that stands out about the scores of one dimension so far."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    level: Literal["good", "look", "hopeless"]
    sentence: str


class Progress(BaseModel):
    """How far a job has come, in fields; `sentence` puts them into words.

    stage: what it does now. done, total: in the unit of its kind; total is None while unknown.
    rate: units a second over the last half minute, None before that can be told.
    item, item_done: the file or dataset it is at, and how many of its rows are done.
    found: rows kept or pairs found so far. floor: of the pairs' similarity.
    model_rate, tokens_rate: rows and (about) tokens a second of the model's own time.
    loss: of a training's last step; curve: the (step, loss) so far, thinned out.
    health: of the scores, by dimension. counts: what came of it so far, by what it is called.
    spent: on a chat model. result: what it has to say at its end.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    stage: str = "starting"
    done: int = 0
    total: int | None = None
    rate: float | None = None
    item: str | None = None
    item_done: int = 0
    found: int | None = None
    floor: float | None = None
    model_rate: float | None = None
    tokens_rate: float | None = None
    loss: float | None = None
    curve: tuple[tuple[int, float], ...] = ()
    health: Mapping[str, ScorerNote] = Field(default_factory=dict)
    counts: Mapping[str, int] = Field(default_factory=dict)
    spent: Spent | None = None
    result: tuple[str, ...] = ()

    @property
    def share(self) -> float:
        """The part that is done, from 0 to 1; 0 while the total is unknown."""
        return min(1.0, self.done / self.total) if self.total else 0.0

    @property
    def speed(self) -> str:
        """ "about 1,234 tokens/s", or nothing where a job has no tokens."""
        return "" if self.tokens_rate is None else f"about {_figures(self.tokens_rate)} tokens/s"

    @property
    def notes(self) -> tuple[str, ...]:
        """The health of the scores in words, one sentence a dimension."""
        return tuple(f"{dimension}: {note.sentence}" for dimension, note in self.health.items())

    def sentence(self) -> str:
        """What there is to say beside done and total."""
        if self.result:
            return "; ".join(self.result)
        if self.spent is not None:
            counted = (f"{count:,} {name}" for name, count in self.counts.items())
            return "; ".join([", ".join(counted), self.spent.sentence()])
        if self.loss is not None:
            speed = "" if self.model_rate is None else f", {_figures(self.model_rate)} rows/s"
            return f"{self.stage}: loss {self.loss:.3f}{speed}"
        if self.model_rate is not None:
            return "; ".join([f"{_figures(self.model_rate)} rows/s, {self.speed}", *self.notes])
        if self.item is not None:
            return f"{self.stage} {self.item}: {self.item_done:,} rows"
        if self.floor is not None:
            return f"{self.found:,} above {self.floor:.2f}"
        if self.found is not None:
            return f"{self.found:,} kept"
        return self.stage


def _figures(rate: float) -> str:
    """1,234 or 12.3 or 0.45."""
    return f"{rate:,.0f}" if rate >= 100 else f"{rate:.1f}" if rate >= 1 else f"{rate:.2f}"


@dataclass(frozen=True, slots=True)
class JobRecord:
    """One job as the log has it.

    after: the job that must be done first, when it is one of a chain. error_code: the name of
    the error's class, None where the job did not fail. person: who asked for it; what it writes
    is written on their behalf.
    """

    parameters: Mapping[str, Any]
    progress: Progress
    person: Person
    job: int
    kind: str
    after: int | None
    state: State
    error: str | None
    error_code: str | None
    made: datetime
    started: datetime | None
    finished: datetime | None

    @property
    def active(self) -> bool:
        """Waiting for its turn, or running."""
        return self.state in _ACTIVE

    @property
    def message(self) -> str:
        """What it does, or what it had to say at its end."""
        return self.progress.sentence()

    @property
    def seconds(self) -> float | None:
        """How long it ran, or None before it started."""
        if self.started is None:
            return None
        return ((self.finished or now()) - self.started).total_seconds()

    @property
    def seconds_left(self) -> float | None:
        """Time left at the present rate, or None while that cannot be told."""
        progress = self.progress
        if self.state != "running" or not progress.rate or progress.total is None:
            return None
        return max(0.0, (progress.total - progress.done) / progress.rate)


def add_job(
    project: Project, kind: str, parameters: Mapping[str, Any], after: int | None = None
) -> int:
    """Log a new waiting job of who acts now; returns its number."""
    what: dict[str, Any] = {"state": "waiting"}
    what |= {name: value for name, value in parameters.items() if name not in _LONG}
    with project.transaction("curator", f"run {kind}", what, changes_data=False) as cursor:
        what["job"] = number = next_number(cursor, "jobs", "job")
        person = require("curator", f"run {kind}").model_dump_json()
        given = json.dumps(dict(parameters))
        cursor.execute(
            "INSERT INTO jobs (job, kind, parameters, after, state, progress, made, person) "
            "VALUES (?, ?, ?, ?, 'waiting', ?, ?, ?)",
            [number, kind, given, after, _encoded(Progress()), now(), person],
        )
    return number


def set_job_state(
    project: Project,
    job: int,
    state: State,
    error: str | None = None,
    error_code: str | None = None,
) -> None:
    """Move a job to another state; stamps its start and its end, which the log has, too."""
    started = now() if state == "running" else None
    finished = None if state in _ACTIVE else now()
    kind = project.values("SELECT kind FROM jobs WHERE job = ?", job)[0]
    what = {"job": job, "state": state, "error": error_code} if finished else {}
    with project.transaction("curator", f"run {kind}", what, changes_data=False) as cursor:
        cursor.execute(
            "UPDATE jobs SET state = ?, error = ?, error_code = ?, "
            "started = coalesce(started, ?), finished = ? WHERE job = ?",
            [state, error, error_code, started, finished, job],
        )


def set_job_progress(project: Project, job: int, progress: Progress) -> None:
    """Record how far a job has come."""
    with project.transaction("curator", None, changes_data=False) as cursor:
        cursor.execute("UPDATE jobs SET progress = ? WHERE job = ?", [_encoded(progress), job])


def jobs(project: Project, limit: int = 50) -> list[JobRecord]:
    """The latest jobs, newest first."""
    return _jobs(project, "ORDER BY job DESC LIMIT ?", limit)


def active_jobs(project: Project) -> list[JobRecord]:
    """The jobs that wait or run, in the order queued."""
    return _jobs(project, "WHERE state IN (SELECT unnest(?)) ORDER BY job", list(_ACTIVE))


def find_job(project: Project, job: int) -> JobRecord | None:
    """A job by its number; None when there is none."""
    return next(iter(_jobs(project, "WHERE job = ?", job)), None)


def _jobs(project: Project, which: str, given: object) -> list[JobRecord]:
    found = project.rows(
        "SELECT parameters, progress, person, job, kind, after, state, error, error_code, made, "  # noqa: S608 - only names of ours go in
        f"started, finished FROM jobs {which}",
        given,
    )
    return [
        JobRecord(
            json.loads(parameters),
            Progress.model_validate_json(progress),
            Person.model_validate_json(person),
            *rest,
        )
        for parameters, progress, person, *rest in found
    ]


def _encoded(progress: Progress) -> str:
    return progress.model_dump_json(exclude_defaults=True)
