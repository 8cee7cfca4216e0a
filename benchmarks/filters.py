"""How long a filter, a search and closeness take over a whole pool.

    python -m benchmarks.filters [--rows N ...] [--pool FILE] [--write]

Projects of N rows are made (52,000 rows, if nothing else is said), or the pool file is imported
and given made vectors. Each figure is the median of seven runs, after one that is not counted; a
page holds the pool's table and vectors, so they are read beforehand.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.made_project import BATCH, DIMENSION, add_vectors, made_vectors, make_project
from benchmarks.results import machine, write_section
from deita_core.embedding.minilm import MODEL_ID, REVISION, MiniLM
from deita_core.filtering import PoolColumns, matching_rows, parse_filter
from deita_core.filtering.filter import Filter, Near
from deita_core.filtering.nearness import closeness
from deita_core.filtering.search import hits
from deita_core.formats.read import read
from deita_core.jobs.kinds.import_pool import rows_and_rejects
from deita_core.project import Project
from deita_core.project.browse import stored_rows
from deita_core.project.ledger import tag_rows, undo
from deita_core.project.models import ModelIdentity, register_model
from deita_core.project.pool import add_rows, add_source, finish_source
from deita_core.selection.pool_table import PoolTable

RUNS = 7


def timed(work: Callable[[], object]) -> float:
    """Median of `RUNS` runs, in milliseconds."""
    work()
    taken = []
    for _ in range(RUNS):
        start = time.perf_counter()
        work()
        taken.append(1000 * (time.perf_counter() - start))
    return statistics.median(taken)


def with_minilm_vectors(path: Path) -> None:
    """Made vectors under the name of the embedded model, so that texts can be compared."""
    with Project.open(path) as project:
        rows = project.number("SELECT count(*) FROM conversations")
        identity = ModelIdentity(id=MODEL_ID, revision=REVISION, width=DIMENSION)
        embedder = register_model(project, "embedding", identity)
        vectors, _ = made_vectors(rows, np.random.default_rng(0))
        add_vectors(project, embedder, vectors)


def imported(path: Path, pool: Path) -> Path:
    """A project with the rows of a pool file and nothing else."""
    with Project.open(path, create=True) as project:
        source = add_source(project, pool.name, str(pool), None)
        rows = list(read(pool))
        for start in range(0, len(rows), BATCH):
            add_rows(project, source, *rows_and_rejects(rows[start : start + BATCH]))
        finish_source(project, source, len(rows))
    return path


def measure(path: Path, embedder: MiniLM) -> list[tuple[str, float]]:
    """What was done, and how long it took."""
    with Project.open(path) as project:
        columns = PoolColumns(project, load=lambda record: embedder)
        table = columns.with_vectors
        columns = PoolColumns(project, table, load=lambda record: embedder)
        some = project.values("SELECT id FROM conversations WHERE row = 8")[0]
        prompts = ",".join(f"prompt {n} about something else" for n in range(50))
        filters = {
            "bounds and names": "turns=2..;language=en",
            "a rare word": "search=sourdough",
            "a word in most rows": "search=the",
            "three words": "search=what from the",
            "a regular expression": "search=/\\\\b[a-z]+ing\\\\b.*\\\\?/",
            "SQL on numbers": "where=turns > (SELECT avg(turns) FROM pool)",
            "SQL on texts": "where=text LIKE '%what%'",
            "by meaning": "meaning=how to bake bread",
            "rows like this": f"like={some}",
            "like 50 examples": f"meaning={prompts}",
        }
        found = []
        for what, text in filters.items():
            wanted = parse_filter(text).strict()

            run = partial(_count, wanted, project, table, embedder)
            found.append((f"{what} ({run():,} rows)", timed(run)))
        rows = np.flatnonzero(matching_rows(parse_filter("search=the").strict(), columns))
        found.append(("hits in 120 rows", timed(partial(_hits, project, rows[:120].tolist()))))
        near = Near(texts=("how to bake bread",))
        found.append(("closeness as a column", timed(lambda: closeness(near, columns))))
        every = range(len(columns))

        def tag_and_undo() -> None:
            undo(project, tag_rows(project, every, "all of them").entry)

        found.append(("all rows tagged, and that undone", timed(tag_and_undo)))
    return found


def _count(wanted: Filter, project: Project, table: PoolTable, embedder: MiniLM) -> int:
    return int(
        matching_rows(wanted, PoolColumns(project, table, load=lambda record: embedder)).sum()
    )


def _hits(project: Project, rows: list[int]) -> None:
    """What a list marks of a search: as many rows as go to the browser at once."""
    for one in stored_rows(project, rows):
        hits("the", one.conversation)


def main() -> None:
    """Measure, print, and with --write note it in RESULTS.md."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rows", type=int, nargs="*", default=[52_000])
    parser.add_argument("--pool", type=Path)
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    embedder = MiniLM()
    columns: dict[str, list[tuple[str, float]]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for rows in given.rows:
            path = make_project(Path(folder) / f"made{rows}.duckdb", rows)
            with_minilm_vectors(path)
            columns[f"{rows:,} made rows"] = measure(path, embedder)
        if given.pool is not None:
            path = imported(Path(folder) / "imported.duckdb", given.pool)
            with_minilm_vectors(path)
            columns[given.pool.name] = measure(path, embedder)
    lines = ["| pool | what | ms |", "| --- | --- | --- |"]
    lines += [
        f"| {pool} | {what} | {ms:.0f} |" for pool, found in columns.items() for what, ms in found
    ]
    table = "\n".join(lines)
    print(machine(), "", table, sep="\n")
    if given.write:
        write_section("Filters, search and closeness", table)


if __name__ == "__main__":
    main()
