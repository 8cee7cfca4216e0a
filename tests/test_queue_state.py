"""project.queue_state: leases and who ends them, what waits for whom, what was applied."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from deita_core.errors import PermissionDeniedError, ReviewError
from deita_core.people import Person, acting_as
from deita_core.project import Project
from deita_core.project.ledger import tag_rows, undo
from deita_core.project.pins import pins, set_pins
from deita_core.project.queue_state import (
    applied_verdicts,
    end_leases,
    last_entry_of,
    leases,
    make_adjudication,
    said_of_row,
    waiting_for,
)
from deita_core.project.queues import (
    answer,
    answers,
    apply_verdicts,
    claim,
    find_queue,
    make_queue,
    queue_rows,
)
from deita_core.review.answers import answered_once
from deita_core.review.decision import Decision
from tests.builders import prepared_project

CURATOR = Person(name="Cleo", email="cleo@example.org", role="curator")
REVIEWER = Person(name="Rob", email="rob@example.org", role="reviewer")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.open(prepared_project(tmp_path / "topics.duckdb", rows=30)) as opened:
        yield opened


def say(project: Project, queue: int, name: str, *said: tuple[int, str, str]) -> None:
    given = [Decision(row, kind, value) for row, kind, value in said]  # type: ignore[arg-type]
    answer(project, queue, given, reviewer=name)


def test_a_curator_ends_the_leases_of_others_and_a_reviewer_does_not(project: Project) -> None:
    queue = make_queue(project, "first", [4, 2, 9])
    claim(project, queue, "Ada", 2)
    claim(project, queue, "Bob", 1)
    assert [(one.row, one.reviewer) for one in leases(project, queue)] == [
        (4, "Ada"),
        (2, "Ada"),
        (9, "Bob"),
    ]
    with acting_as(REVIEWER), pytest.raises(PermissionDeniedError):
        end_leases(project, queue, "Ada")
    with acting_as(CURATOR):
        assert end_leases(project, queue, "Ada") == 2
        assert end_leases(project, queue, "Ada") == 0
    assert [one.reviewer for one in leases(project, queue)] == ["Bob"]
    assert claim(project, queue, "Dan", 5) == [4, 2]


def naive_waiting(project: Project, queue: int, asks: list[str], name: str) -> set[int]:
    """The definition, row by row."""
    given, found = answers(project, queue), set()
    for place, row in enumerate(given.rows.tolist()):
        by = {
            who
            for line, who in enumerate(given.reviewers)
            if all(given.of(ask)[line, place] == given.of(ask)[line, place] for ask in asks)
        }
        if name not in by and len(by) < given.needed[place]:
            found.add(row)
    return found


def test_rows_wait_for_who_has_not_answered_them_while_they_ask_for_more(project: Project) -> None:
    asks = ["verdict", "quality"]
    first = make_queue(project, "first", [1, 2, 3, 4], asks=asks, reviewers=2)
    second = make_queue(project, "second", [2, 5])
    both = [("keep", ""), ("quality", "4")]
    say(project, first, "Ada", *((row, *one) for row in (1, 2) for one in both), (3, "drop", ""))
    say(project, first, "Bob", *((1, *one) for one in both))
    say(project, second, "Bob", (2, "drop", ""), (5, "keep", ""), (5, "withdraw", "verdict"))
    for name in ("Ada", "Bob", "Dan", ""):
        found = waiting_for(project, name)
        for queue, what in ((first, asks), (second, ["verdict"])):
            wanted = naive_waiting(project, queue, what, name)
            assert {row for of, row in found if of == queue} == wanted
    assert waiting_for(project, "Ada") == {(first, 3), (first, 4), (second, 5)}


def test_rows_answered_once_are_those_that_ask_for_no_other(project: Project) -> None:
    queue = make_queue(project, "first", [1, 2, 3], asks=["verdict", "quality"])
    say(project, queue, "Ada", (1, "keep", ""), (1, "quality", "3"), (2, "keep", ""))
    assert answered_once(answers(project, queue), ["verdict", "quality"]).tolist() == [1]
    twice = make_queue(project, "second", [1], reviewers=2)
    say(project, twice, "Ada", (1, "keep", ""))
    assert answered_once(answers(project, twice), ["verdict"]).tolist() == []


def test_an_adjudicator_gets_the_rows_that_differ_and_their_answer_is_told_last(
    project: Project,
) -> None:
    queue = make_queue(project, "first", [1, 2, 3], reviewers=2, guidelines="Read", blind=False)
    say(project, queue, "Ada", (1, "keep", ""), (2, "keep", ""))
    with pytest.raises(ReviewError, match="nobody differs in 'first'"):
        make_adjudication(project, find_queue(project, "first"), "settled")
    say(project, queue, "Bob", (1, "keep", ""), (2, "drop", ""), (2, "note", "no source"))
    number, rows = make_adjudication(project, find_queue(project, "first"), "settled")
    made = find_queue(project, "settled")
    assert (rows, queue_rows(project, number)) == (1, [2])
    assert (made.adjudicates, made.guidelines, made.blind) == (queue, "Read", False)
    say(project, number, "Abe", (2, "drop", ""))
    told = [one.sentence() for one in said_of_row(project, queue, 2)]
    assert told == ["Ada: keep", "Bob: drop", "Bob: note no source", "Abe: drop"]


def test_what_was_applied_is_found_until_it_is_undone(project: Project) -> None:
    queue = make_queue(project, "first", [1, 2, 3])
    assert applied_verdicts(project, queue) is None
    say(project, queue, "Ada", (1, "keep", ""), (2, "drop", ""))
    set_pins(project, [1], "excluded")
    apply_verdicts(project, queue, "majority", author="Ada")
    done = applied_verdicts(project, queue)
    assert done is not None
    assert (done.rule, done.lines, done.standing) == ("majority", 2, 2)
    set_pins(project, [2], None)
    undo(project, done.entry)
    assert applied_verdicts(project, queue) is None
    assert [(pin.row, pin.kind) for pin in pins(project)] == [(1, "excluded")]


def test_the_last_entry_is_ones_own_and_never_an_undo(project: Project) -> None:
    queue = make_queue(project, "first", [1, 2, 3])
    say(project, queue, "Ada", (1, "keep", ""))
    tag_rows(project, [5, 6], "long", author="Ada")
    say(project, queue, "Bob", (2, "drop", ""))
    found = last_entry_of(project, "Ada")
    assert found is not None
    assert (found.lines, found.rows, found.kind, found.value) == (2, 2, "tag", "long")
    undo(project, found.entry, author="Ada")
    found = last_entry_of(project, "Ada")
    assert found is not None
    assert (found.row, found.kind) == (1, "keep")
    assert found == last_entry_of(project, "Ada", queue)
    undo(project, found.entry, author="Ada")
    assert last_entry_of(project, "Ada") is None
