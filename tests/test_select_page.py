"""The Select page through app.py: rule, pins, undo, views."""

from __future__ import annotations

from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from deita_core.jobs.kinds import StabilitySpec
from deita_core.jobs.kinds.select_rows import select_and_save
from deita_core.project import Project
from deita_core.project.pins import pins, set_pins
from deita_core.project.selections import selections
from deita_core.selection.rule import SelectionRule
from tests.builders import Channel, prepared_project, with_graph

APP = str(Path(__file__).parents[1] / "app.py")


@pytest.fixture
def project_file(projects: Path) -> Path:
    """A prepared project with a similarity graph, alone in its folder."""
    return with_graph(prepared_project(projects / "topics.duckdb"))


def select_page(**query: str) -> AppTest:
    app = AppTest.from_file(APP, default_timeout=60)
    for name, value in query.items():
        app.query_params[name] = value
    return ran(app.switch_page("pages/select.py").run())


def ran(page: AppTest) -> AppTest:
    assert not page.exception, page.exception
    return page


@pytest.fixture
def page(project_file: Path) -> AppTest:
    return select_page()


def texts(page: AppTest) -> str:
    kinds = (page.markdown, page.caption, page.info, page.error)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def choose(page: AppTest, key: str, value: object) -> AppTest:
    page.session_state[key] = value
    return ran(page.run())


def test_the_threshold_has_a_suggested_start_that_a_button_takes(page: AppTest) -> None:
    button = next(b for b in page.button if b.label.startswith("Suggested start"))
    ran(button.click().run())
    assert page.slider(key="threshold").value == float(button.label.rpartition(" ")[2])


def test_a_preset_sets_strategy_and_threshold(page: AppTest) -> None:
    ran(page.button(key="preset-nemo").click().run())
    assert page.slider(key="threshold").value == 0.99
    assert page.selectbox(key="strategy").value == "nemo_curator"


def test_a_budget_in_tokens_is_about_as_much_as_it_was_in_rows(page: AppTest) -> None:
    ran(page.number_input(key="budget").set_value(10).run())
    ran(page.button_group(key="unit").set_value("tokens").run())
    assert "tokens" in texts(page)
    assert page.number_input(key="budget").value == pytest.approx(240, abs=100)
    ran(page.button_group(key="unit").set_value("rows").run())
    assert page.number_input(key="budget").value == 10


def test_a_link_to_a_budget_in_tokens_counts_tokens_at_once(project_file: Path) -> None:
    page = select_page(budget="120", unit="tokens")
    assert "120 tokens" in texts(page).partition("\n")[0]
    assert page.number_input(key="budget").value == 120


def test_undo_and_redo_move_through_the_rules(page: AppTest) -> None:
    ran(page.slider(key="threshold").set_value(0.99).run())
    ran(page.number_input(key="budget").set_value(7).run())
    ran(page.number_input(key="budget").set_value(9).run())
    ran(page.button(key="rule_undo").click().run())
    assert page.number_input(key="budget").value == 7
    assert "7 of 60 selected" in texts(page)
    ran(page.button(key="rule_redo").click().run())
    assert "9 of 60 selected" in texts(page)


def test_undo_takes_a_pin_back_and_redo_sets_it_again(page: AppTest, project_file: Path) -> None:
    choose(page, "row_in_focus_read_" + str(project_file), 11)
    ran(page.button(key="read_pins_pinned").click().run())
    assert "1 of them is pinned" in texts(page)
    ran(page.button(key="rule_undo").click().run())
    assert "pinned" not in texts(page).partition("selected")[2].partition("\n")[0]
    ran(page.button(key="rule_redo").click().run())
    assert "1 of them is pinned" in texts(page)


def test_a_row_in_focus_says_why_and_what_would_change_it(
    page: AppTest, project_file: Path
) -> None:
    choose(page, "row_in_focus_read_" + str(project_file), 11)
    assert "What would change that:" in texts(page)
    ran(page.button(key="close_read").click().run())
    assert "What would change that:" not in texts(page)


def test_filters_and_quotas_stand_in_the_url(project_file: Path) -> None:
    page = select_page(where="turns at least 2", quota="cluster 0: at most 3")
    assert "48 rows were filtered out" in texts(page)
    said = texts(page).partition("selected")[0].split()
    assert int(said[-3].strip("#").replace(",", "") or 0) <= 12


def test_what_is_no_filter_is_an_error_that_shows_one(project_file: Path) -> None:
    assert "write, for example, tokens 50 to 2000" in texts(select_page(where="long ones"))


def test_the_address_holds_the_keys_of_strategy_pins_and_view(project_file: Path) -> None:
    page = select_page(strategy="nemo_curator", pins="rank", view="frontier", turns="mean")
    assert page.selectbox(key="strategy").value == "nemo_curator"
    assert page.session_state["pins"] == "rank"
    assert "turns: mean" in texts(page)
    assert page.toggle(key="frontier_slow")
    ran(page.selectbox(key="strategy").set_value("semdedup").run())
    choose(page, "view", "random")
    assert page.query_params["strategy"] == "semdedup"
    assert page.query_params["view"] == "random"
    choose(page, "strategy", "repr_filter")
    assert "strategy" not in page.query_params


@pytest.mark.parametrize(
    ("key", "known"),
    [
        ("strategy", "repr_filter"),
        ("pins", "first"),
        ("view", "rows"),
        ("turns", "sum"),
        ("unit", "rows"),
    ],
)
def test_an_unknown_key_in_the_address_is_told(project_file: Path, key: str, known: str) -> None:
    page = select_page(**{key: "gone"})
    assert [t.value for t in page.toast if f"{key}=gone" in t.value and known in t.value]
    assert page.session_state[key] == known


@pytest.mark.parametrize("key", ["language", "file", "without"])
def test_names_that_the_pool_lacks_are_told(project_file: Path, key: str) -> None:
    page = select_page(**{key: "gone"})
    assert [w.value for w in page.warning if "gone" in w.value]
    assert page.session_state[key] == []


@pytest.mark.parametrize(
    ("view", "says"),
    [
        ("frontier", "fills"),
        ("random", "drawn by a seed"),
        ("change", "moved no row"),
        ("pins", "Nothing is pinned"),
        ("saved", "Nothing saved yet"),
    ],
)
def test_every_view_of_the_page_is_drawn(project_file: Path, view: str, says: str) -> None:
    assert says in texts(select_page(view=view))


def test_a_change_lists_the_rows_that_left(page: AppTest) -> None:
    choose(page, "view", "change")
    ran(page.slider(key="threshold").set_value(0.99).run())
    ran(page.number_input(key="budget").set_value(5).run())
    assert "0 rows entered, 10 left" in texts(page)


def test_pins_are_listed_and_can_be_taken_back(project_file: Path) -> None:
    with Project.open(project_file) as project:
        set_pins(project, [3, 4], "excluded", note="boilerplate")
    page = select_page(view="pins")
    ran(page.button(key="pins_chosen_None").click().run())
    assert "Nothing is pinned" in texts(page)
    st.cache_resource.clear()
    with Project.open(project_file) as project:
        assert len(pins(project)) == 0


def test_more_pins_than_budget_is_an_error_and_undo_is_at_hand(project_file: Path) -> None:
    with Project.open(project_file) as project:
        set_pins(project, [3, 4], "pinned")
    page = select_page(budget="1")
    assert page.error
    assert any(b.label == "Undo" for b in page.button)


def test_a_saved_selection_can_be_copied_and_made_current(project_file: Path) -> None:
    with Project.open(project_file) as project:
        select_and_save(project, SelectionRule(threshold=0.99, budget=7), "seven")
    page = select_page(view="saved")
    assert "lacks" in texts(page)
    ran(page.toggle(key="difference-1").set_value(True).run())
    ran(page.button(key="Duplicate-1").click().run())
    ran(page.button(key="Make current-2").click().run())
    ran(page.button(key="Load its rule-1").click().run())
    assert "The selection above has the same rows." in texts(page)
    st.cache_resource.clear()
    with Project.open(project_file) as project:
        assert [s.name for s in selections(project) if s.current] == ["seven (copy)"]


def test_a_saved_selection_tells_its_stability_and_leads_to_all_of_it(project_file: Path) -> None:
    with Project.open(project_file) as project:
        select_and_save(project, SelectionRule(threshold=0.99, budget=7), "seven")
        select_and_save(project, SelectionRule(threshold=0.99, budget=8), "eight")
        Channel(project, StabilitySpec(selection=1), project_file.with_name("job"))
    page = select_page(view="saved")
    assert texts(page).count("Stability: other choices keep ") == 1
    ran(page.button(key="Stability-1").click().run())
    assert "**seven**: share of its rows that is selected again" in texts(page)
    assert (page.selectbox(key="one").value, page.selectbox(key="other").value) == ("1", "pool")


def test_loading_a_saved_rule_brings_its_pins_back(project_file: Path) -> None:
    with Project.open(project_file) as project:
        pinned = pins_of(project, [3])
        select_and_save(project, SelectionRule(threshold=0.99, budget=7, pinned=pinned), "pinned")
        set_pins(project, [8], "excluded")
        set_pins(project, [3], None)
    page = select_page(view="saved")
    ran(page.button(key="Load its rule-1").click().run())
    assert "1 of them is pinned" in texts(page)
    assert "The selection above has the same rows." in texts(page)
    ran(page.button(key="rule_undo").click().run())
    assert "1 row was excluded" in texts(page)


def pins_of(project: Project, rows: list[int]) -> tuple[str, ...]:
    set_pins(project, rows, "pinned")
    return pins(project).pinned


def test_saved_selections_and_pins_do_not_read_the_pool_again(
    project_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Project.open(project_file) as project:
        select_and_save(project, SelectionRule(threshold=0.99, budget=7), "seven")
    page = select_page(view="saved")
    loaded: list[str] = []
    monkeypatch.setattr(
        "studio.shell.resources.load_pool_table", lambda *_: loaded.append("arrays")
    )
    monkeypatch.setattr("studio.shell.resources.selection_input", lambda *_: loaded.append("all"))
    ran(page.button(key="Make current-1").click().run())
    choose(page, "row_in_focus_read_" + str(project_file), 11)
    ran(page.button(key="read_pins_excluded").click().run())
    assert "excluded" in texts(page)
    assert loaded == []


def test_a_filter_in_the_address_leaves_rows_out_and_says_so(project_file: Path) -> None:
    page = select_page(only="turns=2..")
    assert "48 rows were filtered out (turns=2..)" in texts(page).replace("\\", "")
    choose(page, "only", "length=2..")
    said = " ".join(str(one.value) for one in page.error).replace("\\", "")
    assert "no column 'length'" in said
