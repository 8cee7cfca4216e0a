"""Where benchmark results go: RESULTS.md, with the machine and the date; and times as they come."""

from __future__ import annotations

import argparse
import os
import platform
import shutil
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from deita_core.models.device import cpu_threads

RESULTS = Path(__file__).with_name("RESULTS.md")


def machine() -> str:
    """One line: date, processor, cores, versions, and how busy the machine is (1 a busy core)."""
    today = datetime.now(UTC).date().isoformat()
    return (
        f"{today}; {_processor()}, {cpu_threads()} cores, Python {platform.python_version()}, "
        f"NumPy {version('numpy')}; load {os.getloadavg()[0]:.1f}."
    )


def write_section(title: str, table: str) -> None:
    """Add a section at the end of RESULTS.md."""
    with RESULTS.open("a", encoding="utf-8") as file:
        file.write(f"\n## {title}\n\n{machine()}\n\n{table}\n")


def report(title: str, table: str, *, write: bool) -> None:
    """Print a table under the machine's line; with `write`, add it to RESULTS.md."""
    print(machine(), table, sep="\n\n")
    if write:
        write_section(title, table)


def with_chromium(parser: argparse.ArgumentParser) -> tuple[argparse.Namespace, str]:
    """The options, with --rows and --write, and a Chromium; without one the benchmark ends here."""
    parser.add_argument("--rows", type=int, nargs="*", default=[])
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        print("skipped: no Chromium on this machine")
        raise SystemExit(0)
    return given, chromium


def timed(name: str, work: Callable[[], Any]) -> Any:
    """The result of `work`, after a line with its time."""
    started, cpu = time.perf_counter(), time.process_time()
    result = work()
    wall, used = time.perf_counter() - started, time.process_time() - cpu
    print(f"{name}: {wall:.1f} s ({used:.1f} CPU seconds)", flush=True)
    return result


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    named = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return named[0] if named else platform.machine()
