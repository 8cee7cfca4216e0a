"""The whole journey in a real Chromium: from a file to an exported selection."""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Error, TimeoutError, expect

from deita_core.formats.read import read
from deita_core.formats.read.layout import PoolRow
from tests.browser import MAP_READY, served, settled

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

POOL_FILE = Path(__file__).parents[1] / "sample" / "languages.jsonl"


@pytest.fixture(scope="module")
def app_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder without any project."""
    return tmp_path_factory.mktemp("first-start")


@pytest.fixture(scope="module")
def app_address(app_folder: Path) -> Iterator[str]:
    """An app of its own, for its first start."""
    with served("deita_core", "app", port="--port", folder=app_folder) as address:
        yield address


@pytest.fixture(scope="module")
def page(running: Any, app_address: str) -> Iterator[Any]:
    """A page on the app, which starts without any project; records what goes wrong in it."""
    view = running.new_page(
        viewport={"width": 1400, "height": 1000}, base_url=app_address, accept_downloads=True
    )
    view.set_default_timeout(60_000)
    view.outside = []
    view.on(
        "request",
        lambda r: (
            None
            if r.url.startswith((app_address, "data:", "blob:", "ws"))
            else view.outside.append(r.url)
        ),
    )
    yield view
    view.close()


def go(page: Any, name: str) -> None:
    page.get_by_role("link", name=re.compile(f"^{name}")).first.click()
    page.get_by_role("heading", name=name, exact=True).wait_for()
    settled(page)
    assert page.locator('[data-testid="stException"]').count() == 0


def new_project(page: Any, name: str) -> None:
    """Make a project, which is empty and open then."""
    page.get_by_role("button", name="New").click()
    page.get_by_role("textbox", name="Name").fill(name)
    page.get_by_role("textbox", name="Name").press("Enter")
    page.get_by_role("button", name="Create").click()
    page.get_by_text(f"Created “{name}”").wait_for()
    settled(page)


def choose(page: Any, box: str, option: str) -> None:
    """Take an option of a select box, or name a field that is not in its list."""
    field = page.get_by_role("combobox", name=re.compile(box))
    for _ in range(5):  # a rerun of the page may close the list
        field.click()
        field.fill(option)
        with contextlib.suppress(TimeoutError, AssertionError):
            page.get_by_role("option", name=re.compile(option)).first.click(timeout=5_000)
            field.blur()  # what is only typed is gone then
            settled(page)
            expect(field).to_have_value(option, timeout=5_000)
            return
        page.keyboard.press("Escape")
    raise AssertionError(f"{option} could not be chosen for {box}")


def wait_for_jobs(page: Any) -> None:
    """Until no job is left in the side column."""
    page.wait_for_function(
        '!document.querySelector(\'[data-testid="stSidebar"] [data-testid="stProgress"]\')'
        " && !document.querySelector('[data-testid=\"stSidebar\"]').innerText.includes('waiting')",
        timeout=400_000,
    )
    settled(page)


def test_the_first_start_prepares_the_sample_project(page: Any) -> None:
    page.goto("/")
    page.get_by_role("heading", name="Pool", exact=True).wait_for()
    page.locator('[data-testid="stSidebar"] [data-testid="stProgress"]').first.wait_for()
    wait_for_jobs(page)
    assert page.get_by_text(re.compile(r"rows read = .* imported")).count() >= 1
    go(page, "Explore")
    page.wait_for_selector(MAP_READY)
    assert int(page.get_attribute('[data-testid="deita-map"]', "data-points")) > 1000


def test_a_project_is_made_and_a_pool_loaded(page: Any) -> None:
    new_project(page, "Journey")
    go(page, "Pool")
    page.get_by_text("A pool is the set of conversations").wait_for()
    page.locator('input[type="file"]').set_input_files(str(POOL_FILE))
    page.get_by_text(re.compile("in the layout")).first.wait_for()
    page.get_by_role("button", name=re.compile("Import 1 file and prepare")).click()
    page.locator('[data-testid="stSidebar"] [data-testid="stProgress"]').first.wait_for()
    wait_for_jobs(page)
    go(page, "Pool")
    rows = list(read(POOL_FILE))
    assert page.get_by_text(f"{len(rows):,} rows read").count() >= 1


def test_scores_are_shown(page: Any) -> None:
    go(page, "Score")
    page.get_by_text("conversations have an evol score").wait_for()
    assert page.get_by_text("light-complexity").count() >= 1


def test_a_lasso_on_the_map_leads_to_rows(page: Any) -> None:
    go(page, "Explore")
    page.wait_for_selector(MAP_READY)
    box = page.locator(".deita-map-plot").bounding_box()
    x, y, w, h = box["x"], box["y"], box["width"], box["height"]
    page.mouse.move(x + 0.2 * w, y + 0.2 * h)
    page.mouse.down()
    for fx, fy in ((0.8, 0.2), (0.8, 0.8), (0.2, 0.8), (0.2, 0.25)):
        page.mouse.move(x + fx * w, y + fy * h, steps=8)
    page.mouse.up()
    page.get_by_text("conversations are inside your outline").wait_for()


def test_the_arrow_keys_walk_the_list_and_the_conversation_follows(page: Any) -> None:
    lines = page.locator(".deita-list-line")
    lines.first.click()
    second = lines.nth(1).locator("small").inner_text().split(" · ")[0]
    page.keyboard.press("ArrowDown")
    page.get_by_text(second.replace("row", "Row").replace(",", ""), exact=True).wait_for()
    expect(lines.nth(1)).to_have_attribute("aria-selected", "true")
    page.keyboard.press("End")
    expect(lines.last).to_have_attribute("aria-selected", "true")


def test_the_threshold_changes_the_sentence(page: Any) -> None:
    go(page, "Select")
    page.wait_for_selector(MAP_READY)
    before = page.locator("h4").first.inner_text()
    slider = page.get_by_role("slider").first
    slider.focus()
    for _ in range(20):
        slider.press("ArrowLeft")
    page.get_by_text(re.compile(r"selected at similarity 0\.60 \(distance 0\.40\)")).wait_for()
    assert page.locator("h4").first.inner_text() != before
    assert "threshold=0.6" in page.url


def test_a_row_that_is_out_says_why(page: Any) -> None:
    page.get_by_text(re.compile(r"^near-duplicate · ")).first.click()
    settled(page)
    reason = page.get_by_text(re.compile(r"near-duplicate of row \d", re.IGNORECASE)).first
    for _ in range(5):  # a click is lost while the list is drawn anew
        page.locator(".deita-list-line").first.click()
        with contextlib.suppress(Error):
            reason.wait_for(timeout=8_000)
            break
    reason.wait_for()


def test_a_selection_is_saved_and_exported(page: Any, app_folder: Path, tmp_path: Path) -> None:
    page.get_by_role("spinbutton", name="Budget").fill("100")
    page.get_by_role("spinbutton", name="Budget").press("Enter")
    page.get_by_text(re.compile(r"^100 of ")).first.wait_for()
    settled(page)
    page.get_by_role("button", name="Save this selection").click()
    page.get_by_role("textbox", name="Name").fill("hundred")
    page.get_by_role("textbox", name="Name").press("Enter")
    page.get_by_role("button", name="Save", exact=True).click()
    page.get_by_text("Saved “hundred”").first.wait_for()
    go(page, "Export")
    page.get_by_role("button", name="Export 100 conversations").click()
    page.get_by_role("button", name="Data", exact=False).first.wait_for(timeout=120_000)
    with page.expect_download() as download:
        page.get_by_role("button", name="Data", exact=False).first.click()
    out = tmp_path / "downloaded.json"
    download.value.save_as(out)
    exported = [row.conversation.id for row in read(out) if isinstance(row, PoolRow)]
    pool = {row.conversation.id for row in read(POOL_FILE) if isinstance(row, PoolRow)}
    assert len(exported) == 100
    assert set(exported) <= pool
    manifest = json.loads(next(app_folder.rglob("hundred.json.manifest.json")).read_text())
    assert manifest["output"]["ids"] == exported


def test_everything_is_there_after_a_reload(page: Any) -> None:
    page.reload()
    page.get_by_role("heading", name="Export", exact=True).wait_for()
    settled(page)
    assert page.get_by_text("“hundred”").count() >= 1


@pytest.mark.parametrize(
    ("key", "title"), [("sample", "Sample project"), ("journey", "Journey"), ("gone", None)]
)
def test_a_link_opens_its_project_in_a_new_session(page: Any, key: str, title: str | None) -> None:
    page.goto(f"/select?project={key}")
    side = page.locator('[data-testid="stSidebar"]')
    if title is None:
        side.get_by_text("There is no project “gone” here").wait_for()
    else:
        page.get_by_role("heading", name="Select", exact=True).wait_for()
        expect(side.locator('[data-testid="stSelectbox"] input')).to_have_value(title)
    assert f"project={key}" in page.url


def test_fields_of_unknown_names_are_mapped_and_imported(page: Any, tmp_path: Path) -> None:
    rows = [{"frage": f"Was ist Brot Nummer {n}?", "antwort": f"Laib {n}."} for n in range(12)]
    file = tmp_path / "fragen.json"
    file.write_text(json.dumps(rows), encoding="utf-8")
    page.goto("/")
    page.get_by_role("heading", level=1).wait_for()
    settled(page)
    new_project(page, "Mapped")
    go(page, "Pool")
    page.locator('input[type="file"]').set_input_files(str(file))
    page.get_by_text("fragen.json is in no layout that is known").wait_for()
    settled(page)
    page.get_by_text("Column mapping: say yourself").click()
    settled(page)
    choose(page, "^Layout", "Alpaca")
    settled(page)
    choose(page, "^instruction", "frage")
    choose(page, "^output", "antwort")
    page.get_by_role("button", name=re.compile("Import 1 file")).click()
    expect(page.get_by_text("12 rows read = 12 imported")).to_be_visible(timeout=60_000)


def test_the_browser_never_asked_the_network(page: Any) -> None:
    assert page.outside == []
