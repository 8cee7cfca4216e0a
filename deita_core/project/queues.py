"""Queues of rows to review: who gets which rows, what was answered, and what follows from it.

A row asks for a number of reviewers. Claiming takes rows under a lease, in one transaction with
all others who claim, so no more reviewers hold a row than it asks for. A lease ends with the
answer, with its time, or when it is given back; an answer that comes after its time counts too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from deita_core import people
from deita_core.errors import ProjectError, ReviewError
from deita_core.project.ledger import (
    Receipt,
    append,
    check_rows,
    check_versions,
    joined_lines,
    lines_of,
    lines_of_decisions,
    without_repeats,
)
from deita_core.project.store import (
    Project,
    check_name,
    count_up,
    next_number,
    none_such,
    now,
    whole_number,
)
from deita_core.review.answers import Answers, Effect, effect_of
from deita_core.review.decision import ASKS, VERDICTS, Decision, Dimension, Kind, check_word

if TYPE_CHECKING:
    import duckdb

LEASE_MINUTES: Final = 30
PAUSE: Final = timedelta(minutes=5)  # a longer gap between two answers is a break
QUEUES_VERSION: Final = "queues_version"
ANSWER, CLAIM = "answer in a queue", "claim rows of a queue"
GIVE_BACK, APPLY = "give rows back", "apply verdicts"


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue. rule: JSON of its QueueRule, "" for rows that were given. guidelines: Markdown.
    labels: of its own. asks: what each reviewer is asked for. blind: scores stay hidden until one
    has answered. adjudicates: the queue whose disagreements it decides. rows: how many."""

    queue: int
    name: str
    rule: str
    guidelines: str
    labels: tuple[str, ...]
    asks: tuple[str, ...]
    blind: bool
    adjudicates: int | None
    author: str
    made: datetime
    rows: int


@dataclass(frozen=True, slots=True)
class ReviewerProgress:
    """A reviewer in a queue. rows: answered whole. held: under a lease of theirs. unsure: verdicts.
    first, last: UTC, of their decisions. per_hour: rows in an hour of work (breaks of more than
    five minutes left out), NaN for fewer than two rows."""

    reviewer: str
    rows: int
    held: int
    unsure: int
    first: datetime | None
    last: datetime | None
    per_hour: float


@dataclass(frozen=True, slots=True)
class QueueProgress:
    """How far a queue is. done: rows with as many answers as they ask for. answers: of `needed`."""

    rows: int
    done: int
    answers: int
    needed: int
    reviewers: tuple[ReviewerProgress, ...]

    def sentence(self) -> str:
        """The progress in plain words."""
        return (
            f"{self.done:,} of {self.rows:,} rows done, {self.answers:,} of {self.needed:,} answers"
        )


# making queues


def make_queue(
    project: Project,
    name: str,
    rows: Sequence[int],
    *,
    rule: str = "",
    guidelines: str = "",
    labels: Sequence[str] = (),
    asks: Sequence[str] = ("verdict",),
    reviewers: int = 1,
    blind: bool = True,
    adjudicates: int | None = None,
    author: str = "",
) -> int:
    """Make a queue of these rows in this order; returns its number.

    Raises ProjectError for a name that is taken and rows that the project has not, ReviewError for
    what a queue cannot be.
    """
    import pyarrow as pa

    name = check_name(name, "queue")
    wanted = list(dict.fromkeys(map(int, rows)))
    _check_queue(wanted, labels, asks, reviewers)
    what: dict[str, Any] = {"name": name, "rows": len(wanted)}
    with project.transaction("curator", "make a queue", what, changes_data=False) as cursor:
        if whole_number(cursor, "SELECT count(*) FROM queues WHERE name = ?", name):
            raise ProjectError(f"there is a queue {name!r} already: choose another name")
        check_rows(cursor, wanted)
        what["queue"] = number = next_number(cursor, "queues", "queue")
        cursor.execute(
            "INSERT INTO queues VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                *(number, name, rule, guidelines, list(labels), list(dict.fromkeys(asks))),
                *(blind, adjudicates, people.reviewer(author), now()),
            ],
        )
        cursor.register("wanted", pa.table({"row": pa.array(wanted, pa.int32())}))
        cursor.execute(
            "INSERT INTO queue_rows SELECT ?, row_number() OVER () - 1, row, ? FROM wanted",
            [number, reviewers],
        )
        count_up(cursor, QUEUES_VERSION)
    return number


def _check_queue(
    rows: Sequence[int], labels: Sequence[str], asks: Sequence[str], reviewers: int
) -> None:
    if not rows:
        raise ReviewError("a queue has at least one row: choose some")
    if reviewers < 1:
        raise ReviewError(f"a row asks for at least 1 reviewer, got {reviewers}: raise it")
    for label in labels:
        check_word(label, "label")
    if not asks or (unknown := [ask for ask in asks if ask not in ASKS]):
        got = ", ".join(unknown) if asks else "nothing"
        raise ReviewError(f"a queue asks for {', '.join(ASKS)}, got {got}: choose one or more")
    if "label" in asks and not labels:
        raise ReviewError("a queue that asks for a label has labels: name them")


def queues(project: Project) -> list[Queue]:
    """Every queue, newest first."""
    found = project.rows(
        "SELECT q.queue, q.name, q.rule, q.guidelines, q.labels, q.asks, q.blind, q.adjudicates, "
        "q.author, q.made, (SELECT count(*) FROM queue_rows r WHERE r.queue = q.queue) "
        "FROM queues q ORDER BY q.queue DESC"
    )
    return [
        Queue(queue, name, rule, guidelines, tuple(labels), tuple(asks), *rest)
        for queue, name, rule, guidelines, labels, asks, *rest in found
    ]


def find_queue(project: Project, name: str) -> Queue:
    """A queue by name; ReviewError that lists those there are."""
    known = {queue.name: queue for queue in queues(project)}
    if name not in known:
        raise ReviewError(none_such("queue", name, known, "make it first"))
    return known[name]


def queue_rows(project: Project, queue: int) -> list[int]:
    """The rows of a queue in its order."""
    return project.values("SELECT row FROM queue_rows WHERE queue = ? ORDER BY place", queue)


def queues_version(project: Project) -> int:
    """A number that grows with every queue made or asked again."""
    return project.counter(QUEUES_VERSION)


def ask_more(project: Project, queue: int, rows: Sequence[int], more: int = 1) -> int:
    """Let these rows of a queue ask for `more` further reviewers; returns how many rows those are.

    Raises ReviewError for fewer than one more, or rows that the queue has not.
    """
    wanted = sorted({int(row) for row in rows})
    if more < 1:
        raise ReviewError(f"at least 1 reviewer more can be asked, got {more}: raise it")
    what: dict[str, Any] = {}
    with project.transaction("curator", "ask more reviewers", what, changes_data=False) as cursor:
        _check_in_queue(cursor, queue, wanted)
        cursor.execute(
            "UPDATE queue_rows SET reviewers = reviewers + ? "
            "WHERE queue = ? AND row IN (SELECT unnest(?::INTEGER[]))",
            [more, queue, wanted],
        )
        if wanted:
            what |= {"queue": queue, "rows": wanted, "more": more}
            count_up(cursor, QUEUES_VERSION)
    return len(wanted)


# answering

# Rows that a reviewer has answered whole: every slot that the queue asks for.
_ANSWERED = """
answered AS (
    SELECT row, author FROM (
        FROM decisions WHERE queue = $queue
            AND slot IN (SELECT unnest(asks) FROM queues WHERE queue = $queue)
        QUALIFY number = max(number) OVER (PARTITION BY row, slot, author))
    WHERE kind <> 'withdraw' GROUP BY row, author
    HAVING count(*) = (SELECT len(asks) FROM queues WHERE queue = $queue))
"""
_CLAIMABLE = f"""
WITH {_ANSWERED},
taken AS (
    SELECT row, count(*) AS others FROM (
        SELECT row, author FROM answered UNION
        SELECT row, reviewer FROM leases WHERE queue = $queue AND until > $now)
    WHERE author <> $reviewer GROUP BY row),
own AS (SELECT row FROM leases WHERE queue = $queue AND reviewer = $reviewer AND until > $now)
SELECT q.row FROM queue_rows q LEFT JOIN taken t USING (row)
WHERE q.queue = $queue AND q.row NOT IN (SELECT row FROM answered WHERE author = $reviewer)
  AND (q.row IN (FROM own) OR coalesce(t.others, 0) < q.reviewers)
ORDER BY q.row IN (FROM own) DESC, q.place LIMIT $most
"""  # noqa: S608 - only text of ours goes in


def claim(
    project: Project,
    queue: int,
    reviewer: str = "",
    most: int = 20,
    *,
    minutes: int = LEASE_MINUTES,
) -> list[int]:
    """Take up to `most` rows of a queue under a lease, with those already held: held ones first.

    reviewer: of who logged in, it is their own name whatever is given here. Claiming again renews
    the leases. Rows that they have answered, or that enough others answer, are not among them.
    """
    name = check_word(people.reviewer(reviewer), "name")
    if most < 1 or minutes < 1:
        raise ReviewError(
            f"at least 1 row for 1 minute can be claimed, got {most} for {minutes}: raise it"
        )
    what: dict[str, Any] = {}
    with project.transaction("reviewer", CLAIM, what, changes_data=False) as cursor:
        _asks(cursor, queue)
        at = now()
        given = {"queue": queue, "reviewer": name, "now": at, "most": most}
        rows = [row for (row,) in cursor.execute(_CLAIMABLE, given).fetchall()]
        held = cursor.execute(
            "SELECT row FROM leases WHERE queue = ? AND reviewer = ? AND until > ?",
            [queue, name, at],
        ).fetchall()
        cursor.execute("DELETE FROM leases WHERE until <= ?", [at])
        cursor.execute(
            "DELETE FROM leases WHERE queue = ? AND reviewer = ? "
            "AND row IN (SELECT unnest(?::INTEGER[]))",
            [queue, name, rows],
        )
        cursor.execute(
            "INSERT INTO leases SELECT ?, unnest(?::INTEGER[]), ?, ?",
            [queue, rows, name, at + timedelta(minutes=minutes)],
        )
        if fresh := [row for row in rows if (row,) not in held]:
            what |= {"queue": queue, "reviewer": name, "rows": fresh}
    return rows


def release(project: Project, queue: int, reviewer: str = "") -> int:
    """Give back every row of a queue that a reviewer holds; returns how many those are."""
    name = people.reviewer(reviewer)
    what: dict[str, Any] = {}
    with project.transaction("reviewer", GIVE_BACK, what, changes_data=False) as cursor:
        what |= take_back(cursor, queue, name)
    return int(what.get("rows", 0))


def take_back(cursor: duckdb.DuckDBPyConnection, queue: int, reviewer: str) -> dict[str, int | str]:
    """End a reviewer's leases in a queue; what the log says of it, nothing where none stood."""
    given = [queue, reviewer]
    ended = "DELETE FROM leases WHERE queue = ? AND reviewer = ? RETURNING row"
    held = len(cursor.execute(ended, given).fetchall())
    return {"queue": queue, "reviewer": reviewer, "rows": held} if held else {}


def answer(
    project: Project, queue: int, decisions: Sequence[Decision], *, reviewer: str = ""
) -> Receipt:
    """Append a reviewer's decisions in a queue; those that came before are left out.

    All of them or, with ReviewError, none: for rows that the queue has not, labels that are not
    its own, and versions that the rows have not. A row answered whole is given back.
    """
    name = check_word(people.reviewer(reviewer), "name")
    what: dict[str, Any] = {}
    with project.transaction("reviewer", ANSWER, what, changes_data=False) as cursor:
        _, labels = _asks(cursor, queue)
        fresh = without_repeats(cursor, decisions)
        _check_in_queue(cursor, queue, sorted({one.row for one in fresh}))
        check_versions(cursor, fresh)
        for one in fresh:
            if one.kind == "label" and one.value not in labels:
                known = ", ".join(labels) or "none"
                raise ReviewError(f"this queue has no label {one.value!r}; it has {known}")
        entry = append(cursor, lines_of_decisions(fresh), author=name, queue=queue)
        if entry:
            what |= {"queue": queue, "reviewer": name, "entry": entry, "decisions": len(fresh)}
            cursor.execute(
                f"DELETE FROM leases WHERE queue = $queue AND reviewer = $reviewer AND row IN "  # noqa: S608 - only text of ours goes in
                f"(WITH {_ANSWERED} SELECT row FROM answered WHERE author = $reviewer)",
                {"queue": queue, "reviewer": name},
            )
    return Receipt(entry, len(fresh), len(decisions) - len(fresh))


def _asks(cursor: duckdb.DuckDBPyConnection, queue: int) -> tuple[list[str], list[str]]:
    """What a queue asks for, and its labels; ReviewError when there is none."""
    found = cursor.execute("SELECT asks, labels FROM queues WHERE queue = ?", [queue]).fetchall()
    if not found:
        raise ReviewError(f"there is no queue {queue} in this project: choose another one")
    asks, labels = found[0]
    return asks, labels


def _check_in_queue(cursor: duckdb.DuckDBPyConnection, queue: int, rows: Sequence[int]) -> None:
    _asks(cursor, queue)
    query = (
        "SELECT count(*) FROM queue_rows WHERE queue = ? AND row IN (SELECT unnest(?::INTEGER[]))"
    )
    if unknown := len(rows) - whole_number(cursor, query, queue, rows):
        raise ReviewError(
            f"{unknown} of {len(rows)} rows are not in this queue: choose rows that it has"
        )


# reading

_VALUES = (
    "CASE slot WHEN 'verdict' THEN list_position(?, kind) - 1 "
    "WHEN 'label' THEN list_position(?, value) - 1 ELSE value::INTEGER END"
)


def answers(project: Project, queue: int) -> Answers:
    """What stands of a queue's answers, with the verdicts of the queues that adjudicate it.

    Of several adjudicators the last one has decided.
    """
    with project.reading() as cursor:
        _, labels = _asks(cursor, queue)
    found = project.rows(
        "SELECT row, reviewers FROM queue_rows WHERE queue = ? ORDER BY place", queue
    )
    rows = np.array([row for row, _ in found], np.int64)
    said = project.rows(
        f"SELECT author, row, slot, {_VALUES} FROM (FROM decisions WHERE queue = ? "  # noqa: S608 - only text of ours goes in
        "AND slot IN (SELECT unnest(?::VARCHAR[])) "
        "QUALIFY number = max(number) OVER (PARTITION BY row, slot, author)) "
        "WHERE kind <> 'withdraw' ORDER BY author, row",
        *(list(VERDICTS), labels, queue, list(ASKS)),
    )
    reviewers = tuple(dict.fromkeys(author for author, *_ in said))
    values = {ask: np.full((len(reviewers), len(rows)), np.nan) for ask in ASKS}
    column = {row: place for place, row in enumerate(rows.tolist())}
    line = {author: place for place, author in enumerate(reviewers)}
    for author, row, slot, value in said:
        values[slot][line[author], column[row]] = value
    return Answers(
        rows=rows,
        reviewers=reviewers,
        **values,
        label_names=tuple(labels),
        adjudicated=_adjudicated(project, queue, column),
        needed=np.array([number for _, number in found], np.int64),
    )


def _adjudicated(project: Project, queue: int, column: dict[int, int]) -> NDArray[np.float64]:
    judged = np.full(len(column), np.nan)
    found = project.rows(
        "SELECT s.row, list_position(?, s.kind) - 1 FROM standing s JOIN queues q USING (queue) "
        "WHERE q.adjudicates = ? AND s.slot = 'verdict' AND s.kind <> 'withdraw' ORDER BY s.number",
        *(list(VERDICTS), queue),
    )
    for row, verdict in found:
        if row in column:
            judged[column[row]] = verdict
    return judged


def people_scores(
    project: Project, dimension: Dimension, queue: int | None = None
) -> NDArray[np.float64]:
    """The mean score that people gave the text as imported of each row: (n,), NaN for none.

    queue: only what was answered in it; None: everywhere.
    """
    found = project.arrays(
        "SELECT row, avg(value::INTEGER) AS score FROM standing WHERE slot = ? AND version = 0 "
        "AND kind <> 'withdraw' AND (? IS NULL OR queue = ?) GROUP BY row",
        *(dimension, queue, queue),
    )
    scores = np.full(project.number("SELECT count(*) FROM conversations"), np.nan)
    scores[found["row"]] = found["score"]
    return scores


def verdicts_of_others(
    project: Project, queue: int, row: int, reviewer: str = ""
) -> list[Decision]:
    """What others decided about a row of a queue; nothing before the reviewer has answered it.

    `why` begins with whose decision it is.
    """
    name = people.reviewer(reviewer)
    query = (
        f"WITH {_ANSWERED} SELECT count(*) FROM answered WHERE row = $row AND author = $reviewer"  # noqa: S608 - only text of ours goes in
    )
    with project.reading() as cursor:
        given = {"queue": queue, "row": row, "reviewer": name}
        if not cursor.execute(query, given).fetchall()[0][0]:
            return []
    found = project.rows(
        "SELECT kind, value, author || CASE why WHEN '' THEN '' ELSE ': ' || why END, version "
        "FROM standing WHERE queue = ? AND row = ? AND author <> ? AND NOT shared "
        "AND kind <> 'withdraw' ORDER BY author, number",
        *(queue, row, name),
    )
    return [Decision(row, kind, value, why, version) for kind, value, why, version in found]


# Rows of the queue, those with all their answers, answers, and answers needed: what a row asks for,
# or what it has where more people answered than were asked.
_PROGRESS = f"""
WITH {_ANSWERED},
given AS (SELECT row, count(*) AS answers FROM answered GROUP BY row)
SELECT count(*), count(*) FILTER (coalesce(g.answers, 0) >= q.reviewers),
    coalesce(sum(g.answers), 0)::BIGINT,
    coalesce(sum(greatest(q.reviewers, coalesce(g.answers, 0))), 0)::BIGINT
FROM queue_rows q LEFT JOIN given g USING (row) WHERE q.queue = $queue
"""  # noqa: S608 - only text of ours goes in


def progress(project: Project, queue: int) -> QueueProgress:
    """How far a queue is, and each reviewer in it."""
    with project.reading() as cursor:
        _asks(cursor, queue)
        rows, done, given, needed = cursor.execute(_PROGRESS, {"queue": queue}).fetchall()[0]
        by_author = f"WITH {_ANSWERED} SELECT author, count(*) FROM answered GROUP BY author"  # noqa: S608 - only text of ours goes in
        answered = dict(cursor.execute(by_author, {"queue": queue}).fetchall())
    held = dict(
        project.rows(
            "SELECT reviewer, count(*) FROM leases WHERE queue = ? AND until > ? GROUP BY 1",
            *(queue, now()),
        )
    )
    names = sorted(answered.keys() | held.keys())
    reviewers = [
        _of_reviewer(project, queue, name, answered.get(name, 0), held.get(name, 0))
        for name in names
    ]
    return QueueProgress(rows, done, given, needed, tuple(reviewers))


def _of_reviewer(project: Project, queue: int, name: str, rows: int, held: int) -> ReviewerProgress:
    times: list[datetime] = project.values(
        "SELECT max(made) FROM decisions WHERE queue = ? AND author = ? AND slot <> 'note' "
        "GROUP BY row ORDER BY 1",
        *(queue, name),
    )
    gaps = [later - sooner for sooner, later in pairwise(times)]
    worked = [gap for gap in gaps if gap <= PAUSE]
    seconds = sum(gap.total_seconds() for gap in worked)
    unsure = project.number(
        "SELECT count(*) FROM (FROM decisions WHERE queue = ? AND author = ? AND slot = 'verdict' "
        "QUALIFY number = max(number) OVER (PARTITION BY row)) WHERE kind = 'unsure'",
        *(queue, name),
    )
    return ReviewerProgress(
        name,
        rows,
        held,
        unsure,
        times[0] if times else None,
        times[-1] if times else None,
        3600 * len(worked) / seconds if seconds else float("nan"),
    )


# what follows


def apply_verdicts(project: Project, queue: int, rule: str, *, author: str = "") -> Effect:
    """Pin and exclude the rows of a queue by its verdicts and a stated rule, as one entry.

    Rows that are so already are left as they are; undecided ones, too. Returns the effect.
    """
    what: dict[str, Any] = {}
    effect = effect_of(answers(project, queue), rule)
    acting: tuple[tuple[NDArray[np.int64], str, Kind], ...] = (
        (effect.pinned, "pinned", "pin"),
        (effect.excluded, "excluded", "exclude"),
    )
    name = project.values("SELECT name FROM queues WHERE queue = ?", queue)[0]
    with project.transaction("curator", APPLY, what, changes_data=False) as cursor:
        present = dict(cursor.execute("SELECT row, kind FROM pins").fetchall())
        parts = [
            lines_of(
                [r for r in rows.tolist() if present.get(r) != kind], verb, why=f"{rule} of {name}"
            )
            for rows, kind, verb in acting
        ]
        lines = joined_lines(parts)
        entry = append(cursor, lines, author=people.author(author))
        if entry:
            what |= {"queue": queue, "rule": rule, "entry": entry, "rows": len(lines)}
    return effect
