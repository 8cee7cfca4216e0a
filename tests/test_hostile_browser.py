"""Text that tries to be more, in every place of every page, in a real Chromium."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import duckdb
import pytest
from playwright.sync_api import Error

from deita_core.conversation import Conversation, Message, without_surrogates
from deita_core.people import Person
from deita_core.selection.rule import Condition, Quota, SelectionRule
from tests.browser import settled
from tests.builders import prepared_project, with_graph
from tests.hostile.texts import CANARY, HTML, every_text

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

# One text that tries each way, for names, notes, reasons, errors and what is typed.
TRAP = (
    f"![p]({CANARY}/a.png) <img src={CANARY}/b.png onerror=window.__hit=1> "
    f":red[x] $y^2$ [l]({CANARY}) {CANARY}/c www.canary.invalid a@canary.invalid"
)
# What the page would have made of it. Links in a conversation's text and marks of hits are meant.
MADE_OF_TEXT = """() => {
  const main = document.querySelector('[data-testid="stApp"]');
  const found = [...main.querySelectorAll(
    'img[src*="canary"], img[src="x"], iframe, form[action], base, .katex, script, '
    + '.stMarkdownColoredText:not(.stMarkdownColoredBackground *), [onerror], [onload], .mermaid')];
  found.push(...[...main.querySelectorAll('a[href]')].filter((link) =>
    link.closest('[data-testid="stChatMessage"]')
      ? !link.getAttribute('href').startsWith('#')
        && !(/^(https?|mailto):/.test(link.href) && link.target === '_blank')
      : link.origin !== location.origin));
  return [...new Set(found)].map((one) => one.outerHTML.slice(0, 300));
}"""


@pytest.fixture(scope="module")
def page(running: Any, app_address: str, app_folder: Path) -> Iterator[Any]:
    """A page that notes requests to others and dialogs, on a project full of traps."""
    folder = app_folder / "projects"
    path = with_graph(prepared_project(folder / "hostile.duckdb", rows=60))
    exported = folder / "hostile.exports" / "out.json"
    exported.parent.mkdir()
    exported.write_text("[]")
    with contextlib.closing(duckdb.connect(str(path))) as database:
        set_traps(database, exported)
    view = running.new_page(viewport={"width": 1400, "height": 1000}, base_url=app_address)
    view.set_default_timeout(60_000)
    view.outside, view.dialogs = [], []
    ours = (app_address, app_address.replace("http", "ws"), "data:", "blob:")
    view.context.on(
        "request", lambda r: None if r.url.startswith(ours) else view.outside.append(r.url)
    )
    view.on("dialog", lambda d: (view.dialogs.append(d.message), d.dismiss()))
    yield view
    view.close()


def set_traps(database: Any, exported: Path) -> None:
    """The trap in every column that holds text; all texts as messages of rows 0 and 5."""
    texts = [without_surrogates(text[:2000]) for text in every_text().values()]
    said = [Message("system", TRAP), Message("user", TRAP)]
    said += [Message("assistant", text) for text in texts] + [Message("tool", TRAP)]
    messages = Conversation(tuple(said)).to_json()
    rule = SelectionRule(
        sources=(TRAP,),
        languages=(TRAP,),
        conditions=(Condition("turns", low=1),),
        quotas=(Quota("source", TRAP, most=9),),
    )
    person = Person(name=TRAP).model_dump_json()
    columns = "job, kind, state, made, finished, person, parameters, progress, error, error_code"
    job = f"INSERT INTO jobs ({columns}) VALUES"
    for statement, *given in (
        ("UPDATE meta SET value = ? WHERE key = 'name'", TRAP),
        ("UPDATE sources SET name = ?, explanation = ?", TRAP, TRAP),
        ("UPDATE conversations SET notes = [?], preview = ?, language = ?", TRAP, TRAP, TRAP),
        ("UPDATE conversations SET messages = ?, original = ? WHERE row IN (0, 5)", messages, TRAP),
        ("UPDATE rejects SET reason = ?, raw = ?", TRAP, "".join(HTML.values())),
        ("UPDATE models SET id = 'llm:' || ? || role, revision = ?", TRAP, TRAP),
        ("UPDATE scores SET reason = ? WHERE reason IS NOT NULL", TRAP),
        (
            "INSERT INTO selections VALUES (1, ?, ?, ?, ?, ?, now()::TIMESTAMP, true)",
            TRAP, rule.to_json(), TRAP, TRAP, TRAP,
        ),
        ("INSERT INTO selection_rows VALUES (1, 1, 2, 3.0)",),
        (
            "INSERT INTO decisions VALUES (1, 1, now()::TIMESTAMP, $1, 's', $1, 3, 0, 'pin', "
            "'pin', '', $1, NULL, NULL, '')",
            TRAP,
        ),
        ("UPDATE log SET who = ?, action = ?, what = ?", TRAP, TRAP, json.dumps({"name": TRAP})),
        (
            f"{job} (1, 'export', 'done', now()::TIMESTAMP, now()::TIMESTAMP, ?, ?, ?, NULL, NULL)",
            person, json.dumps({"out": str(exported), "selection": TRAP}),
            json.dumps({"result": [TRAP]}),
        ),
        (
            f"{job} (2, 'score', 'failed', now()::TIMESTAMP, now()::TIMESTAMP, ?, ?, '{{}}', ?, "
            "'ModelError')",
            person, json.dumps({"complexity": f"llm:{TRAP}"}), TRAP,
        ),
    ):  # fmt: skip
        database.execute(statement, list(given))


def go(page: Any, name: str, **address: str) -> None:
    at = "" if name == "pool" else name  # the first page has no address of its own
    page.goto(f"/{at}?{urlencode({'project': 'hostile', **address})}")
    page.get_by_role("heading", name=name.capitalize(), exact=True).wait_for()
    looked_at(page)


def looked_at(page: Any) -> None:
    """The page as it stands has made nothing of the texts."""
    settled(page)
    assert page.locator('[data-testid="stException"]').all_inner_texts() == []
    assert page.evaluate(MADE_OF_TEXT) == []
    assert page.evaluate("window.__hit") is None
    assert (page.outside, page.dialogs) == ([], [])


def open_the_first_row(page: Any) -> None:
    """Choose the first line of the page's list, which shows its conversation."""
    for _ in range(5):  # a click is lost while the list is drawn anew
        with contextlib.suppress(Error):
            page.locator(".deita-list-line").first.click(timeout=20_000)
            page.get_by_role("radio", name="Plain").first.wait_for(timeout=20_000)
            return
    raise AssertionError("the row did not open")


def search(page: Any) -> None:
    page.get_by_label("Search in the text").last.fill(TRAP)
    page.get_by_label("Search in the text").last.press("Enter")
    page.get_by_text("contain “").first.wait_for()
    looked_at(page)


def test_the_pool_page_shows_traps_as_text(page: Any) -> None:
    go(page, "pool")
    for tab in ("Flags", "Rejected", "Duplicates"):
        page.get_by_role("tab", name=tab).click()
        looked_at(page)


def test_history_and_dialogs_show_traps_as_text(page: Any) -> None:
    for entry in ("History", "Delete"):
        go(page, "pool")
        page.get_by_test_id("stSidebar").get_by_role("button", name="Manage").click()
        page.get_by_role("menuitem", name=entry).click()
        page.get_by_role("dialog").wait_for()
        looked_at(page)


def test_the_score_page_shows_traps_as_text(page: Any) -> None:
    go(page, "score", part="scores")
    for part in ("Run a model", "Models", "Agreement", "Import and export"):
        page.get_by_role("radio", name=part).click()
        looked_at(page)


def test_a_conversation_shows_traps_in_all_three_views(page: Any) -> None:
    go(page, "explore", colour="file")
    open_the_first_row(page)
    looked_at(page)
    for view in ("Plain", "Original record"):
        page.get_by_role("radio", name=view).click()
        looked_at(page)
    search(page)


def test_the_select_page_shows_traps_as_text(page: Any) -> None:
    quota = f"source {TRAP}: at most 9"
    go(page, "select", file=TRAP, language=TRAP, quota=quota, budget="20")
    open_the_first_row(page)
    looked_at(page)
    search(page)
    for view in ("Histograms", "Beside random", "Last change", "By hand", "Saved"):
        page.get_by_role("radio", name=view).click()
        looked_at(page)


def test_the_export_page_shows_traps_as_text(page: Any) -> None:
    go(page, "export")
    page.get_by_label("File name").fill(TRAP)
    page.get_by_label("File name").press("Enter")
    page.get_by_text("cannot be the name of the file").wait_for()
    looked_at(page)


def test_an_address_full_of_traps_is_told_as_text(page: Any) -> None:
    go(page, "select", view=TRAP, where=TRAP, turns=TRAP, strategy=TRAP)
    page.goto(f"/?{urlencode({'project': TRAP})}")
    page.get_by_text(re.compile("There is no project")).wait_for()
    looked_at(page)
