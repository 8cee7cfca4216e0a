"""One afternoon of two people in two browsers at once, from a file to an export with decisions.

The tests follow each other: load, find, review together, settle, calibrate, compare, export.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import psutil
import pytest
from playwright.sync_api import expect

from deita_core.project import Project
from deita_core.project.folder import create_project
from tests.browser import MAP_READY, app_on, settled

pytestmark = [pytest.mark.browser, pytest.mark.timeout(600)]

POOL_FILE = Path(__file__).parents[1] / "sample" / "languages.jsonl"
ROWS = 165
CARD = ".deita-card"
ROW_SHOWN = f"{CARD}[data-row]:not([data-row=''])"
# The view that goes to review, so that each of two people answers 20 of its rows.
IN_QUEUE, EACH = 24, 20
PROJECT = "afternoon"
Answer = tuple[str, int, int]


class Afternoon:
    """The server, which can be killed and comes back, and a browser session for each person."""

    def __init__(self, running: Any, folder: Path) -> None:
        self._running = running
        self._open = ExitStack()
        self.projects = folder
        self.server: psutil.Popen
        self.server, self.address = self._open.enter_context(app_on(folder))
        self.people = {name: self._session() for name in ("Ada", "Grace")}

    def _session(self) -> Any:
        context = self._running.new_context(
            viewport={"width": 1400, "height": 1000}, base_url=self.address, accept_downloads=True
        )
        self._open.callback(context.close)
        view = context.new_page()
        view.set_default_timeout(60_000)
        return view

    def kill_the_server(self) -> None:
        self.server.kill()
        self.server.wait(60)

    def start_the_server(self) -> None:
        self.server, _ = self._open.enter_context(app_on(self.projects, self.address))

    def close(self) -> None:
        self._open.close()

    def look(self, sql: str, folder: Path) -> list[Any]:
        """What a question to the project answers, of a copy, because the app has it open."""
        for file in self.projects.glob(f"{PROJECT}.duckdb*"):
            if file.is_file():
                shutil.copyfile(file, folder / file.name)
        with Project.open(folder / f"{PROJECT}.duckdb") as project:
            return project.rows(sql)


@pytest.fixture(scope="module")
def afternoon(running: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Afternoon]:
    folder = tmp_path_factory.mktemp("afternoon")
    create_project(folder, "Another").close()  # or the sample would be prepared first
    made = Afternoon(running, folder)
    yield made
    made.close()


@pytest.fixture
def ada(afternoon: Afternoon) -> Any:
    return afternoon.people["Ada"]


@pytest.fixture
def grace(afternoon: Afternoon) -> Any:
    return afternoon.people["Grace"]


def looked_at(page: Any) -> None:
    """Wait until the page has stopped running; nothing broke in it."""
    settled(page)
    assert page.locator('[data-testid="stException"]').count() == 0


def open_page(page: Any, name: str, **address: str) -> None:
    asked = "&".join(f"{key}={value}" for key, value in {"project": PROJECT, **address}.items())
    page.goto(f"/{name}?{asked}")
    page.get_by_role("heading", name=name.capitalize(), exact=True).wait_for()
    looked_at(page)


def in_view(page: Any) -> int:
    """How many rows the sentence above the list counts."""
    said = page.get_by_text(re.compile(rf"^\d+ of {ROWS} conversations ")).first
    return int(said.inner_text().split()[0])


def count_becomes(page: Any, holds: Callable[[int], bool]) -> int:
    looked_at(page)
    for _ in range(100):
        if holds(found := in_view(page)):
            return found
        page.wait_for_timeout(100)
    raise AssertionError(f"{found} rows are in view")


def add_filter(page: Any, text: str) -> None:
    """Add a filter as text, as in "turns=1..1"."""
    page.get_by_role("button", name="Filter", exact=True).click()
    page.get_by_role("combobox", name="What to filter by").click()
    page.get_by_role("option", name="A filter as text", exact=True).click()
    box = page.get_by_role("textbox", name="Filter", exact=True)
    box.fill(text)
    box.press("Enter")
    looked_at(page)
    page.get_by_role("button", name="Add the filter").click()
    page.keyboard.press("Escape")
    looked_at(page)


def filter_to_meaning(page: Any, text: str, most: int) -> None:
    page.get_by_role("button", name="By meaning", exact=True).click()
    box = page.get_by_role("textbox", name="About, or like these examples")
    box.fill(text)
    box.press("Control+Enter")
    number = page.get_by_role("spinbutton", name="The closest")
    number.fill(str(most))
    number.press("Enter")
    looked_at(page)
    page.get_by_role("button", name="Rows about this").click()
    page.keyboard.press("Escape")
    looked_at(page)


def take_filter_out(page: Any) -> None:
    page.locator(".st-key-filter_chip_0 button").filter(visible=True).first.click()
    looked_at(page)


def lasso(page: Any) -> None:
    """Draw around the middle of the map."""
    box = page.locator(".deita-map-plot").bounding_box()
    x, y, w, h = box["x"], box["y"], box["width"], box["height"]
    page.mouse.move(x + 0.1 * w, y + 0.1 * h)
    page.mouse.down()
    for fx, fy in ((0.7, 0.1), (0.7, 0.9), (0.1, 0.9), (0.1, 0.15)):
        page.mouse.move(x + fx * w, y + fy * h, steps=6)
    page.mouse.up()


def test_a_pool_is_loaded_and_prepared(ada: Any) -> None:
    ada.goto("/")
    ada.get_by_role("heading", name="Pool", exact=True).wait_for()
    ada.get_by_role("button", name="New", exact=True).click()
    ada.get_by_role("textbox", name="Name").fill(PROJECT)
    ada.get_by_role("textbox", name="Name").press("Enter")
    ada.get_by_role("button", name="Create").click()
    ada.get_by_text(f"Created “{PROJECT}”").wait_for()
    looked_at(ada)
    ada.locator('input[type="file"]').set_input_files(str(POOL_FILE))
    ada.get_by_role("button", name="Import 1 file and prepare").click()
    ada.get_by_text(f"169 rows read = {ROWS} imported + 2 duplicates + 2 rejected").wait_for()
    side = ada.get_by_test_id("stSidebar")
    expect(side.get_by_text("Clusters: waiting")).to_have_count(0, timeout=300_000)
    expect(side.get_by_test_id("stProgress")).to_have_count(0, timeout=60_000)


def test_filter_lasso_cluster_and_search_by_meaning_narrow_the_view(ada: Any) -> None:
    open_page(ada, "explore")
    ada.wait_for_selector(MAP_READY)
    add_filter(ada, "turns=1..1")
    filtered = count_becomes(ada, lambda rows: 0 < rows < ROWS)
    lasso(ada)
    ada.get_by_text("are inside your outline").first.wait_for()
    count_becomes(ada, lambda rows: 0 < rows < filtered)
    ada.get_by_role("button", name="Clear the outline").click()
    count_becomes(ada, lambda rows: rows == filtered)
    take_filter_out(ada)

    open_page(ada, "explore", shown="clusters")
    tick_first_line(ada)
    shown = ada.get_by_role("button", name=re.compile(r"^Show its \d+ rows"))
    size = int(shown.inner_text().split()[-2])
    shown.click()
    count_becomes(ada, lambda rows: rows == size)
    take_filter_out(ada)

    filter_to_meaning(ada, "advice about cooking", IN_QUEUE)
    count_becomes(ada, lambda rows: rows == IN_QUEUE)


def tick_first_line(page: Any) -> None:
    table = page.locator('[data-testid="stDataFrame"]').first
    table.locator('[role="gridcell"]').first.wait_for(state="attached")
    table.scroll_into_view_if_needed()
    box = table.bounding_box()
    page.mouse.click(box["x"] + 20, box["y"] + 52)


def test_the_view_becomes_a_queue_for_two(ada: Any) -> None:
    ada.get_by_role("button", name=f"With all {IN_QUEUE} rows").click()
    ada.get_by_role("menuitem", name="Send to review").click()
    dialog = ada.get_by_role("dialog")
    dialog.get_by_role("textbox", name="Name").fill("Cooking")
    for asked in ("complexity", "quality"):
        dialog.get_by_text(re.compile(f"^{asked}")).first.click()
        looked_at(ada)
    dialog.get_by_role("spinbutton", name="Reviewers of each row").fill("2")
    dialog.get_by_role("spinbutton", name="Reviewers of each row").press("Enter")
    dialog.get_by_role("textbox", name="Guidelines").fill("Keep **what teaches**.")
    dialog.get_by_role("textbox", name="Guidelines").press("Control+Enter")
    dialog.get_by_role("button", name="Make the queue").click()
    ada.get_by_text(f"“Cooking” is a queue of {IN_QUEUE} rows").wait_for()


def ada_says(row: int) -> Answer:
    return ("keep" if row % 3 else "drop", 1 + row % 6, 1 + row // 2 % 6)


def grace_says(row: int) -> Answer:
    verdict, complexity, quality = ada_says(row)
    return ("unsure" if row % 4 == 0 else verdict, complexity, min(6, quality + row % 2))


def says(page: Any, name: str) -> None:
    """Open the queue under a name."""
    open_page(page, "review", queue="1")
    box = page.get_by_label("Your name, under which your decisions count")
    box.fill(name)
    box.press("Enter")
    page.locator(ROW_SHOWN).wait_for()


def by_key(page: Any, rows: int, answer: Callable[[int], Answer]) -> list[tuple[int, Answer]]:
    """Answer so many rows by keyboard; what was said of each."""
    said = []
    for _ in range(rows):
        row = int(page.locator(ROW_SHOWN).get_attribute("data-row"))
        verdict, complexity, quality = answer(row)
        for key in (verdict[0], str(complexity), str(quality)):
            page.keyboard.press(key)
        page.wait_for_selector(f'{ROW_SHOWN}:not([data-row="{row}"])')
        said.append((row, (verdict, complexity, quality)))
    return said


def everything_is_kept(page: Any) -> None:
    page.locator(f'{CARD} .deita-card-kept[data-waiting="0"]').wait_for()


def test_two_review_at_once_through_a_reload_and_a_server_that_is_killed(
    afternoon: Afternoon, ada: Any, grace: Any, tmp_path: Path
) -> None:
    says(ada, "Ada")
    says(grace, "Grace")
    of_ada = by_key(ada, 7, ada_says)
    of_grace = by_key(grace, 9, grace_says)
    ada.reload()
    of_ada += by_key(ada, 8, ada_says)
    of_grace += by_key(grace, 2, grace_says)
    afternoon.kill_the_server()  # some of the last ones were not sent yet
    afternoon.start_the_server()
    for page in (ada, grace):
        page.reload()
    of_ada += by_key(ada, EACH - 15, ada_says)
    of_grace += by_key(grace, EACH - 11, grace_says)
    everything_is_kept(ada)
    everything_is_kept(grace)

    lines = afternoon.look("SELECT author, row, kind, value FROM decisions", tmp_path)
    expected = []
    for name, said in (("Ada", of_ada), ("Grace", of_grace)):
        for row, (verdict, complexity, quality) in said:
            expected += [(name, row, verdict, ""), (name, row, "complexity", str(complexity))]
            expected += [(name, row, "quality", str(quality))]
    assert len({row for row, _ in of_ada}) == len({row for row, _ in of_grace}) == EACH
    assert sorted(lines) == sorted(expected)


def test_agreement_is_shown_and_an_adjudicator_settles_what_differs(ada: Any) -> None:
    open_page(ada, "review", queue="1", doing="agreement")
    alpha = ada.locator('[data-testid="stMetric"]', has_text="Krippendorff")
    assert re.search(r"0\.\d\d", alpha.inner_text())
    differ = ada.get_by_text(re.compile(r"^Rows on which they differ · \d+")).inner_text()
    rows = int(re.findall(r"\d+", differ)[0])
    assert rows
    ada.get_by_role("button", name="New queue for an adjudicator").click()
    ada.get_by_role("button", name="Make the queue").click()
    ada.get_by_text(f"is a queue of {rows} row").first.wait_for()
    looked_at(ada)
    ada.keyboard.press("Escape")
    ada.locator(".st-key-adjudicates_2 button").click()
    ada.locator(ROW_SHOWN).wait_for()
    for _ in range(rows):
        row = ada.locator(ROW_SHOWN).get_attribute("data-row")
        ada.keyboard.press("k")
        ada.locator(f'{CARD}[data-row="{row}"]').wait_for(state="detached")
    everything_is_kept(ada)


def test_the_settled_verdicts_act_on_the_selection(ada: Any) -> None:
    open_page(ada, "review", queue="1", doing="agreement")
    ada.get_by_role("button", name=re.compile(r"^Pin \d+ and exclude \d+")).click()
    ada.get_by_text(re.compile(r"excluded by adjudicated")).wait_for()
    ada.get_by_role("button", name=re.compile("^Undo: take")).wait_for()


def test_calibration_compares_people_with_the_scorers(ada: Any) -> None:
    open_page(ada, "review", queue="1", doing="calibration")
    found = ada.locator('[data-testid="stMetric"]', has_text="Spearman with people")
    assert re.search(r"-?\d\.\d\d", found.inner_text())
    with ada.expect_download() as download:
        ada.get_by_role("button", name="Labelled rows").click()
    lines = Path(download.value.path()).read_text().splitlines()
    assert 0 < len(lines) <= IN_QUEUE  # rows of one turn alone


def test_a_selection_is_saved_and_compared_with_random_rows(ada: Any) -> None:
    open_page(ada, "select", budget="100")
    ada.get_by_role("button", name="Save this selection").click()
    ada.get_by_role("textbox", name="Name").fill("hundred")
    ada.get_by_role("textbox", name="Name").press("Enter")
    ada.get_by_role("button", name="Save", exact=True).click()
    ada.get_by_text("Saved “hundred”").first.wait_for()
    open_page(ada, "compare", other="random")
    expect(ada.locator("h4").first).to_contain_text("hundred")


def test_the_export_carries_the_decisions(ada: Any, tmp_path: Path) -> None:
    open_page(ada, "export")
    ada.get_by_text("With tags, verdicts and reviewers").click()
    looked_at(ada)
    ada.get_by_role("button", name="Export 100 conversations").click()
    ada.get_by_role("button", name="Data", exact=False).first.wait_for(timeout=120_000)
    with ada.expect_download() as download:
        ada.get_by_role("button", name="Data", exact=False).first.click()
    download.value.save_as(tmp_path / "out.json")
    rows = json.loads((tmp_path / "out.json").read_text())
    assert len(rows) == 100
    reviewed = [row for row in rows if row.get("reviewers")]
    assert reviewed
    assert {name for row in reviewed for name in row["reviewers"]} <= {"Ada", "Grace"}
