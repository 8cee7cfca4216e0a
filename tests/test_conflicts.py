"""Two windows on one project: what one does is said to the other that lost by it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import streamlit as st

from deita_core.errors import ProjectError
from deita_core.formats.read.layout import PoolRow
from deita_core.jobs.kinds.import_pool import rows_and_rejects
from deita_core.jobs.kinds.select_rows import select_and_save
from deita_core.people import Person, acting_as
from deita_core.project import Project
from deita_core.project.folder import create_project, delete_project
from deita_core.project.pins import pins, set_pins
from deita_core.project.pool import add_rows
from deita_core.project.selections import (
    delete_selection,
    find_selection,
    rename_selection,
    save_selection,
    selections,
    set_notes,
)
from deita_core.selection.rule import SelectionRule
from studio.shell.resources import close_project
from tests.builders import conversation, prepared_project
from tests.windows import Window, Windows

GRACE = Person(name="Grace", email="grace@example.org", session="elsewhere")


@pytest.fixture
def windows(projects: Path, monkeypatch: pytest.MonkeyPatch) -> Windows:
    with Project.open(prepared_project(projects / "topics.duckdb", rows=20)) as project:
        select_and_save(project, SelectionRule(threshold=0.99, budget=7), "seven")
    return Windows(monkeypatch)


def project_of(window: Window) -> Project:
    return window.app.session_state["opened_project"].project


def manage(window: Window, action: str) -> Window:
    """Choose from the menu of the project, which AppTest cannot click."""
    with window.windows.monkeypatch.context() as patched:
        patched.setattr(st, "menu_button", lambda *_, **__: action)
        return window.run()


def test_a_deleted_project_is_announced_to_the_other_window(windows: Windows) -> None:
    mine, other = windows.open(project="topics"), windows.open(project="topics")
    with windows.monkeypatch.context() as patched:
        patched.setattr(st, "menu_button", lambda *_, **__: "Delete")
        other.run()
        other.app.checkbox[0].check()
        other.run().click("Delete")
    assert re.search(r"“topics” was deleted by .* UTC\. Choose one", mine.run().said())


def test_a_click_in_a_deleted_project_says_so(windows: Windows, projects: Path) -> None:
    mine = windows.open("select", project="topics", view="saved")
    button = mine.button("Make current")
    with acting_as(GRACE):
        close_project(projects / "topics.duckdb")
        delete_project(projects / "topics.duckdb")
    button.click()
    assert "“topics” was deleted by Grace <grace@example.org> at" in mine.run().said()


def test_a_new_project_in_the_place_of_a_deleted_one_is_told_apart(
    windows: Windows, projects: Path
) -> None:
    mine = windows.open(project="topics")
    with acting_as(GRACE):
        close_project(projects / "topics.duckdb")
        delete_project(projects / "topics.duckdb")
        create_project(projects, "topics").close()
    assert "this is a new one in its place" in mine.run().said()
    assert "this is a new one" not in mine.run().said()


def test_a_renamed_project_is_announced(windows: Windows) -> None:
    mine = windows.open(project="topics")
    with acting_as(GRACE):
        project_of(mine).rename("Answers")
    assert "“topics” was renamed to “Answers” by Grace" in mine.run().said()


def test_what_this_window_did_itself_is_no_news(windows: Windows) -> None:
    mine = windows.open("select", project="topics", view="saved")
    mine.click("Duplicate").click("Make current")
    with acting_as(Person(name="me", session=mine.name)):
        project_of(mine).rename("Answers")
    assert "renamed" not in mine.run().said()


@pytest.mark.parametrize(
    ("kind", "words"), [("excluded", "excluded by Grace"), (None, "taken back by Grace")]
)
def test_a_pin_that_another_changed_is_said_to_who_set_it(windows, kind, words) -> None:
    mine, third = (windows.open("select", project="topics") for _ in range(2))
    project = project_of(mine)
    with acting_as(Person(name="me", session=mine.name)):
        set_pins(project, [3, 4], "pinned")
    with acting_as(GRACE):
        set_pins(project, [4, 5], kind)
    assert f"Row 4, where you had chosen otherwise: {words}" in mine.run().said()
    assert "chosen otherwise" not in mine.run().said()
    assert "chosen otherwise" not in third.run().said()
    assert [p.row for p in pins(project) if p.kind == "pinned"] == [3]


def test_a_later_pin_of_ones_own_is_no_loss(windows: Windows) -> None:
    mine = windows.open("select", project="topics")
    with acting_as(GRACE):
        set_pins(project_of(mine), [4], "excluded")
    with acting_as(Person(name="me", session=mine.name)):
        set_pins(project_of(mine), [4], "pinned")
    assert "chosen otherwise" not in mine.run().said()


def test_a_name_that_another_window_has_just_used_is_not_replaced(windows: Windows) -> None:
    mine, other = (windows.open("select", project="topics") for _ in range(2))
    mine.click("Save this selection")
    name = mine.app.text_input(key="save_as").value
    other.click("Save this selection").click("Save this selection", "Save")
    before = find_selection(project_of(mine), name)
    said = mine.click("Save this selection", "Save").said()
    assert f"there is a selection '{name}' already, it was saved by" in said
    assert find_selection(project_of(mine), name) == before


def test_a_tick_to_replace_is_of_the_selection_that_was_seen(windows: Windows) -> None:
    mine = windows.open("select", project="topics")
    mine.click("Save this selection")
    mine.app.text_input(key="save_as").set_value("seven")
    mine.click("Save this selection")
    next(c for c in mine.app.checkbox if c.label.startswith("Replace")).check()
    with acting_as(GRACE):
        select_and_save(project_of(mine), SelectionRule(budget=3), "seven", replace=True)
    assert "was saved by Grace" in mine.click("Save this selection", "Save").said()
    assert find_selection(project_of(mine), "seven").rows == 3
    next(c for c in mine.app.checkbox if c.label.startswith("Replace")).check()
    mine.click("Save this selection", "Save")
    assert find_selection(project_of(mine), "seven").rows != 3


def test_a_selection_that_is_gone_is_named_with_who_deleted_it(windows: Windows) -> None:
    mine = windows.open("select", project="topics", view="saved")
    project = project_of(mine)
    seven = selections(project)[0].selection
    with acting_as(GRACE):
        delete_selection(project, seven)
    with pytest.raises(ProjectError, match="'seven' was deleted by Grace"):
        find_selection(project, "seven")  # what an export asks
    with pytest.raises(ProjectError, match="was deleted by Grace"):
        set_notes(project, seven, "")
    with pytest.raises(ProjectError, match="was deleted by Grace"):
        rename_selection(project, seven, "x")
    assert "“seven” was deleted by Grace" in mine.run().said()


def test_the_number_of_a_deleted_selection_is_not_given_again(windows: Windows) -> None:
    project = project_of(windows.open(project="topics"))
    first = selections(project)[0]
    delete_selection(project, first.selection)
    number = save_selection(project, "new", first.rule, "", np.array([1]), np.array([1.0]))
    assert number > first.selection


def test_the_history_shows_who_did_what(windows: Windows) -> None:
    mine = windows.open(project="topics")
    with acting_as(GRACE):
        set_pins(project_of(mine), [4], "excluded")
    manage(mine, "History")
    table = mine.app.dataframe[-1].value
    assert list(table["what"])[:1] == ["exclude rows"]
    assert list(table["who"])[:1] == ["Grace <grace@example.org>"]


def test_rows_that_arrive_while_a_page_is_drawn_do_not_break_it(
    windows: Windows, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine = windows.open("select", project="topics")
    project, more = project_of(mine), [PoolRow(20, 21, conversation(99), "{}")]

    def arriving(*_: object) -> None:
        add_rows(project, 0, *rows_and_rejects(list(more)))
        more.clear()

    monkeypatch.setattr("studio.select.threshold.graph_notice", arriving)
    assert "of 21 selected" in mine.run().said()


def test_what_was_said_in_a_run_that_ended_in_another_is_said_again(
    windows: Windows, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, again = windows.open("select", project="topics"), [True]
    with acting_as(GRACE):
        project_of(mine).rename("Answers")
    monkeypatch.setattr(
        "studio.select.threshold.graph_notice", lambda *_: again and again.pop() and st.rerun()
    )
    said: list[str] = []
    monkeypatch.setattr(st, "toast", lambda text, **_: said.append(text))
    mine.run()
    first, second = said  # what the first run sends may be dropped when the second begins
    assert first == second
    assert "Answers" in first
    mine.run()
    assert len(said) == 2
