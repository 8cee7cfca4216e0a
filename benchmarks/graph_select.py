"""Selecting on the similarity graph: how long a move of a slider takes, and that it is exact.

    python -m benchmarks.graph_select                          generated pool, 52,002 x 384
    python -m benchmarks.graph_select --embeddings FILE.npy    embeddings of your own
    python -m benchmarks.graph_select --rows 52002 300000      several sizes
    python -m benchmarks.graph_select --write                  add to benchmarks/RESULTS.md

One process, warm. Each call is the whole of `select`: a random threshold above the floor, a random
budget (one in four has none), and in a second series also another weighting of the scores,
which changes the order of all rows. Every tenth selection (of large pools only those
of a moderate budget) is compared with `repr_filter`, which never sees the graph.
"""

from __future__ import annotations

import argparse
import dataclasses
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.pools import generated_pool
from benchmarks.results import write_section
from deita_core.selection import PoolTable, SelectionRule, repr_filter, select
from deita_core.similarity.graph_build import build_graph

CALLS = 200
# The plain filter takes minutes for larger budgets on pools of 100,000 rows and more.
COMPARED_BUDGET = 30_000


def pool_table(vectors: NDArray[np.float32], seed: int = 0) -> PoolTable:
    """Rows of one turn with scores like those of a scorer: 1 to 6, one decimal, so with ties."""
    rng = np.random.default_rng(seed)
    complexity = np.round(np.clip(rng.normal(3, 0.8, len(vectors)), 1, 6), 1).astype(np.float32)
    quality = np.round(np.clip(rng.normal(4, 0.7, len(vectors)), 1, 6), 1).astype(np.float32)
    table = PoolTable.of_scores(complexity, quality, vectors)
    return dataclasses.replace(table, graph=build_graph(vectors))


def random_rules(table: PoolTable, new_order: bool, seed: int) -> list[SelectionRule]:
    """Rules as a curator's hand might make them."""
    assert table.graph is not None
    rng = np.random.default_rng(seed)
    lowest, rows = table.graph.floor, len(table)
    rules = []
    for number in range(CALLS):
        rules.append(
            SelectionRule(
                threshold=round(float(rng.uniform(lowest, 0.99)), 2),
                budget=None if number % 4 == 3 else int(rng.integers(rows // 100, rows // 3)),
                complexity_weight=round(float(rng.uniform(0, 2)), 1) if new_order else 1.0,
                quality_weight=round(float(rng.uniform(0.5, 2)), 1) if new_order else 1.0,
            )
        )
    return rules


def timed(table: PoolTable, new_order: bool) -> tuple[list[float], int]:
    """Seconds of each call, and how many selections were compared with the plain filter."""
    select(SelectionRule(threshold=0.95, budget=100), table)
    seconds, compared = [], 0
    for number, rule in enumerate(random_rules(table, new_order, seed=1)):
        start = time.perf_counter()
        outcome = select(rule, table)
        seconds.append(time.perf_counter() - start)
        quick = len(table) < 100_000 or (rule.budget or len(table)) <= COMPARED_BUDGET
        if number % 10 == 0 and quick:
            plain = repr_filter(table.vectors, outcome.scores, rule.threshold, rule.budget)
            if not np.array_equal(plain, outcome.kept):
                raise SystemExit(f"the graph chose other rows than the filter under {rule}")
            compared += 1
    return seconds, compared


def main() -> None:
    """Prints a line for each pool and series."""
    parser = argparse.ArgumentParser(prog="benchmarks.graph_select", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--embeddings", help="(n, d) float32 .npy; otherwise generated pools")
    parser.add_argument("--rows", type=int, nargs="+", default=[52_002], help="of generated pools")
    parser.add_argument("--dimension", type=int, default=384, help="of generated pools")
    parser.add_argument("--write", action="store_true", help="add the table to RESULTS.md")
    options = parser.parse_args()
    lines = [
        "| pool | floor | pairs | what changes | median ms | 95th percentile ms | slowest ms | "
        "identical to the filter |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for rows in [0] if options.embeddings else options.rows:
        if options.embeddings:
            vectors = np.load(options.embeddings).astype(np.float32)
            name = Path(options.embeddings).stem
        else:
            vectors, name = generated_pool(rows, options.dimension), "generated"
        table = pool_table(vectors)
        assert table.graph is not None
        for what, new_order in (("threshold, budget", False), ("also the order", True)):
            seconds, compared = timed(table, new_order)
            middle, high, worst = 1000 * np.quantile(seconds, [0.5, 0.95, 1.0])
            lines.append(
                f"| {name}, {len(vectors):,} x {vectors.shape[1]} | {table.graph.floor:.2f} | "
                f"{table.graph.pairs:,} | {what} | {middle:.1f} | {high:.1f} | {worst:.1f} | "
                f"{compared} of {compared} |"
            )
            print(lines[-1], flush=True)
    print("\n".join(lines))
    if options.write:
        write_section(f"Select on the similarity graph, {CALLS} calls", "\n".join(lines))


if __name__ == "__main__":
    main()
