"""The Score page in a real Chromium: a folder's model from pilot to comparison."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.builders import prepared_project
from tests.tiny_models import tiny_model

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

ROWS, PILOT = 500, 200


@pytest.fixture(scope="module")
def page(running: Any, app_address: str, app_folder: Path) -> Iterator[Any]:
    """What a model is run from, on a project of 500 rows."""
    path = app_folder / "projects" / "score-page.duckdb"
    prepared_project(path, rows=ROWS)
    view = running.new_page(viewport={"width": 1400, "height": 1000}, base_url=app_address)
    view.set_default_timeout(90_000)
    view.goto("/score?project=score-page&part=run")
    view.locator(".st-key-model_complexity").wait_for()
    yield view
    view.close()


def choose(page: Any, dimension: str, label: str) -> None:
    page.locator(f".st-key-model_{dimension} input").first.click()
    page.get_by_role("option", name=label, exact=True).click()


def name_the_folder(page: Any, folder: str) -> None:
    box = page.locator(".st-key-name_complexity input").first
    box.fill(folder)
    box.press("Enter")


def main(page: Any) -> Any:
    """The page without its side column."""
    return page.get_by_test_id("stMain")


def show(page: Any, part: str) -> None:
    page.get_by_role("radio", name=part).or_(page.get_by_role("button", name=part)).first.click()


def test_a_wrong_folder_is_an_error_and_a_right_one_fits(page: Any, app_folder: Path) -> None:
    choose(page, "complexity", "Language model: folder or hub name")
    name_the_folder(page, "/no/such/folder")
    page.get_by_text("there is no folder /no/such/folder").wait_for()
    shutil.copytree(tiny_model("llama"), app_folder / "data" / "models" / "tiny")
    name_the_folder(page, "tiny")
    page.get_by_text(re.compile("4.2 million parameters, reads 512 tokens")).wait_for()
    choose(page, "quality", "Leave as it is")


def test_the_pilot_says_what_the_rest_takes(page: Any) -> None:
    page.get_by_role("button", name=f"Try on {PILOT} rows first").click()
    run = page.get_by_role("button", name=f"Run on the remaining {ROWS - PILOT} conversations")
    run.wait_for()
    page.get_by_text(re.compile("of the probability is on the digits 1 to 6")).first.wait_for()
    page.get_by_text("lowest and highest so far").wait_for()


def test_the_run_is_cancelled_and_resumed(page: Any) -> None:
    run = page.get_by_role("button", name="Run on the remaining")
    run.and_(page.locator(":enabled")).click()
    # The pilot's button may stand there a moment longer than the pilot.
    main(page).get_by_text(re.compile(r"^Score complexity by llm")).wait_for()
    main(page).get_by_role("button", name="Cancel").click()
    main(page).get_by_text(re.compile(r"complexity by llm.* cancelled after")).wait_for()
    main(page).get_by_role("button", name="Go on").click()
    page.get_by_text("All rows are done by this choice").wait_for()


def test_it_is_compared_with_the_light_scorer(page: Any) -> None:
    choose(page, "complexity", "Light")
    page.get_by_role("button", name=f"Run on all {ROWS}").click()
    page.get_by_text("by deita-studio/light-complexity and tests/quality").wait_for()
    main(page).get_by_role("button", name="Cancel").wait_for(state="detached")
    show(page, "Agreement")
    page.get_by_text(re.compile(r"Spearman .* over the 600 turns that both scored")).wait_for()
    page.get_by_text("Rows on which they differ most").wait_for()
    first = page.get_by_role("combobox", name=re.compile("First scorer"))
    assert first.count() == 1
    show(page, "Models")
    page.get_by_text("Used for selection").wait_for()
    assert page.get_by_test_id("stException").count() == 0
