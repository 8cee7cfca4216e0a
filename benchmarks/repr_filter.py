"""The Repr Filter against a plain NumPy loop and the reference's own filter.

    python -m benchmarks.repr_filter                             generated pool, 52,002 x 384
    python -m benchmarks.repr_filter --embeddings FILE.npy       embeddings of your own
    python -m benchmarks.repr_filter --reference PATH            also a checkout of
                                                                 hkust-nlp/deita, run as it is
    python -m benchmarks.repr_filter --write                     add to benchmarks/RESULTS.md

`times ours` compares CPU seconds, which other work on the machine disturbs less than it does the
clock; with `--threads 1` they are the work done, without threads waiting for each other.
Every contender runs in a process of its own on the same rows, with the same scores, all distinct
(the reference's sort does not keep the order of ties). Times are without loading the data; memory
is the growth of the process's peak while it filters.
"""

from __future__ import annotations

import argparse
import datetime
import importlib
import json
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import types
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Rows = NDArray[np.int64]
THREAD_VARIABLES = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")
RESULTS = Path(__file__).parent / "RESULTS.md"


def generated_pool(rows: int, dimension: int, seed: int = 0) -> NDArray[np.float32]:
    """Clusters and heavy duplicates: (rows, dimension) float32.

    rows / 20 centres, normally distributed; a row is a centre of random choice plus normal noise
    of 0.1, 0.3, 0.6 or 1.0 times the centre's size; then a tenth of the rows are replaced by exact
    copies of others and another tenth by copies with noise of 0.02.
    """
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((max(1, rows // 20), dimension), np.float32)
    pool = centres[rng.integers(0, len(centres), rows)]
    spread = rng.choice(np.array([0.1, 0.3, 0.6, 1.0], np.float32), (rows, 1))
    for start in range(0, rows, 65_536):
        part = slice(start, start + 65_536)
        pool[part] += spread[part] * rng.standard_normal(pool[part].shape, np.float32)
    tenth = rows // 10
    pool[rng.integers(0, rows, tenth)] = pool[rng.integers(0, rows, tenth)]
    near = pool[rng.integers(0, rows, tenth)]
    near += np.float32(0.02) * rng.standard_normal(near.shape, np.float32)
    pool[rng.integers(0, rows, tenth)] = near
    return pool


def plain_loop(
    embeddings: NDArray[np.float32], scores: NDArray[np.float64], threshold: float, budget: int
) -> Rows:
    """The obvious NumPy: normalise once, then for each row one product with the kept rows."""
    units = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    kept: list[int] = []
    for row in np.argsort(-scores, kind="stable").tolist():
        if len(kept) == budget:
            break
        if not (units[kept] @ units[row] > threshold).any():
            kept.append(row)
    return np.array(kept)


def careful_loop(
    embeddings: NDArray[np.float32], scores: NDArray[np.float64], threshold: float, budget: int
) -> Rows:
    """The same, with the kept rows side by side in memory instead of gathered each time."""
    units = embeddings / np.linalg.norm(embeddings, axis=1, keepdims=True)
    kept = np.empty((budget, units.shape[1]), np.float32)
    rows: list[int] = []
    for row in np.argsort(-scores, kind="stable").tolist():
        if len(rows) == budget:
            break
        if not (kept[: len(rows)] @ units[row] > threshold).any():
            kept[len(rows)] = units[row]
            rows.append(row)
    return np.array(rows)


def ours(
    embeddings: NDArray[np.float32], scores: NDArray[np.float64], threshold: float, budget: int
) -> Rows:
    """`deita_core.selection.repr_filter`."""
    from deita_core.selection import repr_filter

    return repr_filter(embeddings, scores, threshold, budget)


def ours_traced(
    embeddings: NDArray[np.float32], scores: NDArray[np.float64], threshold: float, budget: int
) -> Rows:
    """The same with the reason of every row."""
    from deita_core.selection import trace

    return trace(embeddings, scores, threshold, budget).kept


def reference_filter(checkout: Path) -> Callable[..., Rows]:
    """The reference's own Combined_Filter, out of a checkout, as it is.

    Its packages import models and servers when they load, so they are stood in for by empty ones
    that lead to the same folders; the three files the filter needs are the checkout's own.
    """
    for name in ("deita", "deita.pipeline", "deita.selection", "deita.selection.filter"):
        package = types.ModuleType(name)
        package.__path__ = [str(checkout / "src" / Path(*name.split(".")))]
        sys.modules[name] = package
    module = importlib.import_module("deita.selection.filter.combined_filter")

    def run(
        embeddings: NDArray[np.float32], scores: NDArray[np.float64], threshold: float, budget: int
    ) -> Rows:
        import pandas as pd

        frame = pd.DataFrame({"embedding": list(embeddings), "score": list(scores[:, None])})
        chosen = module.Combined_Filter(
            threshold=threshold,
            data_size=budget,
            sort_key=["score"],
            chunk_size=100_000,
            batch_size=1,
            device="cpu",
        ).filter(frame)
        return chosen.index.to_numpy()

    return run


CONTENDERS: dict[str, Callable[..., Rows]] = {
    "ours": ours,
    "ours, with reasons": ours_traced,
    "plain NumPy loop": plain_loop,
    "NumPy loop, kept rows preallocated": careful_loop,
}


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


def run_child(arguments: argparse.Namespace) -> None:
    """Runs one contender on the saved pool, and prints time and memory as JSON."""
    folder = Path(arguments.folder)
    embeddings, scores = np.load(folder / "embeddings.npy"), np.load(folder / "scores.npy")
    name = arguments.child
    run = CONTENDERS.get(name) or reference_filter(Path(arguments.reference))
    run(embeddings[:300], scores[:300], arguments.threshold[0], 100)  # imports, thread pools
    before = peak_kilobytes(reset=True)
    times, cpu_times = [], []
    for _ in range(arguments.repeat if name.startswith("ours") else 1):
        start, cpu_start = time.perf_counter(), time.process_time()
        rows = run(embeddings, scores, arguments.threshold[0], arguments.budget)
        times.append(time.perf_counter() - start)
        cpu_times.append(time.process_time() - cpu_start)
    peak = peak_kilobytes() - before
    np.save(folder / "rows.npy", rows)
    report = {"seconds": statistics.median(times), "cpu_seconds": statistics.median(cpu_times)}
    print(json.dumps({**report, "megabytes": peak / 1024}))


def contend(name: str, folder: Path, threshold: float, arguments: argparse.Namespace) -> Result:
    """Runs one contender in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.repr_filter", "--child", name]
    command += ["--folder", str(folder), "--budget", str(arguments.budget)]
    command += ["--threshold", str(threshold), "--repeat", str(arguments.repeat)]
    command += ["--reference", str(arguments.reference)] if arguments.reference else []
    limits = {name: str(arguments.threads) for name in THREAD_VARIABLES}
    environment = {**os.environ, **limits} if arguments.threads else None
    done = subprocess.run(command, capture_output=True, text=True, env=environment)
    if done.returncode:
        raise SystemExit(f"{name} failed:\n{done.stderr[-2000:]}")
    report = json.loads(done.stdout.splitlines()[-1])
    figures = (report["seconds"], report["cpu_seconds"], report["megabytes"])
    return Result(name, *figures, np.load(folder / "rows.npy"))


def table(threshold: float, results: list[Result]) -> list[str]:
    """Lines of a Markdown table; times and rows are held against the first result."""
    first = results[0]
    lines = []
    for result in results:
        same = np.array_equal(result.rows, first.rows)
        choice = "identical" if same else difference(result, first)
        lines.append(
            f"| {threshold:.2f} | {result.name} | {result.seconds:.3f} | "
            f"{result.cpu_seconds:.3f} | {result.cpu_seconds / first.cpu_seconds:.1f} | "
            f"{result.megabytes:.0f} | {len(result.rows):,} | {choice} |"
        )
    return lines


def difference(result: Result, first: Result) -> str:
    """How the rows of two results differ, in words."""
    shared = len(np.intersect1d(result.rows, first.rows))
    return f"{len(first.rows) - shared:,} of {len(first.rows):,} rows differ"


def machine() -> str:
    """CPU, cores, Python and NumPy."""
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text(errors="replace").splitlines():
            if line.startswith("model name"):
                name = line.partition(":")[2].strip()
                break
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return f"{name}, {cores} cores, Python {platform.python_version()}, NumPy {np.__version__}"


def parse() -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.repr_filter", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--embeddings", help="(n, d) float32 .npy; otherwise a generated pool")
    parser.add_argument("--scores", help="(n,) .npy; otherwise a seeded shuffle, all distinct")
    parser.add_argument("--rows", type=int, default=52_002, help="of the generated pool")
    parser.add_argument("--dimension", type=int, default=384, help="of the generated pool")
    parser.add_argument("--threshold", type=float, nargs="+", default=[0.9, 0.7, 0.5])
    parser.add_argument("--budget", type=int, default=6000)
    parser.add_argument("--repeat", type=int, default=3, help="runs of ours; the median counts")
    parser.add_argument("--threads", type=int, help="limit for every contender (1: steady ratios)")
    parser.add_argument("--reference", help="checkout of hkust-nlp/deita")
    parser.add_argument("--write", action="store_true", help="add the table to RESULTS.md")
    parser.add_argument("--child", help=argparse.SUPPRESS)
    parser.add_argument("--folder", help=argparse.SUPPRESS)
    return parser.parse_args()


def main() -> None:
    """Runs every contender at every threshold and prints the table."""
    arguments = parse()
    if arguments.child:
        run_child(arguments)
        return
    if arguments.embeddings:
        embeddings = np.load(arguments.embeddings).astype(np.float32)
        what = f"embeddings of {Path(arguments.embeddings).name}"
    else:
        embeddings = generated_pool(arguments.rows, arguments.dimension)
        what = "generated pool"
    scores = np.random.default_rng(1).permutation(len(embeddings)).astype(np.float64)
    if arguments.scores:
        scores = np.load(arguments.scores).astype(np.float64)
    names = list(CONTENDERS)
    names += ["reference (hkust-nlp/deita)"] if arguments.reference else []
    title = f"## Repr Filter, {what}, {len(embeddings):,} x {embeddings.shape[1]}"
    threads = f"{arguments.threads} thread(s)" if arguments.threads else "all threads"
    lines = [
        f"{title}, budget {arguments.budget:,}, {threads}",
        "",
        f"{datetime.date.today()}; {machine()}. Ours: median of {arguments.repeat} runs.",
        "",
        "| similarity | contender | seconds | CPU seconds | times ours | MB above data | rows "
        "| choice |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.save(folder / "embeddings.npy", embeddings)
        np.save(folder / "scores.npy", scores)
        for threshold in arguments.threshold:
            results = [contend(n, folder, threshold, arguments) for n in names]
            lines += table(threshold, results)
    print("\n".join(lines))
    if arguments.write:
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write("\n".join(lines) + "\n\n")


if __name__ == "__main__":
    main()
