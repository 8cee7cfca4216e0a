"""studio.rows.row_list and pane: the list of rows on a page, and the conversation of one."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from tests.builders import prepared_project, with_graph
from tests.test_pages import APP, opened, texts


def listed(page: AppTest) -> dict[str, Any]:
    """What the list of a page has sent to the browser."""
    (shown,) = [
        one.proto for one in page.get("bidi_component") if one.proto.component_name == "deita_list"
    ]
    return json.loads(shown.json)


def row_numbers(page: AppTest) -> list[int]:
    """The rows of the lines sent, in their order."""
    notes = [note for _, note, _ in listed(page)["lines"]]
    return [int(note.split(" · ")[0].removeprefix("row ").replace(",", "")) for note in notes]


def choose(page: AppTest, key: str, place: int, *, name: str | None = None) -> AppTest:
    """As the browser says it: the line at this place is chosen."""
    sent = listed(page)
    page.session_state[key] = {
        "chosen": {"name": name or sent["name"], "place": place, "said": sent["said"] + 1}
    }
    return page.run()


@pytest.fixture
def page(projects: Path) -> AppTest:
    projects.mkdir()
    with_graph(prepared_project(projects / "topics.duckdb", rows=400))
    app = AppTest.from_file(APP, default_timeout=60)
    app.query_params["project"] = "topics"
    app.query_params["filter"] = "where=row % 2 = 1"
    return opened(app, "explore")


def test_the_list_has_the_rows_in_view_and_the_first_is_read(page: AppTest) -> None:
    assert listed(page)["total"] == 200
    assert row_numbers(page) == list(range(1, 241, 2))
    assert listed(page)["at"] == 0
    assert "**Row 1** · " in texts(page)


def test_the_row_chosen_is_read_until_it_leaves_the_view(page: AppTest) -> None:
    page = choose(page, "explore_rows_list", 3)
    assert "**Row 7** · " in texts(page)
    page.text_input(key="search_text").set_value('"item 7."').run()
    assert "**Row 7** · " in texts(page)
    page.text_input(key="search_text").set_value('"item 9."').run()
    assert "**Row 9** · " in texts(page)
    assert "**Row 7** · " not in texts(page)


@pytest.mark.parametrize("place", [-1, 200, "1", None])
def test_a_place_that_is_not_in_the_list_chooses_nothing(page: AppTest, place: Any) -> None:
    page = choose(page, "explore_rows_list", place)
    assert not page.exception, page.exception
    assert "**Row 1** · " in texts(page)


def test_a_choice_in_another_list_chooses_nothing(page: AppTest) -> None:
    page = choose(page, "explore_rows_list", 3, name="0-200")
    assert "**Row 1** · " in texts(page)


def test_lines_come_for_the_place_that_is_scrolled_to(page: AppTest) -> None:
    asked = {"name": listed(page)["name"], "place": 199}
    page.session_state["explore_rows_list"] = {"wanted": asked}
    page = page.run()
    assert row_numbers(page)[-1] == 399
    assert "**Row 1** · " in texts(page)


def test_the_list_can_be_ordered_and_the_address_says_so(page: AppTest) -> None:
    page.selectbox(key="order").set_value("evol-low").run()
    assert page.query_params["order"] == "evol-low"
    notes = [note.split(" · ")[1] for _, note, _ in listed(page)["lines"]]
    told = [float(note.removeprefix("evol score ")) for note in notes if "evol" in note]
    assert len(told) > 50
    assert told == sorted(told)


def test_no_row_in_view_is_said(page: AppTest) -> None:
    page.text_input(key="search_text").set_value("nowhere").run()
    assert not page.exception, page.exception
    assert any("No row is left" in one.value for one in page.info)


def test_on_select_a_row_chosen_says_why_and_stays_while_the_rule_moves(page: AppTest) -> None:
    page = opened(page, "select")
    assert "What would change that:" not in texts(page)
    page = choose(page, "select_rows_list", 0)
    best = row_numbers(page)[0]
    assert f"**Row {best}** · " in texts(page)
    assert "What would change that:" in texts(page)
    page.button(key="read_pins_excluded").click().run()
    assert best not in row_numbers(page)
    assert f"**Row {best}** · " in texts(page)


def test_rows_ticked_in_the_list_are_pinned_together(page: AppTest) -> None:
    page = opened(page, "select")
    page.session_state["select_rows_list"] = {
        "ticked": {"name": listed(page)["name"], "places": [1, 2, 9999, "x"]}
    }
    page = page.run()
    assert page.button(key="pins_table_pinned").label == "Pin 2 rows"
    page.button(key="pins_table_pinned").click().run()
    assert "2 of them are pinned" in texts(page)
