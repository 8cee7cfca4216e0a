"""The card of the Review page in a real Chromium: rows by key, a reload in the middle."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from deita_core.project import Project
from deita_core.project.queues import make_queue
from tests.builders import imported_project

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

ROWS = 30
HOSTILE = '<img src=x onerror="document.title=1"><b>bold</b> ```js\nalert(1)\n```'
CARD = ".deita-card"


@pytest.fixture
def page(running: Any, app_address: str, app_folder: Path) -> Iterator[Any]:
    pool = [{"instruction": f"Question {n}?", "output": HOSTILE} for n in range(ROWS)]
    path = app_folder / "projects" / "review-card.duckdb"
    path.parent.mkdir(exist_ok=True)
    imported_project(path, "\n".join(map(json.dumps, pool)))
    with Project.open(path) as project:
        make_queue(project, "First", list(range(ROWS)), guidelines="Keep **what teaches**.")
    context = running.new_context(viewport={"width": 1400, "height": 1000}, base_url=app_address)
    view = context.new_page()
    view.set_default_timeout(60_000)
    view.goto("/review?project=review-card&queue=1")
    name = view.get_by_label("Your name, under which your decisions count")
    name.fill("Ada")
    name.press("Enter")
    yield view
    context.close()


def shows(page: Any, row: int | str) -> None:
    page.locator(f'{CARD}[data-row="{row}"]').wait_for()


def everything_is_kept(page: Any) -> None:
    page.locator(f'{CARD} .deita-card-kept[data-waiting="0"]').wait_for()


def said_by_key(page: Any, first: int, last: int) -> None:
    for row in range(first, last):
        shows(page, row)
        page.keyboard.press("kdu"[row % 3])


def test_twenty_rows_by_key_with_a_reload_lose_and_double_nothing(
    page: Any, app_folder: Path, tmp_path: Path
) -> None:
    said_by_key(page, 0, 8)
    page.reload()  # some of the last ones are not sent yet
    shows(page, 8)
    page.keyboard.press("b")
    shows(page, 7)
    page.keyboard.press("l")
    shows(page, 8)
    page.keyboard.press("z")  # what was decided before the reload can be taken back
    said_by_key(page, 7, 20)
    shows(page, 20)
    assert page.locator(f"{CARD} :is(img, b b)").count() == 0
    assert HOSTILE.split("```")[0].strip() in page.locator(".deita-card-turns").inner_text()
    everything_is_kept(page)

    page.keyboard.press("b")  # what was decided last, and what it is by now
    shows(page, 19)
    page.get_by_role("button", name="Keep K").click()
    shows(page, 20)
    page.keyboard.press("z")
    shows(page, 19)
    page.keyboard.press("l")
    shows(page, 20)
    page.keyboard.press("l")  # put off
    shows(page, 21)

    page.keyboard.press("e")
    page.locator(f"{CARD} textarea").last.fill("Better.")
    page.keyboard.press("k")  # typed, not decided
    page.keyboard.press("Control+Enter")
    page.get_by_text("corrected, version 1").wait_for()
    assert page.locator(f"{CARD} ins").inner_text() == "Better.k"
    everything_is_kept(page)

    lines = ledger(app_folder, tmp_path)
    said = [(row, ("keep", "drop", "unsure")[row % 3]) for row in range(20)]
    again = [(7, "withdraw"), (7, "drop")]
    assert lines == [*said[:8], *again, *said[8:], (19, "keep"), (19, "drop"), (21, "edit")]


def ledger(app_folder: Path, folder: Path) -> list[tuple[int, str]]:
    """Row and kind of every line, read off a copy, because the app has the project open."""
    for file in (app_folder / "projects").glob("review-card.duckdb*"):
        if file.is_file():
            shutil.copyfile(file, folder / file.name)
    with Project.open(folder / "review-card.duckdb") as project:
        return project.rows("SELECT row, kind FROM decisions ORDER BY number")
