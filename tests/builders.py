"""Builds small projects, each once in a run of the tests; a test gets a copy of its own."""

from __future__ import annotations

import atexit
import hashlib
import json
import shutil
import tempfile
import time
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from numpy.typing import NDArray

from deita_core.conversation import Conversation, Message
from deita_core.formats.read.containers import Container
from deita_core.formats.read.layout import Mapping, PoolRow, Reject
from deita_core.jobs import JobRunner
from deita_core.jobs.chains import register_files
from deita_core.jobs.handover import Identities, Part
from deita_core.jobs.kinds import ImportSpec
from deita_core.jobs.kinds.import_pool import rows_and_rejects
from deita_core.project import Project
from deita_core.project.graphs import graph_key, graphs_folder, set_graph
from deita_core.project.job_log import Progress
from deita_core.project.models import ModelIdentity, active_model, register_model
from deita_core.project.pool import add_rows, add_source, finish_source, set_source_facts
from deita_core.project.scores import add_scores
from deita_core.project.vectors import add_embeddings, load_vectors, set_map
from deita_core.similarity.graph import save_graph
from deita_core.similarity.graph_build import build_graph
from tests.workers import work_in_threads

_TOPICS = ("bread", "rivers", "matrices", "poems", "taxes")


def conversation(number: int) -> Conversation:
    """The number-th conversation: topics go round, every fifth has two turns."""
    topic = _TOPICS[number % len(_TOPICS)]
    said = [
        Message("user", f"Tell me about {topic}, item {number}."),
        Message("assistant", f"Here is what matters about {topic}: it is number {number}."),
    ]
    if number % 5 == 0:
        said += [Message("user", "And then?"), Message("assistant", "Then it goes on.")]
    return Conversation(tuple(said))


def empty_project(path: Path) -> Path:
    """A closed project file without rows, named as the file."""
    shutil.copyfile(_empty(path.name), path)
    return path


@cache
def _empty(name: str) -> Path:
    path = _templates() / "empty" / name
    path.parent.mkdir(exist_ok=True)
    Project.open(path, create=True).close()
    return path


def prepared_project(path: Path, rows: int = 60) -> Path:
    """A closed project file with `rows` conversations, one duplicate and one reject."""
    path.parent.mkdir(exist_ok=True)
    shutil.copyfile(_prepared(path.name, rows), path)
    return path


@cache
def _templates() -> Path:
    """A folder for the projects that tests get copies of; gone when the tests are over."""
    folder = Path(tempfile.mkdtemp(prefix="deita-tests-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def _prepared(name: str, rows: int) -> Path:
    path = _templates() / f"prepared-{rows}" / name
    path.parent.mkdir(exist_ok=True)
    random = np.random.default_rng(7)
    with Project.open(path, create=True) as project:
        _import(project, rows)
        turns = [(row, turn.index) for row in range(rows) for turn in conversation(row).turns]
        for dimension in ("complexity", "quality"):
            scorer = register_model(
                project, dimension, ModelIdentity(id=f"tests/{dimension}", revision="1")
            )
            scores = random.uniform(1, 6, len(turns)).astype(np.float32)
            add_scores(project, scorer, _scores(turns, scores))
        embedder = register_model(
            project,
            "embedding",
            ModelIdentity(
                id="tests/embedder", revision="1", parameters={"max_tokens": 256}, width=8
            ),
        )
        centres = random.normal(size=(len(_TOPICS), 8))
        vectors = centres[np.arange(rows) % len(_TOPICS)] + 0.2 * random.normal(size=(rows, 8))
        add_embeddings(project, embedder, vector_table(vectors.astype(np.float32)))
        points = {"row": pa.array(range(rows), pa.int32()), "x": vectors[:, 0], "y": vectors[:, 1]}
        set_map(project, embedder, pa.table(points), {"seed": 42})
    return path


@cache
def _imported(name: str, pool: str) -> Path:
    folder = _templates() / f"imported-{hashlib.sha256(pool.encode()).hexdigest()[:8]}"
    folder.mkdir(exist_ok=True)
    file, path = folder / "pool.jsonl", folder / name
    file.write_text(pool, encoding="utf-8")
    with pytest.MonkeyPatch.context() as patch, Project.open(path, create=True) as project:
        work_in_threads(patch)
        runner = JobRunner(project)
        runner.start()
        runner.submit([ImportSpec(sources=register_files(project, [file]))])
        while runner.busy:
            time.sleep(0.02)
        runner.stop()
    return path


def imported_project(path: Path, pool: str) -> Path:
    """A closed project with the rows of a pool in JSON Lines, imported and nothing else."""
    shutil.copyfile(_imported(path.name, pool), path)
    return path


def with_graph(path: Path, floor: float = 0.2) -> Path:
    """Give a prepared project its similarity graph, and five clusters."""
    made = _with_graph(path.name, path.read_bytes(), floor)
    shutil.copyfile(made, path)
    # Not linked, as `copy_graphs` would: tests damage graphs.
    shutil.copytree(graphs_folder(made), graphs_folder(path), dirs_exist_ok=True)
    return path


@cache
def _with_graph(name: str, project_file: bytes, floor: float) -> Path:
    path = Path(tempfile.mkdtemp(prefix="graph-", dir=_templates())) / name
    path.write_bytes(project_file)
    made = path.with_name("made-graph")
    with Project.open(path) as project:
        embedder = active_model(project, "embedding")
        assert embedder is not None
        rows, vectors = load_vectors(project, embedder)
        key = graph_key(project, embedder)
        clusters = {"rows": rows, "clusters": (rows % 5).astype(np.int32)}
        save_graph(made, build_graph(vectors, floor), key, clusters)
        set_graph(project, made, key)
    return path


def _import(project: Project, rows: int) -> None:
    source = add_source(project, "topics.jsonl", "/data/topics.jsonl", None)
    facts = {
        "path": "/data/topics.jsonl",
        "sha256": "ab" * 32,
        "bytes": 1234,
        "container": Container("jsonl", "").to_json(),
        "mapping": Mapping("sharegpt").to_json(),
        "explanation": "JSON Lines in the layout ShareGPT.",
    }
    set_source_facts(project, source, facts)
    batch: list[PoolRow | Reject] = [
        PoolRow(i, i + 1, conversation(i), json.dumps({"id": i, "kept": "as it was"}))
        for i in range(rows)
    ]
    batch.append(PoolRow(rows, rows + 1, conversation(0), "{}"))
    batch.append(Reject(rows + 1, rows + 2, "broken JSON", '{"conversations": ['))
    add_rows(project, source, *rows_and_rejects(batch))
    finish_source(project, source, rows + 2)


def _scores(turns: list[tuple[int, int]], scores: np.ndarray) -> pa.Table:
    missing = [place == 3 for place in range(len(turns))]
    return pa.table(
        {
            "row": pa.array([row for row, _ in turns], pa.int32()),
            "turn": pa.array([turn for _, turn in turns], pa.int32()),
            "score": pa.array(scores, mask=np.array(missing)),
            "reason": pa.array(["too long" if m else None for m in missing], pa.string()),
        }
    )


def vector_table(vectors: np.ndarray) -> pa.Table:
    """Vectors of the first rows, as `add_embeddings` takes them; that of row 1 is cut."""
    count = len(vectors)
    return pa.table(
        {
            "row": pa.array(range(count), pa.int32()),
            "vector": pa.array(list(vectors), pa.list_(pa.float32())),
            "tokens": pa.array([20] * count, pa.int32()),
            "truncated": pa.array([i == 1 for i in range(count)]),
            "reason": pa.array([None] * count, pa.string()),
        }
    )


def crowded(n: int, d: int, noise: float, seed: int = 0) -> NDArray[np.float32]:
    """(n, d) float32 in 20 clusters as tight as `noise` is small."""
    rng = np.random.default_rng(seed)
    centres = rng.normal(size=(20, d))
    return (centres[rng.integers(0, 20, n)] + noise * rng.normal(size=(n, d))).astype(np.float32)


class Channel:
    """Runs both sides of a job in this process."""

    def __init__(self, project: Project, spec: Any, folder: Path) -> None:
        spec.check(project)
        self.parts: list[Part] = []
        self.identities: Identities = {}
        self.folder = folder
        folder.mkdir(exist_ok=True)
        self.total = spec.prepare(project, {}, folder)
        self.message = ""
        spec.work(self)
        for part in self.parts:
            spec.commit(project, self.identities, part)

    def get_input(self) -> tuple[Path, int]:
        return self.folder, self.total

    def set_identities(self, identities: Identities) -> None:
        self.identities = identities

    def put(self, part: Part) -> None:
        self.parts.append(part)

    def check(self) -> None:
        """Nobody cancels it."""

    def report(self, progress: Progress) -> None:
        self.message = progress.sentence()
