"""The Select page in a real Chromium: what a hand does, and what stays in place meanwhile."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import TimeoutError as NotYetError

from tests.browser import settled
from tests.builders import prepared_project, with_graph

pytestmark = [pytest.mark.browser, pytest.mark.timeout(300)]

MAP = '[data-testid="deita-map"]'


@pytest.fixture(scope="module")
def page(running: Any, app_address: str, app_folder: Path) -> Iterator[Any]:
    """The Select page of a project of 400 rows with a similarity graph."""
    path = app_folder / "projects" / "select-page.duckdb"
    with_graph(prepared_project(path, rows=400))
    view = running.new_page(viewport={"width": 1400, "height": 1000}, base_url=app_address)
    view.set_default_timeout(60_000)
    view.goto("/select?project=select-page&budget=100")
    view.wait_for_selector(f'{MAP}[data-ready="1"]')
    yield view
    view.close()


def mark_of_the_threshold(page: Any) -> str:
    """What the distribution behind the slider says at the threshold."""
    return str(page.get_by_text("of rows have a nearer one").first.text_content())


def sentence(page: Any) -> str:
    return str(page.locator("h4").first.inner_text())


def step_the_threshold(page: Any, key: str, steps: int, says: str) -> None:
    slider = page.get_by_role("slider", name="Threshold")
    slider.focus()
    for _ in range(steps):
        slider.press(key)
    page.get_by_text(re.compile(rf"selected at similarity {says}")).wait_for()
    page.wait_for_selector(f'{MAP}[data-ready="1"]')


def draw_a_lasso(page: Any) -> None:
    box = page.locator(".deita-map-plot").bounding_box()
    x, y, w, h = box["x"], box["y"], box["width"], box["height"]
    page.mouse.move(x + 0.3 * w, y + 0.3 * h)
    page.mouse.down()
    for fx, fy in ((0.7, 0.3), (0.7, 0.7), (0.3, 0.7), (0.3, 0.35)):
        page.mouse.move(x + fx * w, y + fy * h, steps=6)
    page.mouse.up()
    page.wait_for_selector(f'{MAP}[data-selected="polygon"]')
    page.get_by_text("Only rows inside your outline").wait_for()


def test_zoom_and_lasso_stay_while_the_threshold_moves(page: Any) -> None:
    page.get_by_role("button", name="Zoom in").click()
    draw_a_lasso(page)
    before, said = page.get_attribute(MAP, "data-view"), sentence(page)
    step_the_threshold(page, "ArrowLeft", 10, r"0\.70")
    assert sentence(page) != said
    assert page.get_attribute(MAP, "data-view") == before
    assert page.get_attribute(MAP, "data-selected") == "polygon"
    assert page.get_by_text("Only rows inside your outline").is_visible()


def test_alt_z_takes_a_step_of_the_threshold_back(page: Any) -> None:
    step_the_threshold(page, "ArrowLeft", 1, r"0\.69")
    page.locator("h4").first.click()
    page.keyboard.press("Alt+z")
    page.get_by_text(re.compile(r"selected at similarity 0\.70")).wait_for()
    page.get_by_role("button", name="Clear selection").click()
    page.wait_for_selector(f'{MAP}[data-selected=""]')


def test_a_row_on_the_map_can_be_pinned_and_that_undone(page: Any) -> None:
    page.get_by_role("button", name="Whole map").click()
    box = page.locator(".deita-map-plot").bounding_box()
    tip = page.locator(".deita-map-tip")
    for part in range(2, 40):  # until the pointer is on a row
        page.mouse.move(box["x"] + box["width"] * part / 40, box["y"] + box["height"] * 0.5)
        if tip.is_visible():
            break
    page.mouse.down()
    page.mouse.up()
    page.get_by_text("What would change that:").wait_for()
    page.get_by_role("button", name="Pin", exact=True).click()
    page.get_by_text(re.compile("1 of them is pinned")).first.wait_for()
    page.get_by_role("button", name="Undo").click()
    page.get_by_text(re.compile("1 of them is pinned")).wait_for(state="detached")


def test_a_click_on_the_frontier_moves_the_threshold(page: Any) -> None:
    page.get_by_role("radio", name="Frontier").click()
    page.get_by_text("Click into a chart to move the threshold there.").wait_for()
    page.get_by_text("Rank reached").wait_for()
    chart = page.locator('[data-testid="deita-charts"] svg.pick').last
    moved = page.get_by_text(re.compile(r"selected at similarity 0\.[56]"))
    # The chart is drawn anew while the page settles, and a click meanwhile is lost or goes astray.
    settled(page)
    page.get_by_test_id("deita-charts").last.scroll_into_view_if_needed()
    for _ in range(5):
        box = chart.bounding_box() or {"width": 0, "height": 0}
        chart.click(position={"x": box["width"] * 0.6, "y": box["height"] * 0.5})
        with contextlib.suppress(NotYetError):
            moved.wait_for(timeout=5_000)
            break
    moved.wait_for()
    page.get_by_role("button", name="Undo").click()
    page.get_by_text(re.compile(r"selected at similarity 0\.70")).first.wait_for()


def test_the_address_shows_the_same_again(page: Any) -> None:
    step_the_threshold(page, "ArrowRight", 5, r"0\.75")
    said, marked = sentence(page), mark_of_the_threshold(page)
    page.goto(page.url)
    page.wait_for_selector(f'{MAP}[data-ready="1"]')
    page.get_by_text(re.compile(r"selected at similarity 0\.75")).first.wait_for()
    assert sentence(page) == said
    assert mark_of_the_threshold(page) == marked
    assert page.get_by_text("Click into a chart to move the threshold there.").is_visible()


# True once the page needs no scrolling, and the conversation ends near the window's end.
FITS = """(reader) => {
  const main = document.querySelector('[data-testid="stMain"]');
  const left = innerHeight - document.querySelector(reader).getBoundingClientRect().bottom;
  return main.scrollHeight <= main.clientHeight && left > 0 && left < 80;
}"""


@pytest.mark.parametrize(
    ("name", "reader"),
    [("select", ".st-key-select_reader"), ("explore", ".st-key-explore_rows_reader")],
)
def test_map_list_and_conversation_end_where_the_window_does(
    page: Any, name: str, reader: str
) -> None:
    page.goto(f"/{name}?project=select-page")
    page.wait_for_selector(f'{MAP}[data-ready="1"]')
    page.wait_for_selector(reader)
    for width, height in ((1280, 1000), (1400, 1000), (1920, 1000), (1400, 1200)):
        page.set_viewport_size({"width": width, "height": height})
        page.wait_for_function(FITS, arg=reader)
