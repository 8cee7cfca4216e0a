"""The Repr Filter against plain NumPy loops, the reference's own filter, and distilabel's.

    python -m benchmarks.repr_filter                             generated pool, 52,002 x 384
    python -m benchmarks.repr_filter --rows 10000 300000         several sizes, and how it grows
    python -m benchmarks.repr_filter --embeddings FILE.npy       embeddings of your own
    python -m benchmarks.repr_filter --reference PATH            also a checkout of
                                                                 hkust-nlp/deita, run as it is
    python -m benchmarks.repr_filter --distilabel PYTHON         also distilabel's DeitaFiltering,
                                                                 in an environment that has it
    python -m benchmarks.repr_filter --write                     add to benchmarks/RESULTS.md

`times ours` compares the clock's seconds. Every contender runs in a process of its own on the
same rows, with the same scores, all distinct (the reference's sort does not keep the order of
ties). Times are without loading the data; memory is the growth of the process's peak while it
filters. A contender that would not fit the machine's memory is named with what it would need.
distilabel's convention differs (distance to the nearest row of the whole pool), so it is held
against our strategy of that name; all others against our Repr Filter.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.filter_contenders import (
    CONTENDERS,
    DISTILABEL,
    OURS_AS_DISTILABEL,
    REFERENCE,
    Rows,
    gigabytes,
    reference_filter,
)
from benchmarks.pools import generated_pool

THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
ROOT = Path(__file__).parent.parent


@dataclass(frozen=True)
class Result:
    """One contender's run."""

    name: str
    seconds: float
    cpu_seconds: float
    megabytes: float
    rows: Rows


def peak_kilobytes(reset: bool = False) -> int:
    """The process's peak memory; with `reset` (on Linux) the peak starts anew from now."""
    status = Path("/proc/self/status")
    if not status.exists():
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if reset:
        Path("/proc/self/clear_refs").write_text("5")
    line = next(x for x in status.read_text().splitlines() if x.startswith("VmHWM"))
    return int(line.split()[1])


def free_gigabytes() -> float:
    """Memory that a new process could take now; infinite where the system does not tell."""
    info = Path("/proc/meminfo")
    if not info.exists():
        return math.inf
    line = next(x for x in info.read_text().splitlines() if x.startswith("MemAvailable"))
    return int(line.split()[1]) * 1024 / 1e9


def run_child(arguments: argparse.Namespace) -> None:
    """Runs one contender on the saved pool, and prints time and memory as JSON."""
    folder = Path(arguments.folder)
    embeddings, scores = np.load(folder / "embeddings.npy"), np.load(folder / "scores.npy")
    name, threshold = arguments.child, arguments.threshold[0]
    run = CONTENDERS.get(name) or reference_filter(Path(arguments.reference))
    run(embeddings[:300], scores[:300], threshold, 100)  # imports, thread pools
    before = peak_kilobytes(reset=True)
    times, cpu_times = [], []
    for _ in range(arguments.repeat if name.startswith("ours") else 1):
        start, cpu_start = time.perf_counter(), time.process_time()
        rows = run(embeddings, scores, threshold, arguments.budget)
        times.append(time.perf_counter() - start)
        cpu_times.append(time.process_time() - cpu_start)
    peak = peak_kilobytes() - before
    np.save(folder / "rows.npy", rows)
    report = {"seconds": statistics.median(times), "cpu_seconds": statistics.median(cpu_times)}
    print(json.dumps({**report, "megabytes": peak / 1024}))


def contend(name: str, folder: Path, threshold: float, arguments: argparse.Namespace) -> Result:
    """Runs one contender in a process of its own."""
    python = arguments.distilabel if name == DISTILABEL else sys.executable
    command = [python, "-m", "benchmarks.repr_filter", "--child", name]
    command += ["--folder", str(folder), "--budget", str(arguments.budget)]
    command += ["--threshold", str(threshold), "--repeat", str(arguments.repeat)]
    command += ["--reference", str(arguments.reference)] if arguments.reference else []
    limits = {name: str(arguments.threads) for name in THREAD_VARIABLES}
    environment = {**os.environ, **limits} if arguments.threads else None
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=ROOT)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stdout[-500:]}{done.stderr[-2000:]}")
    report = json.loads(done.stdout.splitlines()[-1])
    figures = (report["seconds"], report["cpu_seconds"], report["megabytes"])
    return Result(name, *figures, np.load(folder / "rows.npy"))


def line(result: Result, ours: Result, peer: Result, start: str) -> str:
    """A line of the table: times against `ours`, rows against `peer`."""
    if np.array_equal(result.rows, peer.rows):
        choice = "identical"
    else:
        shared = len(np.intersect1d(result.rows, peer.rows))
        choice = f"{len(peer.rows) - shared:,} of {len(peer.rows):,} rows differ"
    return (
        f"{start} | {result.name} | {result.seconds:.3f} | {result.cpu_seconds:.3f} | "
        f"{result.seconds / ours.seconds:.1f} | {result.megabytes:.0f} | "
        f"{len(result.rows):,} | {choice} |"
    )


def compare(
    embeddings: NDArray[np.float32], threshold: float, names: list[str], options: argparse.Namespace
) -> tuple[list[str], float]:
    """Lines of the table for one pool and threshold, and the seconds of ours."""
    rows, dimension = embeddings.shape
    start = f"| {rows:,} x {dimension:,} | {threshold:.2f}"
    lines, results = [], {}
    with tempfile.TemporaryDirectory(dir=options.scratch) as scratch:
        folder = Path(scratch)
        np.save(folder / "embeddings.npy", embeddings)
        scores = np.random.default_rng(1).permutation(rows).astype(np.float64) + 1.0
        if options.scores:
            scores = np.load(options.scores).astype(np.float64)
        np.save(folder / "scores.npy", scores)
        for name in names:
            needs = gigabytes(name, rows, dimension) + embeddings.nbytes / 1e9
            if needs > 0.9 * free_gigabytes():
                if name == OURS_AS_DISTILABEL:
                    continue
                lines.append(f"{start} | {name} | not run: about {needs:,.0f} GB | | | | | |")
                continue
            found = contend(name, folder, threshold, options)
            results[name] = found
            peer = results[OURS_AS_DISTILABEL if name == DISTILABEL else names[0]]
            own = found if name == OURS_AS_DISTILABEL else peer
            lines.append(line(found, results[names[0]], own, start))
            print(lines[-1], flush=True)
    return lines, results[names[0]].seconds


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.repr_filter", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--embeddings", help="(n, d) float32 .npy; otherwise generated pools")
    parser.add_argument("--scores", help="(n,) .npy; otherwise a seeded shuffle, all distinct")
    parser.add_argument("--rows", type=int, nargs="+", default=[52_002], help="of generated pools")
    parser.add_argument("--dimension", type=int, default=384, help="of generated pools")
    parser.add_argument("--threshold", type=float, nargs="+", default=[0.9])
    parser.add_argument("--budget", type=int, default=6000)
    parser.add_argument("--repeat", type=int, default=3, help="runs of ours; the median counts")
    parser.add_argument("--threads", type=int, help="limit for every contender (1: steady ratios)")
    parser.add_argument("--reference", help="checkout of hkust-nlp/deita")
    parser.add_argument("--distilabel", help="a Python whose environment has distilabel")
    parser.add_argument("--without", nargs="*", default=[], help="contenders to leave out")
    parser.add_argument("--scratch", help="folder for the pool while it runs")
    parser.add_argument("--write", action="store_true", help="add the table to RESULTS.md")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Runs every contender on every pool at every threshold and prints the table."""
    options = parse()
    if options.child:
        run_child(options)
        return
    names = [name for name in CONTENDERS if name not in (DISTILABEL, OURS_AS_DISTILABEL)]
    names += [REFERENCE] if options.reference else []
    names += [OURS_AS_DISTILABEL, DISTILABEL] if options.distilabel else []
    names = [name for name in names if name not in options.without]
    lines, seconds = [], {}
    for rows in [0] if options.embeddings else options.rows:
        if options.embeddings:
            embeddings = np.load(options.embeddings).astype(np.float32)
        else:
            embeddings = generated_pool(rows, options.dimension)
        for threshold in options.threshold:
            found, seconds[len(embeddings), threshold] = compare(
                embeddings, threshold, names, options
            )
            lines += found
    report(options, lines, seconds)


def report(
    options: argparse.Namespace, lines: list[str], seconds: dict[tuple[int, float], float]
) -> None:
    """Prints the table, and writes it when asked to."""
    from benchmarks.results import write_section

    what = f"embeddings of {Path(options.embeddings).name}" if options.embeddings else "generated"
    threads = f"{options.threads} thread(s)" if options.threads else "all threads"
    table = [
        "| pool | similarity | contender | seconds | CPU seconds | times ours | MB above data "
        "| rows | choice |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- |",
        *lines,
        "",
        f"{threads}; ours is the median of {options.repeat} runs.",
    ]
    first = [(rows, s) for (rows, t), s in seconds.items() if t == options.threshold[0]]
    if len(first) > 1:
        slope = np.polyfit(np.log([r for r, _ in first]), np.log([s for _, s in first]), 1)[0]
        table.append(f"Time of ours grows as n to the power {slope:.2f}.")
    text = "\n".join(table)
    print(text)
    if options.write:
        write_section(f"Repr Filter, {what} pools, budget {options.budget:,}", text)


if __name__ == "__main__":
    main()
