"""Login and roles through app.py: who gets in, what each role is offered, who is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from deita_core.jobs.kinds.select_rows import select_and_save
from deita_core.project import Project
from deita_core.project.log import log_entries
from deita_core.project.pins import pins
from deita_core.project.selections import selections
from deita_core.selection.rule import SelectionRule
from studio.shell import person
from tests.builders import prepared_project
from tests.windows import ROOT, Window, Windows

ROLES = """
contact = "data-team@example.org"
[people]
"vera@example.org" = "viewer"
"rita@example.org" = "reviewer"
"cora@example.org" = "curator"
"anna@example.org" = "admin"
"""


@pytest.fixture
def windows(projects: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Windows:
    """A server with login, a file of roles and one project with a selection."""
    with Project.open(prepared_project(projects / "topics.duckdb", rows=20)) as project:
        select_and_save(project, SelectionRule(threshold=0.99, budget=7), "seven")
    (tmp_path / "roles.toml").write_text(ROLES)
    monkeypatch.setenv("DEITA_ROLES", str(tmp_path / "roles.toml"))
    return Windows(monkeypatch)


def project_of(window: Window) -> Project:
    opened = window.app.session_state["opened_project"]
    assert opened is not None
    return opened.project


def test_who_has_not_logged_in_sees_where_to_and_nothing_else(windows: Windows) -> None:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    app.secrets["auth"] = {"client_id": "deita"}
    app.user = {"is_logged_in": False}
    app.run()
    assert not app.exception
    assert [b.label for b in app.button] == ["Log in"]
    assert "opened_project" not in app.session_state


def test_each_named_provider_has_its_button(windows: Windows) -> None:
    app = AppTest.from_file(str(ROOT / "app.py"), default_timeout=60)
    app.secrets["auth"] = {"cookie_secret": "x", "okta": {"client_id": "a"}, "google": {}}
    app.user = {"is_logged_in": False}
    app.run()
    assert {b.label for b in app.button} == {"Log in with Okta", "Log in with Google"}


def test_who_has_no_role_is_told_whom_to_ask(windows: Windows) -> None:
    window = windows.open(email="eve@example.org")
    assert "eve@example.org has no role here. Ask data-team@example.org" in window.said()
    assert window.labels() == {"Log out"}


def test_without_a_file_of_roles_nobody_gets_in(windows: Windows, tmp_path: Path) -> None:
    (tmp_path / "roles.toml").unlink()
    window = windows.open(email="anna@example.org")
    assert "there is no file of roles" in window.said()
    assert window.labels() == {"Log out"}


# Of each role, what the Select page offers first to it, and not to those below.
OFFERED = {
    "reviewer": "Pin",
    "curator": "Save this selection",
    "admin": "New",
}


@pytest.mark.parametrize("name", ["vera", "rita", "cora", "anna"])
def test_each_role_is_offered_what_it_may_do(windows: Windows, name: str) -> None:
    window = windows.open("select", f"{name}@example.org", project="topics")
    window.app.session_state["row_in_focus_read_" + str(project_of(window).path)] = 3
    offered = {role for role, label in OFFERED.items() if label in window.run().labels()}
    roles = ["vera", "rita", "cora", "anna"]
    assert offered == set(list(OFFERED)[: roles.index(name)])
    assert f"{name} · " in window.said()


@pytest.mark.parametrize("page", ["pool", "score", "explore", "select", "export"])
def test_a_viewer_sees_every_page(windows: Windows, page: str) -> None:
    window = windows.open(page, "vera@example.org", project="topics")
    assert window.app.title[0].value == page.capitalize()


@pytest.mark.parametrize(
    ("page", "words"),
    [("pool", "Loading files takes the role curator; yours is viewer"), ("export", "Exporting")],
)
def test_what_is_closed_says_which_role_it_takes(windows: Windows, page: str, words: str) -> None:
    assert words in windows.open(page, "vera@example.org", project="topics").said()


def test_a_click_that_a_role_no_longer_covers_is_refused_by_the_core(
    windows: Windows, tmp_path: Path
) -> None:
    window = windows.open("select", "cora@example.org", project="topics", view="saved")
    button = window.button("Make current")
    (tmp_path / "roles.toml").write_text(ROLES.replace("curator", "viewer"))
    button.click()
    assert "cora <cora@example.org> is a viewer and cannot make a selection" in window.run().said()
    project = project_of(window)
    assert not selections(project)[0].current
    assert log_entries(project, limit=1)[0].action == "refused"


def test_what_is_saved_bears_the_name_of_the_login(windows: Windows) -> None:
    window = windows.open("select", "cora@example.org", project="topics")
    window.click("Save this selection")
    assert "Author" not in {t.label for t in window.app.text_input}
    window.click("Save this selection", "Save")
    saved = selections(project_of(window))
    assert {s.author for s in saved if s.name != "seven"} == {"cora"}
    window.app.session_state["row_in_focus_read_" + str(project_of(window).path)] = 3
    window.run().click("Pin")
    assert pins(project_of(window))[0].author == "cora"


def test_a_viewer_can_take_over_a_rule_without_its_pins(windows: Windows) -> None:
    window = windows.open("select", "vera@example.org", project="topics", view="saved")
    window.click("Load its rule")
    assert "7 of 20 selected" in window.said()
    assert {e.action for e in log_entries(project_of(window))}.isdisjoint({"refused", "pin rows"})


def test_a_file_of_secrets_that_cannot_be_read_lets_nobody_in(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "secrets.toml").write_text("[auth")
    monkeypatch.setattr("streamlit.config.get_option", lambda _: [str(tmp_path / "secrets.toml")])
    monkeypatch.setattr("streamlit.get_option", lambda _: [str(tmp_path / "secrets.toml")])
    assert person.login_is_on()
    (tmp_path / "secrets.toml").unlink()
    assert not person.login_is_on()
