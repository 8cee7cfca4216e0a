"""Every page through app.py: what it says of a prepared project, an empty one, and none."""

from __future__ import annotations

from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from deita_core.jobs.kinds import ClusterSpec
from deita_core.jobs.kinds.select_rows import select_and_save
from deita_core.project import Project
from deita_core.project.clusters import rename_cluster
from deita_core.project.selections import selections
from deita_core.selection.rule import SelectionRule
from tests.builders import Channel, prepared_project, with_graph

APP = str(Path(__file__).parents[1] / "app.py")


@pytest.fixture
def app(projects: Path) -> AppTest:
    """The app on a prepared project, not yet run."""
    projects.mkdir()
    prepared_project(projects / "topics.duckdb")
    return AppTest.from_file(APP, default_timeout=60)


def texts(app: AppTest) -> str:
    """Everything written on the page, as it is read."""
    kinds = (app.title, app.markdown, app.caption, app.info, app.warning, app.error, app.subheader)
    written = "\n".join(str(element.value) for kind in kinds for element in kind)
    return written.replace("\\", "")


def opened(app: AppTest, page: str) -> AppTest:
    found = app.switch_page(f"pages/{page}.py").run()
    assert not found.exception, found.exception
    return found


def test_the_pool_page_adds_up_the_rows(app: AppTest) -> None:
    assert "62 rows read = 60 imported + 1 duplicates + 1 rejected" in texts(app.run())
    assert not app.exception, app.exception


def test_the_score_page_tells_scored_and_failed(app: AppTest) -> None:
    said = texts(opened(app, "score"))
    assert "of 60 conversations have an evol score" in said
    assert "tests/complexity" in said


def test_the_explore_page_lists_what_a_search_finds(app: AppTest) -> None:
    page = opened(app, "explore")
    page.text_input(key="search_text").set_value('"item 7."').run()
    assert not page.exception, page.exception
    assert "**1** of 60 conversations contain" in texts(page)


def test_the_explore_page_colours_by_named_clusters_and_renames_them(
    app: AppTest, projects: Path, tmp_path: Path
) -> None:
    st.cache_resource.clear()
    with Project.open(with_graph(projects / "topics.duckdb")) as project:
        Channel(project, ClusterSpec(), tmp_path / "job")
        rename_cluster(project, 1, "*Streams*")
    app.query_params["colour"] = "cluster"
    app.query_params["shown"] = "clusters"
    page = opened(app, "explore")
    assert "**5 clusters** with their names" in texts(page)
    (lines,) = [frame.value for frame in page.dataframe if "typical row" in frame.value]
    assert lines["name"][1] == "*Streams*"
    assert lines["rows"].tolist() == [12] * 5


def test_the_select_page_says_the_result_in_a_sentence(app: AppTest) -> None:
    page = opened(app, "select")
    page.number_input(key="budget").set_value(5).run()
    assert "5 of 60 selected at similarity 0.80 (distance 0.20)" in texts(page)


def test_a_lower_threshold_drops_more_near_duplicates(app: AppTest) -> None:
    page = opened(app, "select")
    page.number_input(key="budget").set_value(60)
    page.slider(key="threshold").set_value(0.3).run()
    assert "too close to a better one" in texts(page)


def test_a_saved_selection_can_be_exported_and_its_rule_loaded(projects: Path) -> None:
    projects.mkdir()
    with Project.open(prepared_project(projects / "topics.duckdb")) as project:
        select_and_save(project, SelectionRule(threshold=0.99, budget=7), "seven")
    app = AppTest.from_file(APP, default_timeout=60)
    page = opened(app, "export")
    assert any(b.label == "Export 7 conversations" for b in page.button)
    assert "7 of 60 selected at similarity 0.99" in texts(page)


@pytest.mark.parametrize(
    "page", ["pool", "score", "explore", "select", "review", "compare", "train", "export"]
)
def test_every_page_of_an_empty_project_says_what_to_do(projects: Path, page: str) -> None:
    projects.mkdir()
    Project.open(projects / "empty.duckdb", create=True).close()
    app = AppTest.from_file(APP, default_timeout=60)
    said = texts(opened(app, page))
    wanted = {
        "pool": "Load one or more files below",
        "score": "load a file on the Pool page",
        "explore": "load a file on the Pool page",
        "select": "needs scores and embeddings",
        "review": "load a file on the Pool page",
        "compare": "load a file on the Pool page",
        "train": "No scorer was trained in this project yet",
        "export": "no saved selection yet",
    }
    assert wanted[page] in said


def test_a_file_that_is_no_project_is_an_error_on_the_page(app: AppTest, projects: Path) -> None:
    (projects / "broken.duckdb").write_text("not a project " * 50)
    page = AppTest.from_file(APP, default_timeout=60)
    page.query_params["project"] = "broken"
    page.run()
    assert not page.exception, page.exception
    assert "is not a project file" in texts(page)


def test_no_selection_is_made_by_looking(app: AppTest, projects: Path) -> None:
    opened(app, "select")
    st.cache_resource.clear()
    with Project.open(projects / "topics.duckdb") as project:
        assert selections(project) == []


@pytest.mark.parametrize(("dialog", "runs"), [(False, 2), (True, 1)])
def test_the_end_of_a_job_draws_the_page_again_unless_a_dialog_is_open(
    dialog: bool, runs: int
) -> None:
    def page(dialog: bool) -> None:
        from types import SimpleNamespace

        import streamlit as st

        from studio.shell import state
        from studio.shell.jobs_panel import jobs_panel

        st.session_state["runs"] = st.session_state.get("runs", 0) + 1
        if dialog:
            state.dialog("Name")(lambda: st.text_input("Name"))()
        nothing_runs = SimpleNamespace(busy=False, records=lambda _: [])
        jobs_panel(
            SimpleNamespace(
                key="topics", runner=nothing_runs, project=SimpleNamespace(closed=False)
            )
        )

    app = AppTest.from_function(page, args=(dialog,))
    app.session_state["jobs_seen"] = ("topics", (7,))
    app.run()
    assert not app.exception, app.exception
    assert app.session_state["runs"] == runs
