"""The card's side in Python: what a browser gets, and what becomes of what it sends."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from deita_core.conversation import Conversation, Message
from deita_core.errors import ProjectError
from deita_core.jobs.kinds.select_rows import select_and_save
from deita_core.project import Project, queues
from deita_core.project.ledger import edit_row, row_text
from deita_core.project.queues import Queue, answer, find_queue, make_queue
from deita_core.project.store import now
from deita_core.review.decision import Decision
from deita_core.selection.rule import SelectionRule
from studio.review.card import AHEAD, MOST_CHARACTERS, NOTHING, Handled, card_data, take_sent
from studio.shell.resources import Opened, open_at
from tests.builders import conversation, prepared_project


@pytest.fixture
def opened(projects: Path) -> Opened:
    return open_at(str(prepared_project(projects / "topics.duckdb")))


def made(opened: Opened, rows: int = 30, **options: Any) -> Queue:
    make_queue(opened.project, "First", list(range(rows)), **options)
    return find_queue(opened.project, "First")


def said(row: int, kind: str = "keep", value: str = "", client: str = "", **more: Any) -> Any:
    return {"row": row, "kind": kind, "value": value, "client": client or f"{row}-{kind}", **more}


def take(opened: Opened, *items: Any, name: str = "Ada", **message: Any) -> Handled:
    sent = {"number": 1, "items": list(items), **message}
    return take_sent(opened.project, 1, name, sent)


def standing(project: Project) -> list[tuple[Any, ...]]:
    return project.rows("SELECT row, author, kind, value FROM standing ORDER BY number")


def later(monkeypatch: pytest.MonkeyPatch, minutes: float) -> None:
    moved = now() + timedelta(minutes=minutes)
    monkeypatch.setattr(queues, "now", lambda: moved)


# what is sent to the browser


def test_the_next_rows_wait_in_the_browser_and_what_was_answered_is_not_among_them(
    opened: Opened,
) -> None:
    queue = made(opened)
    data = card_data(opened, queue, "Ada", NOTHING)
    assert [row["row"] for row in data["rows"]] == list(range(AHEAD))
    assert (data["own"], data["done"], data["total"], data["more"]) == (0, 0, 30, True)
    handled = take(opened, said(0), said(1, "drop"))
    data = card_data(opened, queue, "Ada", handled)
    assert [row["row"] for row in data["rows"]] == list(range(2, AHEAD + 2))
    assert (data["own"], data["done"], data["receipt"]["taken"]) == (2, 2, ["0-keep", "1-drop"])


def test_one_can_go_back_to_the_rows_decided_last(opened: Opened) -> None:
    queue = made(opened, asks=("verdict", "quality"))
    for row in range(12):
        take(opened, said(row), said(row, "quality", "3"))
    take(opened, said(12), name="Bob")
    take(opened, said(13))  # not whole: it is still to be decided
    data = card_data(opened, queue, "Ada", NOTHING)
    assert [row["row"] for row in data["before"]] == list(range(3, 12))
    assert [one["row"] for one in data["after"]] == list(range(3, 12))


def test_rows_put_off_do_not_keep_new_ones_away(opened: Opened) -> None:
    data = card_data(opened, made(opened), "Ada", take(opened, later=7))
    assert len(data["rows"]) == AHEAD + 7


def test_a_row_that_is_answered_in_part_says_what_was_answered(opened: Opened) -> None:
    queue = made(opened, asks=("verdict", "quality"))
    handled = take(opened, said(0), said(0, "tag", "odd"), said(0, "note", "too *short*"))
    first = card_data(opened, queue, "Ada", handled)["rows"][0]
    assert (first["row"], first["own"], first["tags"]) == (
        0,
        {"verdict": "keep", "note": "too *short*"},
        ["odd"],
    )


def test_a_blind_queue_shows_scores_and_others_only_of_rows_answered_whole(
    opened: Opened,
) -> None:
    queue = made(opened, asks=("verdict", "quality"), reviewers=2)
    answer(opened.project, 1, [Decision(0, "drop", why="wrong")], reviewer="Bob")
    select_and_save(opened.project, SelectionRule("top_score", budget=10), "ten")
    data = card_data(opened, queue, "Ada", take(opened, said(0)))
    assert [row["facts"] for row in data["rows"]] == [[]] * AHEAD
    assert data["after"] == []
    data = card_data(opened, queue, "Ada", take(opened, said(0, "quality", "4")))
    (after,) = data["after"]
    assert after["others"] == ["Bob: wrong: drop"]
    assert [fact.split()[0] for fact in after["facts"]] == ["evol", "complexity", "quality", "ten:"]


def test_a_queue_that_is_not_blind_shows_scores_at_once(opened: Opened) -> None:
    rows = card_data(opened, made(opened, blind=False), "Ada", NOTHING)["rows"]
    assert [fact.split()[0] for fact in rows[0]["facts"]] == ["evol", "complexity", "quality"]


def test_an_adjudicator_reads_what_the_reviewers_said(opened: Opened) -> None:
    made(opened, reviewers=2)
    for name, kind in (("Ada", "keep"), ("Bob", "drop")):
        take(opened, said(3, kind), name=name)
    make_queue(opened.project, "Second", [3], adjudicates=1)
    queue = find_queue(opened.project, "Second")
    (row,) = card_data(opened, queue, "Cleo", NOTHING)["rows"]
    assert row["judged"] == ["Ada: keep", "Bob: drop"]


def test_a_row_whose_lease_ran_out_goes_to_somebody_else_and_comes_back(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = made(opened, rows=1)

    def rows(name: str) -> list[int]:
        return [row["row"] for row in card_data(opened, queue, name, NOTHING)["rows"]]

    assert (rows("Ada"), rows("Bob")) == ([0], [])
    later(monkeypatch, queues.LEASE_MINUTES + 1)
    assert (rows("Bob"), rows("Ada")) == ([0], [])
    queues.release(opened.project, 1, "Bob")
    assert rows("Ada") == [0]


def test_a_long_row_is_cut_and_says_so(opened: Opened) -> None:
    queue = made(opened, rows=1)
    text = Conversation((Message("user", "a" * 40_000), Message("assistant", "b" * 50_000)))
    before = row_text(opened.project, 0)[1].messages[:2]
    assert [one.role for one in before] == ["user", "assistant"]
    text = Conversation((*text.messages, *conversation(0).messages[2:]))
    edit_row(opened.project, 0, text, of=0)
    (row,) = card_data(opened, queue, "Ada", NOTHING)["rows"]
    shown = sum(len(message["text"]) for message in row["messages"])
    whole = sum(len(message.content) for message in text.messages)
    assert (shown, row["left"]) == (MOST_CHARACTERS, whole - MOST_CHARACTERS)
    handled = take(opened, said(0, "edit", of=1, texts=["a"] * len(text.messages)))
    assert "more than the 60,000 characters" in handled["refused"][0]["why"]


# what the browser sends


def test_a_repeat_is_harmless(opened: Opened) -> None:
    made(opened)
    batch = [said(0), said(1, "drop"), said(0, "withdraw", "verdict"), said(2, "tag", "odd")]
    first = take(opened, *batch)
    after = opened.project.number("SELECT count(*) FROM decisions")
    assert take(opened, *batch) == first
    assert first["taken"] == [item["client"] for item in batch]
    assert opened.project.number("SELECT count(*) FROM decisions") == after == 4


def test_one_that_cannot_be_is_refused_alone(opened: Opened) -> None:
    made(opened)
    handled = take(opened, said(0), said(45), said(1, "quality", "9"), said(2, "drop"))
    assert handled["taken"] == ["0-keep", "2-drop"]
    reasons = {one["client"]: one["why"] for one in handled["refused"]}
    assert "not in this queue" in reasons["45-keep"]
    assert "from 1 to 6, got '9'" in reasons["1-quality"]
    assert standing(opened.project) == [(0, "Ada", "keep", ""), (2, "Ada", "drop", "")]


@pytest.mark.parametrize(
    "sent",
    [
        None,
        "keep",
        {"items": "keep"},
        {"items": [None, {}, {"row": 0}, {"client": "a", "row": "0"}, {"client": 1, "row": 0}]},
        {"number": "1", "later": -3, "items": {"row": 0}},
    ],
)
def test_what_makes_no_sense_changes_nothing(opened: Opened, sent: object) -> None:
    made(opened)
    assert take_sent(opened.project, 1, "Ada", sent) == NOTHING
    assert standing(opened.project) == []


def test_what_could_not_be_kept_for_now_is_neither_taken_nor_refused(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    made(opened)

    def full(*_: object, **__: object) -> None:
        raise ProjectError("the disk is full: make room")

    with monkeypatch.context() as patched:
        patched.setattr("studio.review.card.answer", full)
        handled = take(opened, said(0))
    assert (handled["taken"], handled["refused"]) == ([], [])
    assert handled["problem"] == "the disk is full: make room"
    assert take(opened, said(0))["taken"] == ["0-keep"]


def test_the_card_keeps_its_rows_while_none_can_be_claimed_and_says_why(
    opened: Opened, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = made(opened)
    before = card_data(opened, queue, "Ada", NOTHING)

    def full(*_: object, **__: object) -> None:
        raise ProjectError("the disk is full: make room")

    with monkeypatch.context() as patched:
        patched.setattr("studio.review.card.claim", full)
        data = card_data(opened, queue, "Ada", NOTHING)
        others = card_data(opened, queue, "Bob", NOTHING)
    assert data["rows"] == before["rows"]
    assert data["receipt"]["problem"] == "the disk is full: make room"
    assert data["more"]  # it is asked again
    assert others["rows"] == []


def corrected(row: int, client: str, of: int, answer: str) -> Any:
    texts = [message.content for message in conversation(row).messages]
    return said(row, "edit", client=client, of=of, texts=[texts[0], answer, *texts[2:]])


def test_a_correction_and_its_undo_are_versions_and_repeats_of_both_are_harmless(
    opened: Opened,
) -> None:
    queue = made(opened)
    original = conversation(3).messages[1].content
    hostile = '<img src=x onerror="alert(1)">'
    batch = [corrected(3, "a", 0, hostile), said(3, version=1), corrected(3, "b", 1, original)]
    assert take(opened, batch[0])["taken"] == ["a"]
    row = next(r for r in card_data(opened, queue, "Ada", NOTHING)["rows"] if r["row"] == 3)
    assert row["messages"][1]["text"] == hostile
    assert row["original"][1]["text"] == original
    for _ in range(2):
        assert take(opened, *batch)["taken"] == ["a", "3-keep", "b"]
    assert row_text(opened.project, 3)[0] == 2
    assert row_text(opened.project, 3)[1] == row_text(opened.project, 3, 0)[1]


def test_a_correction_of_an_older_version_is_refused(opened: Opened) -> None:
    made(opened)
    take(opened, corrected(3, "a", 0, "Bob's"), name="Bob")
    handled = take(opened, corrected(3, "b", 0, "Ada's"))
    assert "row 3 is at version 1 by Bob" in handled["refused"][0]["why"]


@pytest.mark.parametrize(
    ("item", "why"),
    [
        (said(3, "edit", texts=["a"]), "an edit has row, of and texts"),
        (said(3, "edit", of=0, texts=["a", 1]), "an edit has row, of and texts"),
        (said(3, "edit", of=0, texts=["a"]), "has 2 texts, got 1"),
        (said(45, "edit", of=0, texts=["a", "b"]), "row 45 is not in this queue"),
    ],
)
def test_a_correction_that_does_not_fit_is_refused(opened: Opened, item: Any, why: str) -> None:
    made(opened)
    assert why in take(opened, item)["refused"][0]["why"]
    assert standing(opened.project) == []
