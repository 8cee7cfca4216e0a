"""Login with OpenID Connect: the real server, a provider, and a real Chromium."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deita_core.jobs.kinds.select_rows import select_and_save
from deita_core.project import Project
from deita_core.selection.rule import SelectionRule
from tests.browser import served
from tests.builders import prepared_project

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

ROLES = """
contact = "data-team@example.org"
[people]
"vera@example.org" = "viewer"
[groups]
curators = "curator"
"""
PEOPLE = {
    "vera": {"name": "Vera", "email": "vera@example.org"},
    "cora": {"name": "Cora", "email": "cora@example.org", "groups": ["curators"]},
    "eve": {"name": "Eve", "email": "eve@example.org", "groups": ["strangers"]},
}


@pytest.fixture
def provider() -> Iterator[str]:
    mock = pytest.importorskip("oidc_provider_mock")
    people = [mock.User(sub=sub, claims=claims) for sub, claims in PEOPLE.items()]
    with mock.run_server_in_thread(user_claims=people) as server:
        yield f"http://localhost:{server.server_port}"


@pytest.fixture
def server(provider: str, tmp_path: Path) -> Iterator[str]:
    """An app with login, and a project with one selection."""
    with Project.open(prepared_project(tmp_path / "projects" / "topics.duckdb")) as project:
        select_and_save(project, SelectionRule(threshold=0.99, budget=7), "seven")
    settings = tmp_path / ".streamlit"
    settings.mkdir()
    (settings / "roles.toml").write_text(ROLES)
    (settings / "secrets.toml").write_text(
        f"""
        [auth]
        redirect_uri = "http://127.0.0.1:{{port}}/oauth2callback"
        cookie_secret = "only for this test, and long enough"
        client_id = "deita"
        client_secret = "secret"
        server_metadata_url = "{provider}/.well-known/openid-configuration"
        """
    )
    with served("deita_core", "app", port="--port", folder=tmp_path) as address:
        yield address


def logged_in(running: Any, server: str, sub: str) -> Any:
    """A browser of its own in which that person has logged in."""
    page = running.new_context(base_url=server).new_page()
    page.set_default_timeout(30_000)
    page.goto("/select?project=topics")
    page.get_by_role("button", name="Log in").click()
    page.get_by_placeholder("sub").fill(sub)
    page.get_by_role("button", name="Authorize").click()
    page.wait_for_url(f"{server}/**")
    return page


def on_select(page: Any, said: str) -> None:
    page.get_by_text(said).wait_for()
    page.goto("/select?project=topics&view=saved")
    page.get_by_text("seven", exact=True).wait_for()


def test_people_log_in_and_may_do_what_their_role_says(
    running: Any, server: str, tmp_path: Path
) -> None:
    vera = logged_in(running, server, "vera")
    on_select(vera, "Vera · viewer")
    eve = logged_in(running, server, "eve")
    eve.get_by_text(re.compile("has no role here")).wait_for()
    cora = logged_in(running, server, "cora")
    on_select(cora, "Cora · curator")
    cora.get_by_role("button", name="Manage").click()
    cora.get_by_role("menuitem", name="History").click()
    cora.get_by_role("dialog").get_by_text("Download as CSV").wait_for()
    cora.keyboard.press("Escape")
    cora.get_by_role("dialog").wait_for(state="detached")
    cora.get_by_role("button", name="Duplicate", exact=True).first.click()
    cora.get_by_text("seven (copy)", exact=True).wait_for()
    vera.get_by_text("7 of 60 selected").first.wait_for()
    for name in ("Save this selection", "Duplicate", "Delete", "New"):
        assert vera.get_by_role("button", name=name, exact=True).count() == 0

    roles = tmp_path / ".streamlit" / "roles.toml"
    roles.write_text(ROLES.replace('"curator"', '"viewer"'))
    cora.get_by_role("button", name="Duplicate", exact=True).first.click()
    cora.get_by_text("is a viewer and cannot save a selection").wait_for()
    vera.get_by_role("button", name="Log out").click()
    vera.get_by_role("button", name="End session").click()
    vera.get_by_role("button", name="Log in").wait_for()
    for page in (vera, eve, cora):
        assert page.locator('[data-testid="stException"]').count() == 0
        page.context.close()
