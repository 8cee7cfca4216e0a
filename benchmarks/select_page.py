"""How long the Select page takes to answer a step of the threshold, in a real browser.

    python -m benchmarks.select_page [--rows N ...] [--project FILE] [--steps N] [--write]

Each step is a key pressed on the slider; the clock stops when the sentence, the map and the
charts have been drawn for the new threshold. Projects of N rows are made with clustered vectors
and their similarity graph (20,000 rows, if nothing else is said). Needs Chromium and Playwright.
"""

from __future__ import annotations

import argparse
import os
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.made_project import make_project
from benchmarks.results import report, with_chromium
from deita_core.jobs import JobRunner
from deita_core.jobs.kinds import GraphSpec
from deita_core.project import Project
from deita_core.project.graphs import copy_graphs, has_graph
from tests.browser import browser, served

ROOT = Path(__file__).parents[1]
READY = '[data-testid="deita-map"][data-ready="1"]'
# Marks when sentence, map and charts change after `armed`, by the browser's own clock.
WATCH = """() => {
  const mark = (name) => { window.marks[name] = performance.now() - window.armedAt; };
  window.arm = () => { window.marks = {}; window.armedAt = performance.now(); };
  window.arm();
  new MutationObserver((changes) => {
    for (const { target, type, attributeName } of changes) {
      const element = target.nodeType === 1 ? target : target.parentElement;
      if (!element) continue;
      if (element.closest("h4")) mark("sentence");
      if (element.closest(".deita-charts")) mark("charts");
      if (attributeName === "data-ready" && element.dataset.ready === "1") mark("map");
    }
  }).observe(document.body, {
    subtree: true, childList: true, characterData: true, attributes: true,
    attributeFilter: ["data-ready"],
  });
}"""


def prepared(folder: Path, rows: int) -> Path:
    """A made project with its similarity graph."""
    path = make_project(folder / f"made{rows}.duckdb", rows)
    add_graph(path)
    return path


def add_graph(path: Path) -> None:
    """Build the similarity graph of a project, unless it has one."""
    with Project.open(path) as project:
        if has_graph(project):
            return
        runner = JobRunner(project)
        runner.start()
        runner.submit([GraphSpec()])
        while runner.busy:
            time.sleep(0.5)
        runner.stop()


def measure(project: Path, chromium: str, steps: int) -> tuple[float, list[dict[str, float]]]:
    """Seconds until the first picture, and the milliseconds of each step."""
    os.environ["DEITA_PROJECTS_DIR"] = str(project.parent)
    os.environ["DEITA_DATA_DIR"] = str(project.parent / "data")
    app = served("deita_core", "app", port="--port", folder=ROOT)
    with app as address, browser(chromium) as running:
        page = running.new_page(viewport={"width": 1400, "height": 1000})
        page.set_default_timeout(180_000)
        started = time.monotonic()
        page.goto(f"{address}/select?project={project.stem}")
        page.wait_for_selector(READY)
        first = time.monotonic() - started
        page.wait_for_timeout(3000)
        page.evaluate(WATCH)
        return first, [_step(page, number) for number in range(steps)]


def _step(page: Any, number: int) -> dict[str, float]:
    slider = page.get_by_role("slider", name="Threshold")
    slider.focus()
    page.evaluate("() => window.arm()")
    slider.press("ArrowLeft" if number % 20 < 10 else "ArrowRight")
    page.wait_for_function("() => ['sentence', 'map', 'charts'].every((n) => n in window.marks)")
    page.wait_for_timeout(800)  # the rest of the page, so that it does not weigh on the next step
    marks: dict[str, float] = page.evaluate("() => window.marks")
    return marks


def table(found: list[tuple[str, float, list[dict[str, float]]]]) -> str:
    """Markdown: one line a project."""
    lines = [
        "| pool | first picture, s | sentence, ms | map, ms | charts, ms | slowest step, ms |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for name, first, steps in found:
        # The first step finds caches and kernels cold; it counts for the slowest alone.
        middles = [
            statistics.median(step[what] for step in steps[1:])
            for what in ("sentence", "map", "charts")
        ]
        slowest = max(max(step.values()) for step in steps)
        cells = [f"{value:,.0f}" for value in (*middles, slowest)]
        lines.append(f"| {name} | {first:.1f} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> int:
    """Measure, print, and with --write add to RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--project", type=Path, help="an existing project; a copy is measured")
    parser.add_argument("--steps", type=int, default=15)
    given, chromium = with_chromium(parser)
    found = []
    with tempfile.TemporaryDirectory() as folder:
        made = [] if given.project else [prepared(Path(folder), n) for n in given.rows or [20_000]]
        if given.project:
            copy = Path(folder) / given.project.name
            with Project.open(given.project) as project:
                project.copy_to(copy)
            copy_graphs(given.project, copy)
            add_graph(copy)
            made = [copy]
        for path in made:
            first, steps = measure(path, chromium, given.steps)
            found.append((path.stem, first, steps))
    text = table(found)
    report("A step of the threshold on the Select page, in Chromium", text, write=given.write)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
