"""studio.filters: chips, what adds one, views, and the address."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from deita_core.errors import ModelError
from deita_core.filtering import PoolColumns
from deita_core.filtering.filter import Bounds, Filter, Near
from deita_core.filtering.nearness import closeness, near_rows
from deita_core.project.browse import stored_row
from deita_core.project.pins import set_pins
from deita_core.project.views import views
from studio.charts.colours import colour_by_category, greyed
from studio.filters.meaning import parse_examples, written_examples
from studio.shell.resources import open_at
from tests.builders import prepared_project, with_graph
from tests.fakes import HashEmbedder
from tests.test_pages import APP, opened, texts
from tests.test_row_list import listed, row_numbers


@pytest.fixture
def app(projects: Path) -> AppTest:
    projects.mkdir()
    with_graph(prepared_project(projects / "topics.duckdb"))
    return AppTest.from_file(APP, default_timeout=60)


def explore(app: AppTest, **address: str) -> AppTest:
    app.query_params["project"] = "topics"
    for key, value in address.items():
        app.query_params[key] = value
    return opened(app, "explore")


def chips(page: AppTest, place: str = "filter") -> list[str]:
    found = [b for b in page.button if (b.key or "").startswith(f"{place}_chip")]
    return [button.label.replace("\\", "") for button in found]


def test_the_address_filters_and_each_part_is_a_chip(app: AppTest) -> None:
    page = explore(app, filter="cluster=2;where=row < 20")
    assert chips(page) == ["cluster 2", "WHERE row < 20"]
    assert "**4** of 60 conversations pass the filter" in texts(page)


def test_a_chip_takes_its_part_out_of_filter_and_address(app: AppTest) -> None:
    page = explore(app, filter="cluster=2;where=row < 20")
    page.button(key="filter_chip_1").click().run()
    assert chips(page) == ["cluster 2"]
    assert page.query_params["filter"] == "cluster=2"
    assert "**12** of 60 conversations pass the filter" in texts(page)
    page.button(key="filter_chip_0").click().run()
    assert "filter" not in page.query_params


def test_a_filter_is_added_by_kind_of_column(app: AppTest) -> None:
    page = explore(app)
    page.selectbox(key="filter_column").set_value("cluster").run()
    page.multiselect(key="filter_names_cluster").set_value(["1", "3"]).run()
    page.button(key="filter_do").click().run()
    page.selectbox(key="filter_column").set_value("record.id").run()
    page.number_input(key="filter_high_record.id").set_value(9.0).run()
    page.button(key="filter_do").click().run()
    assert not page.exception, page.exception
    assert chips(page) == ["cluster 1 or 3", "id at most 9"]
    assert page.query_params["filter"] == "cluster=1,3;record.id=..9"
    assert "**4** of 60 conversations pass the filter" in texts(page)


def test_a_search_and_a_filter_combine(app: AppTest) -> None:
    page = explore(app, filter="where=row < 20")
    page.text_input(key="search_text").set_value("bread").run()
    assert "**4** of 60 conversations pass the filter and contain “bread”" in texts(page)


def test_what_cannot_be_read_or_applied_is_said_and_nothing_is_filtered(app: AppTest) -> None:
    page = explore(app, filter="cluster=2;nonsense;quality=x..")
    assert chips(page) == ["cluster 2"]
    said = [toast.value.replace("\\", "") for toast in page.toast]
    assert any("got 'nonsense'" in one for one in said)
    page = explore(app, filter="where=nothing > 2")
    page.run()


def test_a_line_of_sql_that_is_wrong_is_an_error_on_the_page(app: AppTest) -> None:
    page = explore(app, filter="where=nothing > 2")
    assert "pool has no column 'nothing' at character 1" in texts(page)
    assert chips(page) == ["WHERE nothing > 2"]


class OfThePool(HashEmbedder):
    id = "tests/embedder"


@pytest.fixture
def embedding(monkeypatch) -> None:
    monkeypatch.setattr("studio.filters.masks.embedder_of", lambda record: OfThePool())


def test_rows_about_a_text_or_like_examples_are_a_chip(app: AppTest, embedding: None) -> None:
    page = explore(app, filter="turns=1..;meaning=cakes")
    page.text_area(key="filter_near").set_value("baking bread").run()
    page.number_input(key="filter_most").set_value(7).run()
    assert page.button(key="filter_near_do").label == "Rows about this"
    page.button(key="filter_near_do").click().run()
    assert chips(page) == ["turns at least 1", "about “baking bread”, the closest 7"]
    assert "**7** of 60 conversations pass the filter" in texts(page)
    page.text_area(key="filter_near").set_value("bread\nrivers").run()
    assert page.button(key="filter_near_do").label == "Rows like these 2"
    page.text_area(key="filter_near").set_value("\n".join(map(str, range(51)))).run()
    page.button(key="filter_near_do").click().run()
    assert "51 examples are too many: give 50 at most" in texts(page)
    assert len(chips(page)) == 2


def test_what_is_close_is_listed_closest_first(app: AppTest, embedding: None) -> None:
    page = explore(app, filter="meaning=baking bread#9")
    project = page.session_state["opened_project"].project
    near = Near(texts=("baking bread",), most=9)
    expected = near_rows(near, PoolColumns(project, load=lambda record: OfThePool()))
    assert row_numbers(page) == expected.tolist()
    order = page.selectbox(key="order")
    assert order.options[0] == "closest first"
    close = closeness(near, PoolColumns(project, load=lambda record: OfThePool()), expected)
    lines = listed(page)["lines"]
    assert [
        f"closeness {one:.2f}" in note for one, (_, note, _) in zip(close, lines, strict=True)
    ] == [True] * 9
    page.button(key="filter_chip_0").click().run()
    assert page.selectbox(key="order").options[0] == "as they come"
    assert "closeness" not in listed(page)["lines"][0][1]


def test_a_closeness_that_cannot_be_told_is_an_error_on_the_page(app: AppTest, monkeypatch) -> None:
    def load(record: object) -> OfThePool:
        raise ModelError("the weights are not installed")

    monkeypatch.setattr("studio.filters.masks.embedder_of", load)
    page = explore(app, filter="meaning=bread")
    assert "The filter is not applied: the weights are not installed" in page.error[0].value
    assert len(row_numbers(page)) == 60


def test_a_conversation_leads_to_the_rows_like_it(projects: Path) -> None:
    def page(path: str) -> None:
        from pathlib import Path

        import streamlit as st

        from studio.filters.meaning import like_this_button
        from studio.shell.resources import open_project

        like_this_button(open_project(Path(path)), 7, key="like")
        st.markdown(st.session_state.get("filter", ""))

    path = with_graph(prepared_project(projects / "topics.duckdb"))
    shown = AppTest.from_function(page, args=(str(path),), default_timeout=60).run()
    shown.button(key="like").click().run()
    row = stored_row(open_at(str(path)).project, 7)
    assert shown.markdown[0].value == f"like={row.id}"


def test_the_embedder_stays_loaded_when_a_row_is_pinned(app: AppTest, monkeypatch) -> None:
    loaded = []

    def load(record: object) -> OfThePool:
        loaded.append(record)
        return OfThePool()

    monkeypatch.setattr("studio.filters.masks.embedder_of", load)
    page = explore(app, filter="meaning=bread")
    set_pins(page.session_state["opened_project"].project, [1], "pinned")
    page.run()
    assert "conversations pass the filter" in texts(page)
    assert len(loaded) == 1


def test_a_view_is_saved_chosen_again_and_deleted(app: AppTest, projects: Path) -> None:
    page = explore(app, filter="cluster=2")
    page.text_input(key="filter_name").set_value("second").run()
    page.button(key="filter_save").click().run()
    page.button(key="filter_chip_0").click().run()
    assert chips(page) == []
    page.button(key="filter_view_1").click().run()
    assert chips(page) == ["cluster 2"]
    page.button(key="filter_view_1_delete").click().run()
    assert not page.exception, page.exception
    assert [b.key for b in page.button if b.key == "filter_view_1"] == []


def test_a_filter_is_typed_as_text_and_a_wrong_one_changes_nothing(app: AppTest) -> None:
    page = explore(app, filter="turns=1..")
    page.selectbox(key="filter_column").set_value("text").run()
    page.text_input(key="filter_text_text").set_value("cluster=2;quality=x..").run()
    page.button(key="filter_do").click().run()
    assert "'x' of quality is not a number" in texts(page)
    assert page.query_params["filter"] == "turns=1.."
    page.text_input(key="filter_text_text").set_value("cluster=2;row=..20;turns=1..").run()
    page.button(key="filter_do").click().run()
    assert page.query_params["filter"] == "turns=1..;cluster=2;row=..20"


def test_a_long_filter_has_every_chip_in_one_line_and_is_cleared_at_once(app: AppTest) -> None:
    parts = tuple(Bounds(column="characters", low=low) for low in range(9))
    page = explore(app, filter=Filter(parts=parts).to_text())
    assert len(chips(page)) == 9
    assert page.button(key="filter_clear").label == "Clear all 9"
    page.button(key="filter_clear").click().run()
    assert chips(page) == []


def test_a_view_is_renamed_and_replaced(app: AppTest) -> None:
    page = explore(app, filter="cluster=2")
    for _ in range(2):
        page.text_input(key="filter_name").set_value("second").run()
        page.button(key="filter_save").click().run()
    project = page.session_state["opened_project"].project
    (view,) = views(project)
    key = f"filter_view_{view.view}"
    page.toggle(key=f"{key}_rename").set_value(True).run()
    page.text_input(key=f"{key}_name").set_value("another").run()
    assert not page.exception, page.exception
    assert [(one.name, one.filter) for one in views(project)] == [("another", "cluster=2")]
    assert page.button(key=key).label == "another"


def select(app: AppTest, **address: str) -> AppTest:
    app.query_params["project"] = "topics"
    for key, value in address.items():
        app.query_params[key] = value
    return opened(app, "select")


def test_the_rule_on_select_has_the_same_chips(app: AppTest) -> None:
    page = select(app, only="cluster=2;where=row < 20", strategy="top_score", budget="50")
    assert chips(page, "only") == ["cluster 2", "WHERE row < 20"]
    assert "3 of 60 selected" in texts(page)  # one of the four has no score
    page.button(key="only_chip_1").click().run()
    assert page.query_params["only"] == "cluster=2"
    assert "11 of 60 selected" in texts(page)


def test_the_rule_takes_the_filter_of_explore_or_a_view(app: AppTest) -> None:
    page = explore(app, filter="where=row < 20")
    page = opened(page, "select")
    page.button(key="only_explored").click().run()
    assert page.query_params["only"] == "where=row < 20"
    assert page.query_params["filter"] == "where=row < 20"


def test_closeness_to_examples_is_a_score_of_the_rule(app: AppTest, embedding: None) -> None:
    page = select(app, examples="bake bread\n\nbake a cake\n", c="2")
    assert "score x closeness^2 to 2 examples" in texts(page)
    page.text_area(key="examples").set_value("\n".join(map(str, range(51)))).run()
    assert "closeness takes 1 to 50 examples with a text each, got 51" in texts(page)


@pytest.mark.parametrize(
    "examples",
    [
        (),
        ("one",),
        ("one", "two"),
        ("of two\nlines",),
        ("of two\nlines", "one"),
        ("a title\n---\nand what follows", "one"),
        ("a title\n-----  \nand what follows",),
        ("one", "---"),
        ("with\n\\---\na backslash of its own", "\\\\----", "one"),
    ],
)
def test_examples_are_read_back_from_what_is_written(examples: tuple[str, ...]) -> None:
    assert parse_examples(written_examples(examples)) == examples


def test_rows_outside_are_grey_and_groups_keep_their_totals() -> None:
    codes, groups = greyed(
        colour_by_category(["a", "a", "b"]), np.array([True, False, False], np.bool_)
    )
    assert codes.tolist() == [0, 3, 3]
    assert [group.total for group in groups] == [2, 1, 0, None]
    assert groups[3].label == "filtered out"
