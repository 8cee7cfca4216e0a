"""studio.explore.bulk: what is done to all rows in view, asked first, and taken back at once."""

from __future__ import annotations

from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from deita_core.people import Person, Role
from deita_core.project import Project
from deita_core.project.ledger import ledger_lines, rows_with_tag, tag_rows
from deita_core.project.pins import pins, set_pins
from studio.shell import state
from studio.shell.resources import open_at
from tests.builders import prepared_project
from tests.test_pages import APP, opened, texts


@pytest.fixture
def path(projects: Path) -> Path:
    projects.mkdir()
    return prepared_project(projects / "topics.duckdb")


def the(path: Path) -> Project:
    return open_at(str(path)).project


def dialog(path: Path, action: str, rows: list[int]) -> AppTest:
    """The dialog alone, because AppTest runs a whole page again, where a dialog closes."""

    def page(path: str, action: str, rows: list[int]) -> None:
        from pathlib import Path

        import numpy as np

        from studio.explore.bulk import bulk_dialog
        from studio.shell.resources import open_project

        bulk_dialog(open_project(Path(path)), action, np.array(rows, np.int64), "**These** rows")

    given = (str(path), action, rows)
    return AppTest.from_function(page, args=given, default_timeout=60).run()


def confirmed(form: AppTest) -> AppTest:
    form.button(key="bulk_do").click().run()
    assert not form.exception, form.exception
    return form


def explore(form: AppTest | None = None, **address: str) -> AppTest:
    """The Explore page, in the session of that dialog."""
    app = AppTest.from_file(APP, default_timeout=60)
    app.query_params["project"] = "topics"
    for key, value in address.items():
        app.query_params[key] = value
    if form is not None and state.BULK in form.session_state:
        app.session_state[state.BULK] = form.session_state[state.BULK]
    return opened(app, "explore")


def test_the_menu_tells_how_many_rows_are_in_view(path: Path) -> None:
    assert explore().menu_button(key="bulk").label == "With all 60 rows"
    assert explore(filter="where=row < 20").menu_button(key="bulk").label == "With all 20 rows"


def test_choosing_asks_first_with_the_count_and_the_view(path: Path) -> None:
    page = explore(filter="where=row < 20")
    page.menu_button(key="bulk").set_value("exclude").run()
    assert not page.exception, page.exception
    assert "**20** of 60 conversations pass the filter." in texts(page)
    assert page.button(key="bulk_do").label == "Exclude 20 rows"
    assert not pins(the(path))


def test_a_tag_is_put_on_the_rows_that_lack_it_and_undo_takes_it_back(path: Path) -> None:
    tag_rows(the(path), [3], "good one")
    form = dialog(path, "tag", [1, 2, 3])
    assert form.selectbox(key="bulk_tag").options == ["good one"]
    form.selectbox(key="bulk_tag").set_value("good one").run()
    assert "1 row of them has it already" in texts(form)
    assert form.button(key="bulk_do").label == "Tag 2 rows with “good one”"
    page = explore(confirmed(form))
    assert rows_with_tag(the(path), "good one") == [1, 2, 3]
    assert "Tagged 2 rows with “good one”" in texts(page)
    page.button(key="bulk_undo").click().run()
    assert rows_with_tag(the(path), "good one") == [3]
    assert "Tagged 2 rows" not in texts(page)


def test_a_new_tag_is_typed_and_one_that_is_none_is_an_error(path: Path, monkeypatch) -> None:
    monkeypatch.setattr(st, "selectbox", lambda *_, **__: " new ")
    confirmed(dialog(path, "tag", [1]))
    assert [line.value for line in ledger_lines(the(path))] == ["new"]
    monkeypatch.setattr(st, "selectbox", lambda *_, **__: "x" * 101)
    form = confirmed(dialog(path, "tag", [1]))
    assert "a tag is 1 to 100 visible characters" in texts(form)
    assert len(ledger_lines(the(path))) == 1


def test_only_tags_in_view_can_be_taken_off(path: Path) -> None:
    tag_rows(the(path), [1, 2, 9], "good")
    tag_rows(the(path), [9], "elsewhere")
    form = dialog(path, "untag", [1, 2, 3])
    assert [one.replace("\\", "") for one in form.selectbox(key="bulk_untag").options] == [
        "good · 2 rows"
    ]
    page = explore(confirmed(form))
    assert rows_with_tag(the(path), "good") == [9]
    page.button(key="bulk_undo").click().run()
    assert rows_with_tag(the(path), "good") == [1, 2, 9]


def test_pinning_leaves_what_is_pinned_and_undo_brings_back_what_was_excluded(path: Path) -> None:
    set_pins(the(path), [1], "pinned", note="a classic")
    set_pins(the(path), [2], "excluded", note="boilerplate")
    form = dialog(path, "pin", [1, 2, 3])
    assert "Of these rows 1 excluded now" in texts(form)
    page = explore(confirmed(form))
    assert [(one.row, one.kind, one.note) for one in pins(the(path))] == [
        (1, "pinned", "a classic"),
        (2, "pinned", ""),
        (3, "pinned", ""),
    ]
    page.button(key="bulk_undo").click().run()
    assert [(one.row, one.kind, one.note) for one in pins(the(path))] == [
        (1, "pinned", "a classic"),
        (2, "excluded", "boilerplate"),
    ]


def test_restoring_takes_pins_and_exclusions_of_the_view_back(path: Path) -> None:
    set_pins(the(path), [1, 9], "pinned")
    set_pins(the(path), [2], "excluded")
    confirmed(dialog(path, "restore", [1, 2, 3]))
    assert [one.row for one in pins(the(path))] == [9]
    assert dialog(path, "restore", [1, 2, 3]).button(key="bulk_do").disabled


def test_the_rows_in_view_are_sent_to_review(path: Path) -> None:
    page = explore(filter="where=row < 20")
    page.menu_button(key="bulk").set_value("review").run()
    assert "20 rows of this view, in its order" in texts(page)


def test_a_viewer_is_offered_nothing_and_a_reviewer_no_queue(path: Path, monkeypatch) -> None:
    def offered(role: Role) -> list[str]:
        monkeypatch.setattr("deita_core.people._resolver", lambda: Person(name="Ada", role=role))
        menus = [one for one in explore().menu_button if one.key == "bulk"]
        return [option.split(": ")[1] for menu in menus for option in menu.options]

    assert offered("viewer") == []
    assert offered("reviewer") == ["Tag", "Take a tag off", "Pin", "Exclude", "Restore"]
    assert offered("curator") == [*offered("reviewer"), "Send to review"]


def test_the_message_can_be_closed_and_what_was_done_stays(path: Path) -> None:
    page = explore(confirmed(dialog(path, "exclude", [1, 2])))
    assert "Excluded 2 rows" in texts(page)
    page.button(key="bulk_dismiss").click().run()
    assert "Excluded 2 rows" not in texts(page)
    assert len(pins(the(path))) == 2
