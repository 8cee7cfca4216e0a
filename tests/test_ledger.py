"""project.ledger: decisions as appended lines, tags, versions, undo."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from deita_core.conversation import Conversation, Message
from deita_core.errors import PermissionDeniedError, ProjectError, ReviewError
from deita_core.people import Person, acting_as
from deita_core.project import Project
from deita_core.project.ledger import (
    decide,
    decisions_version,
    edit_row,
    ledger_lines,
    row_text,
    rows_with_tag,
    tag_rows,
    tags,
    tags_of,
    undo,
)
from deita_core.project.pins import pins, pins_version, set_pins
from deita_core.review.decision import Decision, read_decisions
from tests.builders import conversation, prepared_project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.open(prepared_project(tmp_path / "topics.duckdb", rows=12)) as opened:
        yield opened


def standing(project: Project) -> list[tuple[object, ...]]:
    return project.rows(
        "SELECT row, slot, kind, value, author FROM standing "
        "WHERE kind NOT IN ('withdraw', 'untag', 'restore') ORDER BY ALL"
    )


def corrected(row: int, answer: str) -> Conversation:
    asked, _, *rest = conversation(row).messages
    return Conversation((asked, Message("assistant", answer), *rest))


def test_a_decision_is_a_line_with_who_what_why_and_what_it_replaced(project: Project) -> None:
    decide(project, [Decision(3, "drop", why="too short", client="a")], author="Ada")
    decide(project, [Decision(3, "keep", client="b")], author="Ada")
    later, first = ledger_lines(project)
    assert (first.author, first.row, first.id) == ("Ada", 3, conversation(3).id)
    assert (first.kind, first.why, first.version, first.replaces) == ("drop", "too short", 0, None)
    assert (later.kind, later.replaces, later.number) == ("keep", first.number, 2)
    assert standing(project) == [(3, "verdict", "keep", "", "Ada")]


def test_of_one_batch_a_later_decision_replaces_the_earlier_one(project: Project) -> None:
    decide(project, [Decision(3, "drop"), Decision(4, "keep"), Decision(3, "keep")])
    assert [(line.row, line.replaces) for line in ledger_lines(project)[::-1]] == [
        (3, None),
        (4, None),
        (3, 1),
    ]


def test_reviewers_do_not_replace_each_other(project: Project) -> None:
    for name, kind in (("Ada", "drop"), ("Bob", "keep"), ("Bob", "unsure")):
        decide(project, [Decision(3, kind)], author=name)
    assert standing(project) == [
        (3, "verdict", "drop", "", "Ada"),
        (3, "verdict", "unsure", "", "Bob"),
    ]


def test_sending_a_batch_again_appends_nothing(project: Project) -> None:
    batch = [Decision(row, "keep", client=f"id-{row}") for row in range(5)]
    decide(project, batch[:3], author="Ada")
    before = decisions_version(project)
    done = decide(project, batch, author="Ada")
    assert (done.lines, done.repeated, len(ledger_lines(project))) == (2, 3, 5)
    assert decide(project, [*batch, batch[0]], author="Ada").lines == 0
    assert decisions_version(project) == before + 1


def test_the_id_of_another_decision_is_refused(project: Project) -> None:
    decide(project, [Decision(1, "keep", client="a")])
    with pytest.raises(ReviewError, match="'a' belongs to another decision"):
        decide(project, [Decision(2, "keep", client="b"), Decision(1, "drop", client="a")])
    assert len(ledger_lines(project)) == 1


@pytest.mark.parametrize(
    ("item", "words"),
    [
        ({"row": 1, "kind": "like"}, "decision 2: kind"),
        ({"row": "1", "kind": "keep"}, "decision 2: row"),
        ({"row": 1, "kind": "keep", "color": "red"}, "decision 2: color"),
        ({"row": 1, "kind": "quality", "value": "7"}, "decision 2: quality is a whole number"),
        ({"row": 1, "kind": "complexity"}, "from 1 to 6, got ''"),
        ({"row": 1, "kind": "keep", "value": "3"}, "keep takes no value"),
        ({"row": 1, "kind": "tag", "value": " hard "}, "a tag is 1 to 100 visible characters"),
        ({"row": 1, "kind": "label", "value": ""}, "a label is 1 to 100"),
        ({"row": 1, "kind": "note", "value": "  "}, "a note has text"),
        ({"row": 1, "kind": "withdraw", "value": "pin"}, "what can be withdrawn is verdict"),
        ({"row": 1, "kind": "pin"}, "'pin' is no reviewer's answer"),
        ({"row": 1, "kind": "note", "value": "x" * 20_001}, "at most 20,000 characters"),
        ("keep", "decision 2"),
    ],
)
def test_what_is_no_decision_is_refused_with_its_place(item: object, words: str) -> None:
    with pytest.raises(ReviewError, match=words):
        read_decisions([{"row": 1, "kind": "keep"}, item])


def test_a_row_that_is_not_there_stops_the_whole_batch(project: Project) -> None:
    with pytest.raises(ProjectError, match="1 of 2 rows are not in this project"):
        decide(project, [Decision(1, "keep"), Decision(99, "keep")])
    assert ledger_lines(project) == []


def test_a_tag_on_many_rows_is_one_entry_and_one_undo(project: Project) -> None:
    tag_rows(project, [1], "hard")
    done = tag_rows(project, [3, 1, 2, 3], "hard", author="Ada")
    assert (done.lines, rows_with_tag(project, "hard")) == (2, [1, 2, 3])
    undo(project, done.entry)
    assert rows_with_tag(project, "hard") == [1]
    assert [(one.tag, one.rows) for one in tags(project)] == [("hard", 1)]
    assert tag_rows(project, [1, 2], "hard", remove=True).lines == 1
    assert tags(project) == []


def test_a_row_can_have_several_tags(project: Project) -> None:
    for tag in ("hard", "code", "maths"):
        tag_rows(project, [4], tag)
    tag_rows(project, [4], "code", remove=True)
    assert tags_of(project, 4) == ["hard", "maths"]


def test_undo_leaves_alone_what_was_decided_again_since(project: Project) -> None:
    first = decide(project, [Decision(1, "keep"), Decision(2, "keep")], author="Ada")
    decide(project, [Decision(2, "drop")], author="Ada")
    undo(project, first.entry)
    assert standing(project) == [(2, "verdict", "drop", "", "Ada")]


def test_undoing_an_exclusion_brings_the_pin_back_with_its_note(project: Project) -> None:
    set_pins(project, [5], "pinned", note="a classic")
    set_pins(project, [5, 6], "excluded")
    entry, before = ledger_lines(project)[0].entry, pins_version(project)
    undo(project, entry)
    assert [(pin.row, pin.kind, pin.note) for pin in pins(project)] == [(5, "pinned", "a classic")]
    assert pins_version(project) == before + 1
    undo(project, ledger_lines(project)[0].entry)
    assert [pin.kind for pin in pins(project)] == ["excluded", "excluded"]


def test_only_a_curator_undoes_what_somebody_else_decided(project: Project) -> None:
    ada, bob = (Person(name=n, email=f"{n}@x.org", role="reviewer") for n in ("ada", "bob"))
    with acting_as(ada):
        done = decide(project, [Decision(1, "keep")], author="Somebody else")
    assert ledger_lines(project)[0].author == "ada <ada@x.org>"
    with acting_as(bob), pytest.raises(PermissionDeniedError, match="undo what somebody else"):
        undo(project, done.entry)
    with acting_as(bob.model_copy(update={"role": "curator"})):
        undo(project, done.entry)
    assert standing(project) == []
    assert (ledger_lines(project)[0].who, ledger_lines(project)[0].author) == (
        "bob <bob@x.org>",
        "ada <ada@x.org>",
    )


def test_there_is_no_undo_of_what_was_never_decided(project: Project) -> None:
    with pytest.raises(ReviewError, match="no entry 7"):
        undo(project, 7)


def test_an_edit_is_a_new_version_and_the_original_stays(project: Project) -> None:
    assert edit_row(project, 3, corrected(3, "Better."), of=0, why="wrong", author="Ada") == 1
    assert row_text(project, 3) == (1, corrected(3, "Better."))
    assert row_text(project, 3, 0) == (0, conversation(3))
    decide(project, [Decision(3, "keep"), Decision(3, "note", "as it was", version=0)])
    assert {line.kind: line.version for line in ledger_lines(project)} == {
        "note": 0,
        "keep": 1,
        "edit": 1,
    }
    undo(project, 1)
    assert row_text(project, 3) == (2, conversation(3))


@pytest.mark.parametrize(
    ("text", "of", "words"),
    [
        (corrected(3, "Other."), 0, "row 3 is at version 1 by Ada, yours corrects version 0"),
        (corrected(3, "Better."), 1, "the same as before"),
        (Conversation((Message("user", "Hi"),)), 1, "keeps its messages"),
    ],
)
def test_an_edit_that_would_lose_something_is_refused(
    project: Project, text: Conversation, of: int, words: str
) -> None:
    edit_row(project, 3, corrected(3, "Better."), of=0, author="Ada")
    with pytest.raises(ReviewError, match=words):
        edit_row(project, 3, text, of=of)
    assert row_text(project, 3)[0] == 1


def test_a_version_that_is_not_there_is_said(project: Project) -> None:
    with pytest.raises(ReviewError, match="row 3 has no version 4"):
        row_text(project, 3, 4)


STEPS = st.lists(
    st.tuples(
        st.sampled_from(["Ada", "Bob"]),
        st.integers(0, 2),
        st.sampled_from(["keep", "drop", "withdraw", "tag", "untag", "pinned", "excluded", "back"]),
    ),
    max_size=12,
)


@settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=STEPS)
def test_what_stands_is_what_was_decided_last(tmp_path_factory, steps) -> None:
    folder = tmp_path_factory.mktemp("steps")
    told: dict[tuple[object, ...], str] = {}
    with Project.open(prepared_project(folder / "topics.duckdb", rows=12)) as project:
        for name, row, kind in steps:
            if kind in ("pinned", "excluded", "back"):
                set_pins(project, [row], None if kind == "back" else kind, author=name)
                told[row, "pin"] = kind
            elif kind in ("tag", "untag"):
                tag_rows(project, [row], "x", remove=kind == "untag", author=name)
                told[row, "tag:x"] = kind
            else:
                value = "verdict" if kind == "withdraw" else ""
                decide(project, [Decision(row, kind, value)], author=name)
                told[row, "verdict", name] = kind
        names = {"pin": "pinned", "exclude": "excluded"}
        found = {
            (row, slot, author) if slot == "verdict" else (row, slot): names.get(kind, kind)
            for row, slot, kind, _, author in standing(project)
        }
    gone = ("withdraw", "untag", "back")
    assert found == {key: kind for key, kind in told.items() if kind not in gone}
