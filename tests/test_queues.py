"""project.queues: claims under a lease, answers, progress, verdicts into pins."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from deita_core.errors import ProjectError, ReviewError
from deita_core.project import Project, queues
from deita_core.project.ledger import edit_row, ledger_lines, undo
from deita_core.project.pins import pins, set_pins
from deita_core.project.queues import (
    answer,
    answers,
    apply_verdicts,
    ask_more,
    claim,
    find_queue,
    make_queue,
    people_scores,
    progress,
    queue_rows,
    release,
    verdicts_of_others,
)
from deita_core.project.store import now
from deita_core.review.answers import disagreeing
from deita_core.review.decision import Decision
from tests.builders import conversation, prepared_project
from tests.test_ledger import corrected

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.open(prepared_project(tmp_path / "topics.duckdb", rows=30)) as opened:
        yield opened


def said(project: Project, queue: int, name: str, verdicts: dict[int, str]) -> None:
    given = [Decision(row, kind) for row, kind in verdicts.items()]
    answer(project, queue, given, reviewer=name)


def later(monkeypatch: pytest.MonkeyPatch, minutes: float) -> None:
    moved = now() + timedelta(minutes=minutes)
    monkeypatch.setattr(queues, "now", lambda: moved)


def test_a_queue_keeps_its_order_and_what_it_asks_for(project: Project) -> None:
    make_queue(
        project,
        "first",
        [7, 3, 7, 5],
        guidelines="# Read",
        labels=["good", "bad"],
        asks=["verdict", "label"],
        reviewers=2,
        blind=False,
        author="Ada",
    )
    found = find_queue(project, "first")
    assert queue_rows(project, found.queue) == [7, 3, 5]
    assert (found.rows, found.asks, found.labels) == (3, ("verdict", "label"), ("good", "bad"))
    assert (found.blind, found.guidelines, found.author) == (False, "# Read", "Ada")


@pytest.mark.parametrize(
    ("rows", "options", "words"),
    [
        ([], {}, "at least one row"),
        ([1], {"reviewers": 0}, "at least 1 reviewer, got 0"),
        ([1], {"asks": ["mood"]}, "asks for verdict, complexity, quality, label, got mood"),
        ([1], {"asks": []}, "got nothing"),
        ([1], {"asks": ["label"]}, "has labels: name them"),
        ([1], {"labels": [""]}, "a label is 1 to 100"),
        ([1, 99], {}, "1 of 2 rows are not in this project"),
        ([1], {"name": "taken"}, "there is a queue 'taken' already"),
    ],
)
def test_a_queue_that_makes_no_sense_is_refused(project: Project, rows, options, words) -> None:
    make_queue(project, "taken", [1])
    with pytest.raises((ReviewError, ProjectError), match=words):
        make_queue(project, **{"name": "new", "rows": rows, **options})
    assert len(queues.queues(project)) == 1


def test_rows_are_handed_to_no_more_reviewers_than_they_ask_for(project: Project) -> None:
    queue = make_queue(project, "first", range(4))
    assert claim(project, queue, "Ada", 3) == [0, 1, 2]
    assert claim(project, queue, "Bob", 3) == [3]
    assert claim(project, queue, "Cem", 3) == []
    two = make_queue(project, "second", range(2), reviewers=2)
    assert [claim(project, two, name) for name in ("Ada", "Bob", "Cem")] == [[0, 1], [0, 1], []]


def test_claiming_again_gives_the_same_rows_first(project: Project) -> None:
    queue = make_queue(project, "first", [9, 8, 7, 6])
    claim(project, queue, "Bob", 1)
    assert claim(project, queue, "Ada", 2) == [8, 7]
    assert claim(project, queue, "Ada", 2) == [8, 7]
    said(project, queue, "Ada", {8: "keep"})
    assert claim(project, queue, "Ada", 2) == [7, 6]


def test_a_lease_that_runs_out_comes_back_and_a_late_answer_still_counts(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = make_queue(project, "first", [1, 2])
    claim(project, queue, "Ada", minutes=10)
    later(monkeypatch, 9)
    assert claim(project, queue, "Bob") == []
    later(monkeypatch, 11)
    assert claim(project, queue, "Bob") == [1, 2]
    said(project, queue, "Ada", {1: "keep"})
    said(project, queue, "Bob", {1: "drop"})
    assert progress(project, queue).answers == 2


def test_rows_that_are_given_back_go_to_the_next(project: Project) -> None:
    queue = make_queue(project, "first", [1, 2])
    claim(project, queue, "Ada")
    assert (release(project, queue, "Ada"), claim(project, queue, "Bob")) == (2, [1, 2])


def test_a_row_stays_until_all_that_the_queue_asks_for_is_answered(project: Project) -> None:
    queue = make_queue(project, "first", [1, 2], asks=["verdict", "quality"])
    claim(project, queue, "Ada")
    said(project, queue, "Ada", {1: "keep"})
    assert claim(project, queue, "Ada") == [1, 2]
    answer(project, queue, [Decision(1, "quality", "5")], reviewer="Ada")
    assert claim(project, queue, "Ada") == [2]
    answer(project, queue, [Decision(1, "withdraw", "quality")], reviewer="Ada")
    assert claim(project, queue, "Ada") == [2, 1]


@pytest.mark.parametrize(
    ("decision", "words"),
    [
        (Decision(9, "keep"), "1 of 2 rows are not in this queue"),
        (Decision(1, "label", "ugly"), "no label 'ugly'; it has good, bad"),
        (Decision(1, "keep", version=4), "row 1 has no version 4"),
    ],
)
def test_an_answer_that_does_not_fit_the_queue_is_refused(project: Project, decision, words):
    queue = make_queue(project, "first", [1], labels=["good", "bad"])
    with pytest.raises(ReviewError, match=words):
        answer(project, queue, [Decision(1, "keep"), decision], reviewer="Ada")
    assert ledger_lines(project) == []


def test_nobody_sees_the_verdicts_of_others_before_their_own(project: Project) -> None:
    queue = make_queue(project, "first", [1], reviewers=2)
    answer(project, queue, [Decision(1, "drop", why="a copy")], reviewer="Ada")
    assert verdicts_of_others(project, queue, 1, "Bob") == []
    said(project, queue, "Bob", {1: "keep"})
    (seen,) = verdicts_of_others(project, queue, 1, "Bob")
    assert (seen.kind, seen.why) == ("drop", "Ada: a copy")


def test_eight_threads_never_hold_a_row_twice_and_lose_no_answer(project: Project) -> None:
    queue = make_queue(project, "first", range(30), reviewers=2)
    held: list[tuple[str, int]] = []
    failed: list[BaseException] = []

    def review(name: str) -> None:
        try:
            while rows := claim(project, queue, name, 3):
                held.extend((name, row) for row in rows)
                batch = [Decision(row, "keep", client=f"{name}-{row}") for row in rows]
                answer(project, queue, batch, reviewer=name)
                answer(project, queue, batch, reviewer=name)
        except BaseException as error:
            failed.append(error)

    threads = [threading.Thread(target=review, args=(f"r{n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert Counter(row for _, row in held) == dict.fromkeys(range(30), 2)
    assert len(set(held)) == 60
    lines = ledger_lines(project)
    assert sorted(line.number for line in lines) == list(range(1, 61))
    assert progress(project, queue).sentence() == "30 of 30 rows done, 60 of 60 answers"


REVIEWER = """
import sys
from deita_core.project import Project
from deita_core.project.queues import answer
from deita_core.review.decision import Decision
with Project.open(__import__("pathlib").Path(sys.argv[1])) as project:
    for row in range(30):
        print(row, flush=True)  # the verdict under the finger
        answer(project, 1, [Decision(row, "keep", client=f"id-{row}")], reviewer="Ada")
"""


@pytest.mark.parametrize("moment", [1, 7, 15])
def test_a_kill_loses_at_most_the_verdict_under_the_finger(tmp_path: Path, moment: int) -> None:
    path = prepared_project(tmp_path / "topics.duckdb", rows=30)
    with Project.open(path) as project:
        queue = make_queue(project, "first", range(30))
    process = subprocess.Popen(
        [sys.executable, "-c", REVIEWER, str(path)], stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stdout is not None
    for line in process.stdout:
        if int(line) == moment:
            os.kill(process.pid, signal.SIGKILL)
            break
    process.wait()
    with Project.open(path) as project:
        kept = sorted(line.row for line in ledger_lines(project))
        assert kept in (list(range(moment)), list(range(moment + 1)), list(range(moment + 2)))
        again = [Decision(row, "keep", client=f"id-{row}") for row in range(30)]
        done = answer(project, queue, again, reviewer="Ada")
        assert (done.repeated, done.lines) == (len(kept), 30 - len(kept))
        assert Counter(line.row for line in ledger_lines(project)) == dict.fromkeys(range(30), 1)


def test_progress_counts_rows_answers_and_pace(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = make_queue(project, "first", range(5), reviewers=2)
    start = now()
    for row, minute in enumerate((0, 1, 2, 30)):  # the last after a break
        moment = start + timedelta(minutes=minute)
        monkeypatch.setattr("deita_core.project.ledger.now", lambda moment=moment: moment)
        said(project, queue, "Ada", {row: "unsure" if row == 1 else "keep"})
    monkeypatch.undo()
    said(project, queue, "Bob", {0: "drop"})
    claim(project, queue, "Bob", 2)
    found = progress(project, queue)
    assert found.sentence() == "1 of 5 rows done, 5 of 10 answers"
    ada, bob = found.reviewers
    assert (ada.reviewer, ada.rows, ada.unsure, ada.per_hour) == ("Ada", 4, 1, 60.0)
    assert (bob.rows, bob.held, np.isnan(bob.per_hour)) == (1, 2, True)


def test_rows_can_ask_for_more_reviewers(project: Project) -> None:
    queue = make_queue(project, "first", [1, 2])
    said(project, queue, "Ada", {1: "unsure", 2: "keep"})
    assert claim(project, queue, "Bob") == []
    assert ask_more(project, queue, [1]) == 1
    assert claim(project, queue, "Bob") == [1]
    with pytest.raises(ReviewError, match="not in this queue"):
        ask_more(project, queue, [1, 9])


def test_verdicts_become_pins_and_exclusions_by_the_rule_as_one_entry(project: Project) -> None:
    queue = make_queue(project, "first", range(5), reviewers=3)
    said(project, queue, "Ada", {0: "keep", 1: "drop", 2: "keep", 3: "unsure"})
    said(project, queue, "Bob", {0: "keep", 1: "drop", 2: "drop", 3: "drop"})
    said(project, queue, "Cem", {0: "drop"})
    set_pins(project, [0], "pinned", note="earlier")
    effect = apply_verdicts(project, queue, "majority", author="Ada")
    assert effect.sentence().startswith("1 rows pinned, 1 excluded by majority")
    found = {pin.row: (pin.kind, pin.note) for pin in pins(project)}
    assert found == {0: ("pinned", "earlier"), 1: ("excluded", "majority of first")}
    assert apply_verdicts(project, queue, "any").excluded.tolist() == [0, 1, 2, 3]
    undo(project, ledger_lines(project)[0].entry)
    assert {pin.row: (pin.kind, pin.note) for pin in pins(project)} == found


def test_an_adjudicator_decides_where_reviewers_differ(project: Project) -> None:
    queue = make_queue(project, "first", range(3), reviewers=2)
    said(project, queue, "Ada", {0: "keep", 1: "keep", 2: "drop"})
    said(project, queue, "Bob", {0: "keep", 1: "drop", 2: "unsure"})
    rows = disagreeing(answers(project, queue)).tolist()
    judge = make_queue(project, "judge", rows, adjudicates=queue)
    said(project, judge, "Cem", {1: "drop"})
    effect = apply_verdicts(project, queue, "adjudicated")
    assert (rows, effect.undecided.tolist()) == ([1, 2], [2])
    assert {pin.row: pin.kind for pin in pins(project)} == {0: "pinned", 1: "excluded"}


def test_the_same_reviewer_may_say_otherwise_in_another_queue(project: Project) -> None:
    first, second = (make_queue(project, name, [1]) for name in ("first", "second"))
    said(project, first, "Ada", {1: "keep"})
    said(project, second, "Ada", {1: "drop"})
    assert [answers(project, q).verdict.tolist() for q in (first, second)] == [[[2.0]], [[0.0]]]


def test_scores_of_people_are_of_the_text_as_imported(project: Project) -> None:
    queue = make_queue(project, "first", [1, 2], asks=["quality"], reviewers=2)
    for name, value in (("Ada", "3"), ("Bob", "6")):
        answer(project, queue, [Decision(1, "quality", value)], reviewer=name)
    edit_row(project, 2, corrected(2, "Better."), of=0)
    answer(project, queue, [Decision(2, "quality", "6")], reviewer="Ada")
    found = people_scores(project, "quality", queue)
    assert found[1] == 4.5
    assert np.isnan(np.delete(found, 1)).all()
    assert len(found) == 30
    assert conversation(2).id != corrected(2, "Better.").id
