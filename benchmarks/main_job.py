"""The main job from file to export: seconds and peak memory of every step.

    python -m benchmarks.main_job [--pool FILE] [--budget N] [--threshold T] [--write]

Without --pool it takes the sample pool. Memory is the sum over the command and its workers of
what each holds for itself plus its share of what they hold together (PSS), looked at five times
a second.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from pathlib import Path

import psutil

from benchmarks.results import machine, write_section
from deita_core.jobs.chains import sample_files
from deita_core.project import Project
from deita_core.project.job_log import JobRecord, jobs


def run(arguments: argparse.Namespace, folder: Path) -> tuple[float, list[tuple[float, float]]]:
    """Run the command; seconds in all, and (time, megabytes) samples on the clock of time()."""
    pool = arguments.pool or sample_files()
    command = [sys.executable, "-m", "deita_core", "run", *map(str, pool), "--quiet"]
    command += ["--budget", str(arguments.budget), "--threshold", str(arguments.threshold)]
    command += ["--out", str(folder / "selected.json"), "--project", str(folder / "p.duckdb")]
    samples = []
    started = time.monotonic()
    process = subprocess.Popen(command)
    while process.poll() is None:
        samples.append((time.time(), megabytes(process.pid)))
        time.sleep(0.2)
    if process.returncode:
        raise SystemExit(f"the command ended with status {process.returncode}")
    return time.monotonic() - started, samples


def megabytes(pid: int) -> float:
    """Memory of a process and all below it; 0 for one that has just ended."""
    total = 0.0
    try:
        root = psutil.Process(pid)
        family = [root, *root.children(recursive=True)]
    except psutil.Error:
        return 0.0
    for process in family:
        try:
            total += process.memory_full_info().pss / 1e6
        except psutil.Error:
            continue
    return total


def table(records: list[JobRecord], seconds: float, samples: list[tuple[float, float]]) -> str:
    """A Markdown table with a line for each step and one for the whole."""
    peaks: dict[str, float] = defaultdict(float)
    for moment, used in samples:
        for record in records:
            if record.started is None or record.finished is None:
                continue
            if record.started.timestamp() <= moment + _OFFSET <= record.finished.timestamp():
                peaks[record.kind] = max(peaks[record.kind], used)
    lines = ["| step | seconds | peak MB |", "| --- | --- | --- |"]
    lines += [f"| {r.kind} | {r.seconds:.1f} | {peaks[r.kind]:,.0f} |" for r in records]
    lines.append(f"| the whole command | {seconds:.1f} | {max(u for _, u in samples):,.0f} |")
    return "\n".join(lines)


# The log holds UTC without a zone; `timestamp()` reads that as local time.
_OFFSET = float(time.timezone if time.localtime().tm_isdst == 0 else time.altzone)


def main() -> None:
    """Measure and print; with --write also add the table to RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else "")
    parser.add_argument("--pool", type=Path, nargs="+", help="pool files (default: the sample)")
    parser.add_argument("--budget", type=int, default=6000)
    parser.add_argument("--threshold", type=float, default=0.9)
    parser.add_argument("--write", action="store_true", help="add the table to RESULTS.md")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        seconds, samples = run(arguments, folder)
        with Project.open(folder / "p.duckdb") as project:
            records = sorted(jobs(project), key=lambda record: record.job)
        text = table(records, seconds, samples)
    names = ", ".join(p.name for p in arguments.pool) if arguments.pool else "the sample pool"
    print(machine())
    print(text)
    if arguments.write:
        write_section(f"From file to export: {names}, budget {arguments.budget:,}", text)


if __name__ == "__main__":
    main()
