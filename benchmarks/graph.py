"""Building the similarity graph, beside the bare matrix product it cannot do without.

    python -m benchmarks.graph                              generated pools, 10,000 and 52,002 x 384
    python -m benchmarks.graph --rows 300000 --dimension 4096
    python -m benchmarks.graph --embeddings FILE.npy        (n, d) float32 of your own, as well
    python -m benchmarks.graph --write                      add to benchmarks/RESULTS.md

The bare product is that of the distinct unit rows in bfloat16 (float32 where the CPU has none):
the upper triangle in the same tiles, and all of it. Each runs in a process of its own, which maps
the embeddings from disk; memory is that process's peak, embeddings and programs included. The
edges of 50 rows are compared with the definition of similarity.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.pools import generated_pool
from benchmarks.repr_filter import peak_kilobytes
from benchmarks.results import write_section
from deita_core.models.batches import one_thread_each
from deita_core.similarity.definition import cosines, find_copies
from deita_core.similarity.graph import SimilarityGraph
from deita_core.similarity.graph_build import build_graph
from deita_core.similarity.screen import Screen

CHECKED = 50
FULL_TILE = 4096


def built(vectors: NDArray[np.float32], most_pairs: int | None) -> dict[str, float]:
    """Time and peak memory of the graph, and whether it is right."""
    build_graph(np.array(vectors[:2000]))  # imports, compiled loops
    start, cpu = time.perf_counter(), time.process_time()
    graph = build_graph(vectors, most_pairs=most_pairs)
    seconds, used = time.perf_counter() - start, time.process_time() - cpu
    peak = peak_kilobytes() / 1024
    return {
        "seconds": seconds,
        "cpu": used,
        "megabytes": peak,
        "groups": graph.groups,
        "pairs": graph.pairs,
        "floor": graph.floor,
        "exact": float(is_exact(graph, vectors)),
    }


def is_exact(graph: SimilarityGraph, vectors: NDArray[np.float32]) -> bool:
    """Do the edges of some groups fit the definition?"""
    first = graph.member[graph.member_start[:-1]].astype(np.int64)
    chosen = np.random.default_rng(0).choice(graph.groups, min(CHECKED, graph.groups), False)
    for group in chosen.tolist():
        parts = range(0, graph.groups, 65_536)
        row = first[group : group + 1]
        found = np.concatenate([cosines(vectors, row, first[i : i + 65_536])[0] for i in parts])
        found[group] = -2
        expected = np.flatnonzero(found > graph.floor)
        edges = slice(graph.start[group], graph.start[group + 1])
        order = np.argsort(graph.neighbour[edges])
        if not np.array_equal(graph.neighbour[edges][order], expected):
            return False
        if not np.allclose(graph.similarity[edges][order], found[expected], rtol=0, atol=2e-12):
            return False
    return True


def multiplied(vectors: NDArray[np.float32], _: int | None) -> dict[str, float]:
    """Time of the bare product: the upper triangle in tiles, and the whole in larger ones."""
    import torch

    screen = Screen(vectors, find_copies(vectors).first)
    tile, n = screen.tile, len(screen)
    if screen.on_gpu:
        torch.cuda.synchronize()

    def strip(row: int) -> None:
        cells = screen.room()
        for column in range(row, n, tile):
            screen.products(slice(row, row + tile), slice(column, column + tile), cells)
        if screen.on_gpu:
            torch.cuda.synchronize()

    strip(n - tile if n > tile else 0)
    start = time.perf_counter()
    with one_thread_each() as pool:
        list(pool.map(strip, range(0, n, tile)))
    triangle = time.perf_counter() - start
    start = time.perf_counter()
    for row in range(0, n, FULL_TILE):
        for column in range(0, n, FULL_TILE):
            torch.mm(screen.low[row : row + FULL_TILE], screen.low[column : column + FULL_TILE].T)
    if screen.on_gpu:
        torch.cuda.synchronize()
    return {"triangle": triangle, "full": time.perf_counter() - start}


CHILDREN: dict[str, Callable[[NDArray[np.float32], int | None], dict[str, float]]] = {
    "graph": built,
    "product": multiplied,
}


def measured(path: Path, most_pairs: int | None) -> dict[str, float]:
    """What both children say."""
    report: dict[str, float] = {}
    for name in CHILDREN:
        command = [sys.executable, "-m", "benchmarks.graph", "--child", name, "--file", str(path)]
        command += ["--most-pairs", str(most_pairs)] if most_pairs else []
        done = subprocess.run(command, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(done.stderr)
        report |= json.loads(done.stdout.splitlines()[-1])
    return report


def line(name: str, shape: tuple[int, ...], found: dict[str, float]) -> str:
    """A row of the table."""
    cells = [
        f"{name}, {shape[0]:,} x {shape[1]:,}",
        f"{found['groups']:,.0f}",
        f"{found['pairs']:,.0f}",
        f"{found['floor']:.2f}",
        f"{found['seconds']:.2f}",
        f"{found['cpu']:.2f}",
        f"{found['triangle']:.2f}",
        f"{found['full']:.2f}",
        f"{found['seconds'] / found['triangle']:.2f}",
        f"{found['megabytes']:,.0f}",
        "exact" if found["exact"] else "WRONG",
    ]
    return f"| {' | '.join(cells)} |"


HEAD = """\
| pool | distinct | pairs | floor | s | CPU s | triangle s | full s | x triangle | peak MB | edges |
| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |"""


def parser() -> argparse.ArgumentParser:
    """The options."""
    made = argparse.ArgumentParser(prog="benchmarks.graph", description=__doc__)
    made.formatter_class = argparse.RawDescriptionHelpFormatter
    made.add_argument("--embeddings", type=Path, help="(n, d) float32 .npy, before the others")
    made.add_argument("--rows", type=int, nargs="*", default=[10_000, 52_002], help="generated")
    made.add_argument("--dimension", type=int, default=384, help="of generated pools")
    made.add_argument("--most-pairs", type=int, help="budget of edges (default: the builder's)")
    made.add_argument("--write", action="store_true", help="add the table to RESULTS.md")
    made.add_argument("--child", choices=tuple(CHILDREN), help=argparse.SUPPRESS)
    made.add_argument("--file", type=Path, help=argparse.SUPPRESS)
    return made


def main() -> None:
    """Prints the table, line by line."""
    options = parser().parse_args()
    if options.child:
        vectors = np.load(options.file, mmap_mode="r")
        print(json.dumps(CHILDREN[options.child](vectors, options.most_pairs)))
        return
    lines, sizes, seconds = [HEAD], [], []
    print(HEAD, flush=True)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "vectors.npy"
        pools = [(options.embeddings, 0)] if options.embeddings else []
        for given, rows in [*pools, *((None, rows) for rows in options.rows)]:
            if given is None:
                np.save(file, generated_pool(rows, options.dimension))
            path = given or file
            shape = np.load(path, mmap_mode="r").shape
            found = measured(path, options.most_pairs)
            lines.append(line(given.stem if given else "generated", shape, found))
            print(lines[-1], flush=True)
            if given is None:
                sizes.append(rows)
                seconds.append(found["seconds"])
    table = "\n".join(lines)
    if len(sizes) > 1:
        exponent = np.polyfit(np.log(sizes), np.log(seconds), 1)[0]
        table += f"\n\nTime of generated pools grows with rows to the power of {exponent:.2f}."
        print(table.splitlines()[-1])
    if options.write:
        write_section("Similarity graph", table)


if __name__ == "__main__":
    main()
