"""The Compare page through app.py: the two sets, what is said of them, and the views."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from deita_core.jobs import JobRunner
from deita_core.jobs.kind import JobSpec
from deita_core.jobs.kinds import MeasuresSpec, StabilitySpec
from deita_core.jobs.kinds.select_rows import select_and_save
from deita_core.project import Project
from deita_core.project.models import ModelIdentity, activate_model, register_model
from deita_core.project.selections import selections
from deita_core.selection.rule import SelectionRule
from tests.builders import Channel, conversation, prepared_project, with_graph

APP = str(Path(__file__).parents[1] / "app.py")


@pytest.fixture
def numbers(projects: Path) -> dict[str, str]:
    """A project with the selections `top` and `lots` of 10 rows; their keys in the address."""
    path = with_graph(prepared_project(projects / "topics.duckdb"))
    with Project.open(path) as project:
        select_and_save(project, SelectionRule("top_score", budget=10), "top")
        select_and_save(project, SelectionRule("random", budget=10), "lots *now*")
        return {one.name: str(one.selection) for one in selections(project)}


def compare_page(**query: str) -> AppTest:
    app = AppTest.from_file(APP, default_timeout=60)
    for name, value in query.items():
        app.query_params[name] = value
    page = app.switch_page("pages/compare.py").run()
    assert not page.exception, page.exception
    return page


def texts(page: AppTest) -> str:
    kinds = (page.markdown, page.caption, page.info, page.error)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def shown_tables(page: AppTest) -> str:
    return "\n".join(table.value.to_csv() for table in (*page.table, *page.dataframe))


def test_the_newest_two_selections_are_compared_at_first(numbers: dict[str, str]) -> None:
    page = compare_page()
    assert (page.selectbox(key="one").value, page.selectbox(key="other").value) == (
        numbers["lots *now*"],
        numbers["top"],
    )
    assert " share " in texts(page)
    assert "(Jaccard " in texts(page)


def test_names_are_shown_as_they_are(numbers: dict[str, str]) -> None:
    assert r"lots \*now\* and top share" in texts(compare_page())


def test_the_address_says_which_sets_are_compared(numbers: dict[str, str]) -> None:
    page = compare_page(one=numbers["top"], other="pool")
    assert "top and the pool share 10 rows" in texts(page).replace("\\", "")
    assert "0 only in top, 50 only in the pool" in texts(page).replace("\\", "")


def test_random_rows_on_both_sides_are_refused_in_words(numbers: dict[str, str]) -> None:
    assert "Random rows of how many?" in texts(compare_page(one="random", other="random"))


def test_a_file_is_asked_for_before_anything_is_compared(numbers: dict[str, str]) -> None:
    page = compare_page(one="file", other="pool")
    assert "matched with the pool by their content" in texts(page)
    assert "Jaccard" not in texts(page)


def test_a_file_is_matched_with_the_pool_by_a_job(
    numbers: dict[str, str], submitted: list[JobSpec], projects: Path
) -> None:
    lines = [
        json.dumps({"messages": [{"role": m.role, "content": m.content} for m in one.messages]})
        for one in (conversation(3), conversation(8))
    ]
    asked = {"role": "user", "content": "Nobody asked this."}
    lines.append(json.dumps({"messages": [asked, {"role": "assistant", "content": "True."}]}))
    page = compare_page(one="file", other="pool")
    name = f"{'x' * 300} *b*.jsonl"
    page.file_uploader[0].set_value((name, "\n".join(lines).encode(), "text/plain"))
    page.run()
    assert not page.exception, page.exception
    (spec,) = submitted
    assert "Jaccard" not in texts(page)
    assert any(button.label == "Read the file" for button in page.button)
    st.cache_resource.clear()
    done(projects, spec)
    page.run()
    assert not page.exception, page.exception
    said = texts(page).replace("\\", "")
    assert "x *b*.jsonl: 3 read = 2 of the pool + 1 not in it" in said
    assert "2,Nobody asked this." in shown_tables(page)
    assert "x *b*.jsonl and the pool share 2 rows" in said
    assert submitted == [spec]


@pytest.mark.parametrize(
    ("view", "wanted"),
    [
        ("rows", "rank in A"),
        ("shares", "share in A"),
        ("measures", "mean evol score"),
    ],
)
def test_each_view_shows_its_table(
    numbers: dict[str, str], submitted: list[JobSpec], view: str, wanted: str
) -> None:
    page = compare_page(compared=view)
    assert wanted in shown_tables(page)


def test_what_takes_long_is_computed_by_a_job_that_is_asked_for_once(
    numbers: dict[str, str], submitted: list[JobSpec]
) -> None:
    page = compare_page(one=numbers["top"], other="random", compared="measures")
    assert submitted == [MeasuresSpec(a=f"selection:{numbers['top']}", b="random")]
    assert "Takes longer: distance to the nearest row of the set" in texts(page)
    page.run()
    assert len(submitted) == 1
    (button,) = [one for one in page.button if one.label == "Compute"]
    button.click().run()
    assert len(submitted) == 2


def test_what_a_job_measured_is_shown_without_another(
    numbers: dict[str, str], submitted: list[JobSpec], projects: Path
) -> None:
    done(projects, MeasuresSpec(a=f"selection:{numbers['top']}", b="pool"))
    page = compare_page(one=numbers["top"], other="pool", compared="measures")
    assert "NovelSum of 10 rows" in shown_tables(page)
    assert submitted == []


def test_against_random_rows_the_draws_stand_with_their_spread(
    numbers: dict[str, str], submitted: list[JobSpec]
) -> None:
    page = compare_page(one=numbers["top"], other="random", compared="measures")
    (table,) = page.table
    assert list(table.value.columns) == ["A", "random", "better"]
    assert " ± " in table.value.loc["mean evol score", "random"]


def test_the_stability_is_kept_with_the_selection(
    numbers: dict[str, str], submitted: list[JobSpec], projects: Path
) -> None:
    done(projects, StabilitySpec(selection=int(numbers["top"])))
    page = compare_page(one=numbers["top"], other="pool", compared="stability")
    assert "the rule as it stands" in shown_tables(page)
    assert "have changed since" not in texts(page)
    assert submitted == []


def test_a_stability_of_other_scores_says_so_and_can_be_tried_again(
    numbers: dict[str, str], submitted: list[JobSpec], projects: Path
) -> None:
    spec = StabilitySpec(selection=int(numbers["top"]))
    done(projects, spec)
    with Project.open(projects / "topics.duckdb") as project:
        other = register_model(project, "quality", ModelIdentity(id="tests/other", revision="1"))
        activate_model(project, other)
    page = compare_page(one=numbers["top"], other="pool", compared="stability")
    assert "the rule as it stands" in shown_tables(page)
    assert "have changed since" in texts(page)
    (button,) = [one for one in page.button if one.label == "Try top again"]
    button.click().run()
    assert submitted == [spec]


def test_two_selections_are_tried_at_once_and_show_their_jobs_once(
    numbers: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(JobRunner, "start", lambda runner: [])
    page = compare_page(one=numbers["top"], other=numbers["lots *now*"], compared="stability")
    assert texts(page).count("Stability: waiting") == 2


def done(projects: Path, spec: JobSpec) -> None:
    """Run a job in this process, before the page opens the project."""
    with Project.open(projects / "topics.duckdb") as project:
        Channel(project, spec, projects / "job")


@pytest.fixture
def submitted(monkeypatch: pytest.MonkeyPatch) -> list[JobSpec]:
    """What the page asks jobs for, in place of workers."""
    asked: list[JobSpec] = []
    monkeypatch.setattr(JobRunner, "submit", lambda runner, specs: asked.extend(specs))
    return asked


def test_the_distributions_say_how_they_are_read(numbers: dict[str, str]) -> None:
    assert "B is dashed" in texts(compare_page(compared="numbers"))


def test_rows_of_a_part_are_as_many_as_it_says(numbers: dict[str, str]) -> None:
    page = compare_page(one=numbers["top"], other="pool")
    parts = page.button_group(key="compare_part")
    assert parts.options[1:] == ["only B · 50", "both · 10"]


def test_without_a_saved_selection_the_page_says_where_to_make_one(projects: Path) -> None:
    projects.mkdir(exist_ok=True)
    prepared_project(projects / "topics.duckdb")
    assert "save one on the Select page first" in texts(compare_page())


def test_a_part_is_opened_in_explore_as_a_filter(numbers: dict[str, str]) -> None:
    page = compare_page(one=numbers["top"], other="pool")
    page.button_group(key="compare_part").set_value("both").run()
    page.button(key="compare_explore").click().run()
    assert not page.exception, page.exception
    assert page.session_state["filter"] == "selected.top=yes"
    assert page.title[0].value == "Explore"
    assert "**10** of 60 conversations pass the filter" in texts(page)


def test_what_no_filter_knows_is_tagged_and_opened_in_explore(
    numbers: dict[str, str], projects: Path
) -> None:
    page = compare_page(one=numbers["top"], other="random")
    assert not [button for button in page.button if button.key == "compare_explore"]
    page.button_group(key="compare_part").set_value("only B").run()
    page.text_input(key="compare_tag").set_value("by chance").run()
    (button,) = [one for one in page.button if one.key == "compare_tag_rows"]
    rows = int(button.label.split()[1])
    button.click().run()
    assert not page.exception, page.exception
    assert page.session_state["filter"] == "tag=by chance"
    assert page.title[0].value == "Explore"
    assert f"**{rows}** of 60 conversations pass the filter" in texts(page)
