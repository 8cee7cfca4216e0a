"""The picker of projects through app.py: links, the first project, and the dialogs."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import streamlit as st
from streamlit.testing.v1 import AppTest

from deita_core.project.folder import create_project
from deita_core.project.on_disk import list_snapshots
from tests.builders import prepared_project, with_graph
from tests.test_on_disk import spoil_column

APP = str(Path(__file__).parents[1] / "app.py")
PAGES = ("pool", "score", "explore", "select", "export")


@pytest.fixture
def three(projects: Path) -> Path:
    """The folder of three projects: one named as its file, two made in the app with one title."""
    prepared_project(projects / "sample.duckdb", rows=20)
    for _ in range(2):
        create_project(projects, "Support chats, round 1").close()
    return projects


def visit(page: str = "pool", **query: str) -> AppTest:
    """A new session that opens a link."""
    app = AppTest.from_file(APP, default_timeout=60)
    app.query_params.update(query)
    return ran(app.switch_page(f"pages/{page}.py").run())


def ran(app: AppTest) -> AppTest:
    assert not app.exception, app.exception
    return app


def open_key(app: AppTest) -> str | None:
    opened = app.session_state["opened_project"]
    return None if opened is None else opened.project.path.stem


def problems(app: AppTest) -> str:
    return "\n".join(one.value for one in (*app.error, *app.warning)).replace("\\", "")


@contextmanager
def held(path: Path) -> Iterator[None]:
    """Another process has the project open."""
    code = (
        "import sys; from deita_core.project import Project; from pathlib import Path\n"
        "with Project.open(Path(sys.argv[1])):\n    print('open', flush=True); sys.stdin.read()"
    )
    command = [sys.executable, "-c", code, str(path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=Path(APP).parent
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline().strip() == b"open"
        yield
        other.communicate()


@pytest.mark.parametrize("key", ["sample", "support-chats-round-1", "support-chats-round-1-2"])
@pytest.mark.parametrize("page", PAGES)
def test_a_link_opens_its_project_on_every_page(three: Path, key: str, page: str) -> None:
    app = visit(page, project=key)
    assert open_key(app) == key
    assert app.query_params["project"] == key
    assert open_key(ran(app.run())) == key


def test_the_address_names_the_project_that_is_picked(three: Path) -> None:
    app = visit(project="sample")
    ran(app.selectbox(key="project").set_value("support-chats-round-1-2").run())
    assert open_key(app) == "support-chats-round-1-2"
    assert app.query_params["project"] == "support-chats-round-1-2"


def test_two_projects_of_one_title_are_told_apart(three: Path) -> None:
    visit(project="support-chats-round-1")
    app = visit(project="support-chats-round-1")
    ran(app.selectbox(key="project").set_value("support-chats-round-1-2").run())
    ran(app.run())
    assert {"sample", "Support chats, round 1 (support-chats-round-1)"} <= set(
        app.selectbox(key="project").options
    )
    assert open_key(app) == "support-chats-round-1-2"


@pytest.mark.parametrize("key", ["gone", "Support chats, round 1", "../secret"])
def test_an_unknown_project_is_said_and_nothing_opened(three: Path, key: str) -> None:
    app = ran(visit(project=key).run())
    assert open_key(app) is None
    assert "There is no project" in problems(app)
    assert app.query_params["project"] == key
    ran(app.selectbox(key="project").set_value("sample").run())
    assert open_key(app) == "sample"
    assert problems(app) == ""


def test_the_project_used_last_is_opened_first(three: Path) -> None:
    visit(project="sample")
    (three / "support-chats-round-1.duckdb").touch()
    assert open_key(visit()) == "sample"


def test_a_project_that_another_process_holds_is_passed_over(three: Path) -> None:
    visit(project="support-chats-round-1")
    st.cache_resource.clear()
    with held(three / "support-chats-round-1.duckdb"):
        app = visit()
        assert open_key(app) not in (None, "support-chats-round-1")
        assert "support-chats-round-1.duckdb" in problems(app)
        linked = visit(project="support-chats-round-1")
        assert open_key(linked) is None
        assert linked.query_params["project"] == "support-chats-round-1"


@pytest.fixture
def manage(monkeypatch: pytest.MonkeyPatch) -> Callable[[AppTest, str], AppTest]:
    """Choose from the menu of a project, which AppTest cannot click."""

    def choose(app: AppTest, action: str) -> AppTest:
        monkeypatch.setattr(st, "menu_button", lambda *_, **__: action)
        return ran(app.run())

    return choose


def click(app: AppTest, label: str) -> AppTest:
    return ran(next(b for b in app.button if b.label == label).click().run())


def fill_name(app: AppTest, name: str) -> AppTest:
    field = next(t for t in app.text_input if t.label.startswith("Name"))
    return ran(field.set_value(name).run())


Manage = Callable[[AppTest, str], AppTest]


def test_renaming_changes_the_title_and_not_the_address(three: Path, manage: Manage) -> None:
    app = fill_name(manage(visit(project="sample"), "Rename"), "Answers")
    click(app, "Rename")
    assert "Answers" in app.selectbox(key="project").options
    assert app.query_params["project"] == "sample"


def test_a_name_of_spaces_is_not_offered(three: Path, manage: Manage) -> None:
    app = fill_name(manage(visit(project="sample"), "Rename"), "   ")
    assert next(b for b in app.button if b.label == "Rename").disabled


def test_the_copy_is_opened_and_has_the_rows(three: Path, manage: Manage) -> None:
    app = manage(visit(project="sample"), "Duplicate")
    assert next(t for t in app.text_input).value == "sample (copy)"
    click(fill_name(app, "Second try"), "Duplicate")
    assert open_key(app) == app.query_params["project"] == "second-try"
    assert "20" in "".join(element.value for element in app.markdown)
    assert {p.stem for p in three.glob("*.duckdb")} > {"sample", "second-try"}


def test_deleting_asks_first_and_opens_another(three: Path, manage: Manage) -> None:
    app = manage(visit(project="sample"), "Delete")
    assert next(b for b in app.button if b.label == "Delete").disabled
    ran(app.checkbox[0].check().run())
    click(app, "Delete")
    assert not (three / "sample.duckdb").exists()
    assert open_key(app) == app.query_params["project"] != "sample"
    assert "no project" not in problems(app)


def test_a_snapshot_is_made_brought_back_opened_and_deleted(three: Path, manage: Manage) -> None:
    app = manage(visit(project="sample"), "Snapshots")
    click(fill_name(app, "friday"), "Make a snapshot")
    assert "Made “friday”" in app.success[0].value
    with app.session_state["opened_project"].project.transaction("admin", None) as cursor:
        cursor.execute("UPDATE meta SET value = 'Changed' WHERE key = 'name'")
    click(app, "Bring it back")
    assert app.session_state["opened_project"].project.name == "sample"
    assert app.selectbox(key="snapshot").options[0].startswith("before-")
    ran(app.selectbox(key="snapshot").set_value("friday").run())
    ran(app.checkbox(key="sure-friday").check().run())
    click(app, "Delete it")
    assert [one.name[:7] for one in list_snapshots(three / "sample.duckdb")] == ["before-"]
    click(app, "Open as a new project")
    assert str(open_key(app)).startswith("sample-before-")
    assert app.session_state["opened_project"].project.name == "Changed"


def test_a_project_deleted_elsewhere_is_said(three: Path) -> None:
    app = visit(project="sample")
    st.cache_resource.clear()
    (three / "sample.duckdb").unlink()
    assert "There is no project" in problems(ran(app.run()))
    assert open_key(app) is None


def test_a_broken_block_is_said_on_the_page(projects: Path) -> None:
    path = prepared_project(projects / "broken.duckdb", rows=600)
    spoil_column(path, "conversations", "id")
    app = visit("explore", project="broken")
    assert "broken.duckdb is damaged (" in problems(app)
    assert "there is no snapshot of it" in problems(app)


def test_a_graph_that_was_altered_is_made_anew_by_itself(projects: Path) -> None:
    path = with_graph(prepared_project(projects / "pool.duckdb"))
    (file,) = (path.with_name("pool.duckdb.graph")).glob("*/neighbour.npy")
    file.write_bytes(b"")
    app = visit("explore", project="pool")
    records = app.session_state["opened_project"].runner.records()
    assert [record.kind for record in records] == ["graph"]


def test_a_choice_stands_in_the_address_as_its_key(three: Path) -> None:
    app = visit("explore", project="sample", colour="evol")
    assert "colour" not in app.query_params  # the usual one
    ran(app.selectbox(key="colour").set_value("language").run())
    assert app.query_params["colour"] == "language"


def test_a_link_sets_a_choice_and_an_unknown_value_is_said(three: Path) -> None:
    app = visit("score", project="sample", part="run", turns="mean")
    assert app.segmented_control(key="part").value == "run"
    assert app.query_params["part"] == "run"
    app = visit("score", project="sample", part="Run a model")
    assert app.segmented_control(key="part").value == "scores"
    assert "part=Run a model" in app.toast[0].value
