"""Where a queue stands beside its answers: who holds which rows, what waits, what followed.

The answers themselves, and what changes them, are in `project.queues`.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from deita_core.errors import ReviewError
from deita_core.project.ledger import UNDO
from deita_core.project.log import log_entries
from deita_core.project.queues import APPLY, GIVE_BACK, Queue, answers, make_queue, take_back
from deita_core.project.review_rows import Said, said_in_queue
from deita_core.project.store import Project, now
from deita_core.review.answers import disagreeing


@dataclass(frozen=True, slots=True)
class Lease:
    """A row that a reviewer holds until a time, in UTC."""

    row: int
    reviewer: str
    until: datetime


def leases(project: Project, queue: int) -> list[Lease]:
    """The rows of a queue that somebody holds now, in the order of the queue."""
    found = project.rows(
        "SELECT l.row, l.reviewer, l.until FROM leases l JOIN queue_rows q USING (queue, row) "
        "WHERE l.queue = ? AND l.until > ? ORDER BY q.place, l.reviewer",
        *(queue, now()),
    )
    return [Lease(*line) for line in found]


def end_leases(project: Project, queue: int, reviewer: str) -> int:
    """Take back every row of a queue that a reviewer holds, whoever that is; how many those are."""
    what: dict[str, Any] = {}
    with project.transaction("curator", GIVE_BACK, what, changes_data=False) as cursor:
        what |= take_back(cursor, queue, reviewer)
    return int(what.get("rows", 0))


_WAITING: Final = """
WITH stands AS (
    FROM decisions WHERE queue IS NOT NULL
    QUALIFY number = max(number) OVER (PARTITION BY queue, row, slot, author)),
whole AS (
    SELECT s.queue, s.row, s.author FROM stands s JOIN queues q USING (queue)
    WHERE s.kind <> 'withdraw' AND list_contains(q.asks, s.slot)
    GROUP BY s.queue, s.row, s.author, q.asks HAVING count(*) = len(q.asks))
SELECT r.queue, r.row FROM queue_rows r LEFT JOIN whole w USING (queue, row)
GROUP BY r.queue, r.row, r.reviewers
HAVING count(w.author) < r.reviewers AND count(*) FILTER (w.author = ?) = 0
"""


def waiting_for(project: Project, reviewer: str) -> frozenset[tuple[int, int]]:
    """Queue and row of everything that this reviewer may still be asked for, in all queues.

    Those are rows with fewer answers than they ask for, none of them theirs: what others said of
    them stays hidden from them.
    """
    return frozenset(project.rows(_WAITING, reviewer))


def said_of_row(project: Project, queue: int, row: int) -> list[Said]:
    """What stands of all answers and notes on a row of a queue, adjudicators' at the end."""
    settling = project.values("SELECT queue FROM queues WHERE adjudicates = ? ORDER BY 1", queue)
    found = (said_in_queue(project, one, [row]) for one in (queue, *settling))
    return [said for one in found for said in one.get(row, [])]


def make_adjudication(
    project: Project, queue: Queue, name: str, *, author: str = ""
) -> tuple[int, int]:
    """Make a queue of the rows on which the reviewers of another differ; its number and its rows.

    Raises ReviewError when nobody differs, and as `make_queue` does.
    """
    rows = disagreeing(answers(project, queue.queue)).tolist()
    if not rows:
        raise ReviewError(f"nobody differs in {queue.name!r}: there is nothing to adjudicate")
    number = make_queue(
        project,
        name,
        rows,
        guidelines=queue.guidelines,
        blind=queue.blind,
        adjudicates=queue.queue,
        author=author,
    )
    return number, len(rows)


def standing_lines(project: Project, entry: int) -> int:
    """How many lines of an entry of the ledger nothing has replaced since: what undoing it does."""
    return project.number("SELECT count(*) FROM standing WHERE entry = ?", entry)


@dataclass(frozen=True, slots=True)
class Applied:
    """Verdicts that became pins and exclusions. lines: of the entry; standing: those of them that
    nothing has replaced since. made: UTC."""

    entry: int
    rule: str
    who: str
    made: datetime
    lines: int
    standing: int


def applied_verdicts(project: Project, queue: int) -> Applied | None:
    """When the verdicts of a queue were last applied; None when nothing stands of it."""
    for entry in log_entries(project, action=APPLY):
        if entry.what.get("queue") != queue or "entry" not in entry.what:
            continue
        number = entry.what["entry"]
        if standing := standing_lines(project, number):
            made = (entry.what["rule"], entry.who, entry.made, entry.what["rows"])
            return Applied(number, *made, standing)
    return None


@dataclass(frozen=True, slots=True)
class LastEntry:
    """What somebody decided last in one go, and still stands: its first line, and how many."""

    entry: int
    lines: int
    rows: int
    row: int
    kind: str
    value: str


def last_entry_of(project: Project, author: str, queue: int | None = None) -> LastEntry | None:
    """The newest entry of an author of which something stands; what undid another is left out.

    queue: only what was decided in it; None: everywhere.
    """
    found = project.rows(
        "SELECT s.entry, count(*), count(DISTINCT s.row), min(s.row), arg_min(s.kind, s.number), "
        "arg_min(s.value, s.number) FROM standing s "
        "WHERE s.author = ? AND (? IS NULL OR s.queue = ?) AND s.entry NOT IN ("
        "    SELECT (what ->> 'entry')::BIGINT FROM log WHERE action = ? "
        "    AND what ->> 'entry' IS NOT NULL) "
        "GROUP BY s.entry ORDER BY s.entry DESC LIMIT 1",
        *(author, queue, queue, UNDO),
    )
    return LastEntry(*found[0]) if found else None
