"""The mapping editor of the Pool page in a real Chromium: fields under names that nobody knows."""

from __future__ import annotations

import contextlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import TimeoutError, expect

from tests.test_browser import settled, wait_for_jobs

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]


def choose(page: Any, box: str, option: str) -> None:
    """Take an option of a select box, or name a field that is not in its list."""
    field = page.get_by_role("combobox", name=re.compile(box))
    for _ in range(5):  # a rerun of the page may close the list
        field.click()
        field.fill(option)
        with contextlib.suppress(TimeoutError, AssertionError):
            page.get_by_role("option", name=re.compile(option)).first.wait_for(timeout=5_000)
            field.press("Enter")
            expect(field).to_have_value(option, timeout=5_000)
            return
        page.keyboard.press("Escape")
    raise AssertionError(f"{option} could not be chosen for {box}")


def test_fields_of_unknown_names_are_mapped_and_imported(
    running: Any, app_address: str, tmp_path: Path
) -> None:
    rows = [{"frage": f"Was ist Brot Nummer {n}?", "antwort": f"Laib {n}."} for n in range(12)]
    file = tmp_path / "fragen.json"
    file.write_text(json.dumps(rows), encoding="utf-8")
    page = running.new_page(viewport={"width": 1400, "height": 1000}, base_url=app_address)
    page.set_default_timeout(30_000)
    page.goto("/")
    page.get_by_role("heading", name="Pool", exact=True).wait_for()
    wait_for_jobs(page)  # of the sample project, where this is the first page that is opened
    page.get_by_role("button", name="New").click()
    page.get_by_role("textbox", name="Name").fill("Mapped")
    page.get_by_role("textbox", name="Name").press("Enter")
    page.get_by_role("button", name="Create").click()
    page.get_by_text("A pool is the set of conversations").wait_for()
    page.locator('input[type="file"]').set_input_files(str(file))
    page.get_by_text(re.compile("fragen.json")).first.wait_for()
    settled(page)
    page.get_by_text("Column mapping: say yourself").click()
    settled(page)
    choose(page, "^Layout", "Alpaca")
    choose(page, "^instruction", "frage")
    choose(page, "^output", "antwort")
    page.get_by_role("button", name=re.compile("Import 1 file")).click()
    expect(page.get_by_text("12 rows read = 12 imported")).to_be_visible(timeout=60_000)
    page.close()
