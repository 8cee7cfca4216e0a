"""How long the card of the Review page takes from a key to the next row, in a real browser.

    python -m benchmarks.review [--rows N ...] [--answers N] [--write]

Projects of N rows are made (20,000, if nothing else is said), each with a queue of all its rows.
Every answer is a key pressed a while after the row before; the clock runs, in the browser, from
the key to the frame after the one that has the next row. Answers go to the server meanwhile, as
they do for a reviewer. Needs Chromium and Playwright.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.made_project import make_project
from benchmarks.results import report, with_chromium
from deita_core.project import Project
from deita_core.project.queues import make_queue
from tests.browser import browser, served

ROOT = Path(__file__).parents[1]
CARD = '.deita-card:not([data-row=""])'
PAUSE_MS = 120  # between two answers: far quicker than anybody reads
# Times from a key until the card has another row, and until the frame after the one that shows it.
WATCH = """() => {
  window.shown = [];
  window.painted = [];
  let key = null;
  addEventListener("keydown", (event) => { key = event.timeStamp; }, true);
  new MutationObserver(() => {
    const from = key;
    key = null;
    if (from === null) return;
    window.shown.push(performance.now() - from);
    const end = () => window.painted.push(performance.now() - from);
    requestAnimationFrame(() => requestAnimationFrame(end));
  }).observe(document.querySelector(".deita-card"), { attributeFilter: ["data-row"] });
}"""


@dataclass(frozen=True, slots=True)
class Measured:
    """One queue. first: seconds to the first row. shown, painted: milliseconds from each key until
    the next row was in the page, and painted. kept: from the last key until the server had all."""

    name: str
    first: float
    shown: list[float]
    painted: list[float]
    kept: float


def prepared(folder: Path, rows: int) -> Path:
    """A made project with a queue of all its rows."""
    path = make_project(folder / f"made{rows}.duckdb", rows)
    with Project.open(path) as project:
        make_queue(project, "all", range(rows))
    return path


def measure(project: Path, chromium: str, answers: int) -> Measured:
    """Answer so many rows by key; the first five are not counted, they find everything cold."""
    os.environ["DEITA_PROJECTS_DIR"] = str(project.parent)
    os.environ["DEITA_DATA_DIR"] = str(project.parent / "data")
    app = served("deita_core", "app", port="--port", folder=ROOT)
    with app as address, browser(chromium) as running:
        context = running.new_context(viewport={"width": 1400, "height": 1000})
        context.add_cookies([{"name": "deita_reviewer", "value": "Ada", "url": address}])
        page = context.new_page()
        page.set_default_timeout(180_000)
        page.goto(f"{address}/review?project={project.stem}&queue=1")  # the server starts
        page.wait_for_selector(CARD)
        started = time.monotonic()
        page.reload()
        page.wait_for_selector(CARD)
        first = time.monotonic() - started
        page.evaluate(WATCH)
        for number in range(answers + 5):
            _answer(page, "kdu"[number % 3])
        last = time.monotonic()
        page.wait_for_selector('.deita-card-kept[data-waiting="0"]')
        kept = 1000 * (time.monotonic() - last)
        shown, painted = page.evaluate("() => [window.shown, window.painted]")
    _all_there(project, answers + 5)
    return Measured(project.stem, first, shown[5:], painted[5:], kept)


def _answer(page: Any, key: str) -> None:
    row = page.get_attribute(".deita-card", "data-row")
    page.keyboard.press(key)
    page.wait_for_selector(f'.deita-card:not([data-row="{row}"]):not([data-row=""])')
    page.wait_for_timeout(PAUSE_MS)


def _all_there(path: Path, answers: int) -> None:
    with Project.open(path, wait=30.0) as project:
        found = project.number("SELECT count(*) FROM decisions")
    if found != answers:
        raise SystemExit(f"{answers} answers were given, {found} are in the ledger")


def table(found: list[Measured]) -> str:
    """Markdown: one line a project."""
    lines = [
        "| queue | first row, s | answers | in the page, median ms | slowest ms "
        "| painted, median ms | 95 % within, ms | slowest ms | all kept after the last key, ms |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for one in found:
        ranked = sorted(one.painted)
        times = (
            *(statistics.median(one.shown), max(one.shown)),
            *(statistics.median(ranked), ranked[int(0.95 * len(ranked))], ranked[-1], one.kept),
        )
        cells = [f"{value:,.0f}" for value in times]
        lines.append(f"| {one.name} | {one.first:.1f} | {len(ranked)} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    """Measure, print, and with --write add to RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--answers", type=int, default=200)
    given, chromium = with_chromium(parser)
    with tempfile.TemporaryDirectory() as folder:
        made = [prepared(Path(folder), rows) for rows in given.rows or [20_000]]
        found = [measure(path, chromium, given.answers) for path in made]
    text = table(found)
    report("From a key to the next row on the Review page, in Chromium", text, write=given.write)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
