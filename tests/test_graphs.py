"""The similarity graph of a project: built by a job, kept beside the file, found when current."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import cast

import numpy as np
import pyarrow as pa
import pytest

from deita_core.errors import JobCancelledError, JobError, ProjectError
from deita_core.jobs import JobRunner
from deita_core.jobs.handover import Part, WorkerChannel
from deita_core.jobs.kinds import GraphSpec, MapSpec
from deita_core.project import Project
from deita_core.project.folder import delete_project, duplicate_project
from deita_core.project.graphs import (
    graph_folder,
    graph_key,
    graphs_folder,
    has_graph,
    is_graph_damaged,
    load_clusters,
    load_graph,
    set_graph,
)
from deita_core.project.vectors import add_embeddings, load_vectors
from deita_core.similarity.graph import save_graph
from deita_core.similarity.graph_build import build_graph
from tests.builders import prepared_project


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """60 conversations with vectors, and no graph."""
    with Project.open(prepared_project(tmp_path / "pool.duckdb")) as opened:
        yield opened


def give_graph(project: Project) -> Path:
    """As the job does it, without a worker; returns the folder it was made in."""
    rows, vectors = load_vectors(project, 3)
    made = project.folder / "made"
    extra = {"rows": rows, "clusters": np.arange(len(rows), dtype=np.int32) % 3}
    save_graph(made, build_graph(vectors), graph_key(project, 3), extra)
    set_graph(project, made, graph_key(project, 3))
    return made


def embed_again(project: Project, row: int, reason: str | None = None) -> None:
    vector = None if reason else [1.0] * 8
    batch = {"row": [row], "vector": [vector], "tokens": [1], "truncated": [False]}
    columns = {name: pa.array(value) for name, value in batch.items()}
    columns["vector"] = pa.array([vector], pa.list_(pa.float32()))
    columns["reason"] = pa.array([reason], pa.string())
    add_embeddings(project, 3, pa.table(columns))


def test_a_project_without_a_graph_has_none(project: Project) -> None:
    assert load_graph(project) is None
    assert load_clusters(project) is None
    assert not has_graph(project)


def test_the_graph_of_the_present_vectors_is_found(project: Project) -> None:
    version = project.data_version()
    give_graph(project)
    graph = load_graph(project)
    assert graph is not None
    assert graph.pairs == build_graph(load_vectors(project, 3)[1]).pairs > 0
    assert project.data_version() > version


@pytest.mark.parametrize("reason", [None, "too long"])
def test_a_vector_made_again_makes_the_graph_stale(project: Project, reason: str | None) -> None:
    give_graph(project)
    embed_again(project, 5, reason)
    assert load_graph(project) is None
    assert load_clusters(project) is None


def test_a_vector_made_again_after_the_clock_was_put_back_makes_the_graph_stale(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    give_graph(project)
    monkeypatch.setattr("deita_core.project.vectors.now", lambda: datetime(1999, 1, 1))
    embed_again(project, 5)
    assert load_graph(project) is None


def test_clusters_have_a_place_for_rows_without_a_vector(project: Project) -> None:
    embed_again(project, 4, "too long")
    give_graph(project)
    clusters = load_clusters(project)
    assert clusters is not None
    assert clusters[:7].tolist() == [0, 1, 2, 0, -1, 1, 2]
    assert len(clusters) == 60


def test_a_new_graph_replaces_the_old_one(project: Project) -> None:
    for row in range(2):
        embed_again(project, row)
        give_graph(project)
    assert len(list(graphs_folder(project.path).iterdir())) == 1
    assert load_graph(project) is not None


def test_a_damaged_graph_counts_as_none(project: Project) -> None:
    give_graph(project)
    folder = graph_folder(project)
    assert folder is not None
    assert not is_graph_damaged(project)
    (folder / "start.npy").write_bytes(b"")
    assert load_graph(project) is None
    assert is_graph_damaged(project)
    assert not has_graph(project)  # so that whoever asks makes it anew


def test_clusters_of_rows_that_are_not_there_count_as_none(project: Project) -> None:
    give_graph(project)
    folder = graph_folder(project)
    assert folder is not None
    rows = np.load(folder / "rows.npy")
    rows[4] = 99
    np.save(folder / "rows.npy", rows)
    assert load_clusters(project) is None


def test_taking_over_the_same_graph_twice_is_harmless(project: Project) -> None:
    made = give_graph(project)
    set_graph(project, made, graph_key(project, 3))
    assert load_graph(project) is not None


def test_a_graph_that_is_nowhere_is_an_error(project: Project, tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match=r"no similarity graph at .*none: build it again"):
        set_graph(project, tmp_path / "none", graph_key(project, 3))


def test_a_copy_of_the_project_has_the_graph_and_deleting_it_leaves_the_first(
    project: Project,
) -> None:
    give_graph(project)
    copy = duplicate_project(project, "copy")
    with Project.open(copy) as copied:
        assert load_graph(copied) is not None
    delete_project(copy)
    assert not graphs_folder(copy).exists()
    assert load_graph(project) is not None


def test_the_job_needs_embeddings(tmp_path: Path) -> None:
    with (
        Project.open(tmp_path / "empty.duckdb", create=True) as empty,
        pytest.raises(JobError, match="embed the pool first"),
    ):
        GraphSpec().prepare(empty, {}, tmp_path)


def test_a_batch_that_comes_twice_is_taken_once(project: Project, tmp_path: Path) -> None:
    _, vectors = load_vectors(project, 3)
    key = graph_key(project, 3)
    save_graph(tmp_path / "made", build_graph(vectors), key)
    for _ in range(2):
        part = Part({}, {"made": str(tmp_path / "made"), "key": key})
        GraphSpec().commit(project, {}, part)
    assert load_graph(project) is not None


@pytest.mark.usefixtures("job_here")
def test_a_worker_builds_the_graph_and_the_map_uses_it(project: Project) -> None:
    runner = JobRunner(project)
    runner.start()
    try:
        numbers = runner.submit([GraphSpec(floor=0.3, clusters=5), MapSpec()])
        while runner.busy:
            time.sleep(0.05)
        records = {record.job: record for record in runner.records()}
    finally:
        runner.stop()
    assert [records[number].state for number in numbers] == ["done", "done"]
    assert (
        "of 60 distinct rows are more similar than 0.30; 5 clusters" in records[numbers[0]].message
    )
    graph, clusters = load_graph(project), load_clusters(project)
    assert graph is not None
    assert graph.floor == 0.3
    assert clusters is not None
    assert len(set(clusters.tolist())) == 5


def test_a_cancelled_job_stops_in_the_middle(tmp_path: Path) -> None:
    class Leaving:
        """A channel at which the user asks to stop after the first word."""

        told = 0

        def get_input(self) -> tuple[Path, int]:
            return tmp_path, 3000

        def report(self, progress: object) -> None:
            self.told += 1
            if self.told == 2:
                raise JobCancelledError("cancelled")

    np.save(tmp_path / "vectors.npy", np.random.default_rng(0).normal(size=(3000, 8)))
    np.save(tmp_path / "rows.npy", np.arange(3000))
    with pytest.raises(JobCancelledError):
        GraphSpec().work(cast(WorkerChannel, Leaving()))
    assert not (tmp_path / "graph").exists()
