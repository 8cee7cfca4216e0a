"""How long the Explore page takes to follow the hand, and each page to appear, in a real browser.

    python -m benchmarks.explore_page [--rows N ...] [--times N] [--write]

Pools of N rows are made (20,000, if nothing else is said). A page begins when its heading is there,
and its map is drawn when all points are; an arrow key is answered when the conversation of the next
row is there, and a filter, a search or a lasso when the list has other rows. Needs Chromium and
Playwright. Medians, in ms; the page is warm, but for the first appearance of each.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.results import report, with_chromium
from benchmarks.select_page import READY, ROOT, prepared
from tests.browser import browser, served

PAGES = ("pool", "score", "explore", "select", "review", "compare", "export")
_MAPPED = ("explore", "select")
_LINE = ".deita-list-line"


def measure(project: Path, chromium: str, times: int) -> dict[str, float]:
    """What was measured, and its median in milliseconds."""
    os.environ["DEITA_PROJECTS_DIR"] = str(project.parent)
    os.environ["DEITA_DATA_DIR"] = str(project.parent / "data")
    app = served("deita_core", "app", port="--port", folder=ROOT)
    with app as address, browser(chromium) as running:
        page = running.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(180_000)
        link = f"{address}/{{}}?project={project.stem}"
        page.goto(link.format("pool"))  # the server's own start
        page.get_by_role("heading", name="Pool", exact=True).wait_for()
        found = {}
        for name in PAGES:
            found |= _appears(page, link.format(name), name)
        page.goto(link.format("explore"))
        page.wait_for_selector(READY)
        page.locator(_LINE).first.click()
        steps: dict[str, Callable[[Any, int], float]] = {
            "arrow key to conversation": _arrow,
            "text search to count and list": _search,
            "lasso to list": _lasso,
            "filter to list": _filter,
        }
        for name, step in steps.items():
            found[name] = statistics.median(step(page, number) for number in range(times))
        return found


def _appears(page: Any, link: str, name: str) -> dict[str, float]:
    started = time.perf_counter()
    page.goto(link)
    page.get_by_role("heading", name=name.capitalize(), exact=True).wait_for()
    found = {f"{name}: first content": 1000 * (time.perf_counter() - started)}
    if name in _MAPPED:
        page.wait_for_selector(READY)
        found[f"{name}: map drawn"] = 1000 * (time.perf_counter() - started)
    return found


def _until_other(page: Any, what: str, act: Callable[[], None]) -> float:
    """Milliseconds from the last move of `act` until the text of `what` is another."""
    page.wait_for_timeout(1500)
    before = page.locator(what).first.inner_text()
    act()
    started = time.perf_counter()
    while page.locator(what).first.inner_text() == before:
        page.wait_for_timeout(5)
    return 1000 * (time.perf_counter() - started)


def _arrow(page: Any, _number: int) -> float:
    page.locator(f'{_LINE}[aria-selected="true"]').click()
    row = ".st-key-explore_rows_reader p"
    return _until_other(page, row, lambda: page.keyboard.press("ArrowDown"))


def _search(page: Any, number: int) -> float:
    field = page.get_by_label("Search in the text")
    field.fill(str(number + 11))
    page.wait_for_timeout(1500)
    started = time.perf_counter()
    field.press("Enter")
    page.get_by_text(f"contain “{number + 11}”").wait_for()
    return 1000 * (time.perf_counter() - started)


def _lasso(page: Any, number: int) -> float:
    box = page.locator(".deita-map-plot").bounding_box()
    x, y, w, h = box["x"], box["y"], box["width"], box["height"]
    low = 0.2 + 0.02 * number
    page.mouse.move(x + low * w, y + low * h)
    page.mouse.down()
    for right, down in ((0.8, low), (0.8, 0.8), (low, 0.8), (low, low + 0.05)):
        page.mouse.move(x + right * w, y + down * h, steps=6)
    return _until_other(page, ".st-key-bulk", page.mouse.up)


def _filter(page: Any, number: int) -> float:
    clear = page.get_by_role("button", name="Clear the outline")
    if clear.count():
        clear.click()
        clear.wait_for(state="detached")
    names = page.locator(".deita-map-legend [data-pick]")
    return _until_other(page, ".st-key-bulk", names.nth(number % names.count()).click)


def main() -> int:
    """Measure, print, and with --write add to RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=int, default=9)
    given, chromium = with_chromium(parser)
    pools: dict[str, dict[str, float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for rows in given.rows or [20_000]:
            project = prepared(Path(folder), rows)
            pools[f"{rows:,} rows, ms"] = measure(project, chromium, given.times)
    names = list(next(iter(pools.values())))
    lines = [f"| | {' | '.join(pools)} |", f"| --- |{' --- |' * len(pools)}"]
    lines += [
        f"| {name} | {' | '.join(f'{one[name]:,.0f}' for one in pools.values())} |"
        for name in names
    ]
    text = "\n".join(lines)
    report("Pages appear and Explore follows the hand, in Chromium", text, write=given.write)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
