"""jobs: workers with fake models; kills, cancels and stops with real processes; errors, resumes."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

from deita_core.errors import ProjectError
from deita_core.formats.read import detect
from deita_core.jobs import JobRunner
from deita_core.jobs.chains import register_files
from deita_core.jobs.handover import IDENTITIES, OUTCOME, Handover, Part
from deita_core.jobs.kind import JobSpec
from deita_core.jobs.kinds import (
    EmbedSpec,
    ExportSpec,
    GraphSpec,
    ImportSpec,
    MapSpec,
    ScoreSpec,
    SelectSpec,
)
from deita_core.jobs.kinds.select_rows import select_and_save
from deita_core.project import Project
from deita_core.project.browse import project_info
from deita_core.project.graphs import graphs_folder, has_graph
from deita_core.project.job_log import JobRecord, add_job, jobs, set_job_state
from deita_core.project.models import ModelIdentity, register_model
from deita_core.project.pool import sources
from deita_core.project.scores import scorers
from deita_core.project.selections import find_selection, selection_rows
from deita_core.project.vectors import add_embeddings, embedders
from deita_core.selection.rule import SelectionRule
from tests.builders import imported_project, prepared_project, vector_table

FAKE = ScoreSpec(complexity="tests.fakes:LengthScorer", quality="tests.fakes:LengthScorer")
SLOW = ScoreSpec(complexity="tests.fakes:SlowScorer", quality="tests.fakes:SlowScorer")


ROWS = [json.dumps({"instruction": f"question {i}", "output": f"{i}"}) for i in range(2497)]
# 2,500 rows: one duplicate, one row without an answer, one that is broken.
POOL = "\n".join([*ROWS, ROWS[0], json.dumps({"instruction": "unanswered"}), '{"instruction": \n'])


@contextmanager
def running(project: Project) -> Iterator[JobRunner]:
    made = JobRunner(project)
    made.start()
    try:
        yield made
    finally:
        made.stop()


@pytest.fixture
def runner(project: Project) -> Iterator[JobRunner]:
    with running(project) as made:
        yield made


@pytest.fixture
def pool_file(tmp_path: Path) -> Path:
    path = tmp_path / "pool.jsonl"
    path.write_text(POOL)
    return path


@pytest.fixture
def imported(tmp_path: Path) -> Iterator[Project]:
    """A project with the pool imported and nothing else, without a worker of its own."""
    with Project.open(imported_project(tmp_path / "imported.duckdb", POOL)) as opened:
        yield opened


@pytest.fixture
def imported_runner(imported: Project) -> Iterator[JobRunner]:
    with running(imported) as made:
        yield made


def finished(runner: JobRunner, numbers: list[int], seconds: float = 60) -> list[JobRecord]:
    """The records of the jobs once all have ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = {record.job: record for record in runner.records(100)}
        if not any(found[number].active for number in numbers):
            return [found[number] for number in numbers]
        time.sleep(0.05)
    raise AssertionError(f"still running after {seconds} s: {runner.records()}")


def do(runner: JobRunner, *chain: JobSpec) -> list[JobRecord]:
    return finished(runner, runner.submit(chain))


def test_a_pool_is_imported_scored_and_embedded(
    project: Project, runner: JobRunner, pool_file: Path
) -> None:
    numbers = register_files(project, [pool_file])
    done = do(
        runner, ImportSpec(sources=numbers), FAKE, EmbedSpec(embedder="tests.fakes:HashEmbedder")
    )
    assert [(record.state, record.error) for record in done] == [("done", None)] * 3
    found = project_info(project)
    assert (found.read, found.imported, found.duplicates, found.rejected) == (2500, 2498, 1, 1)
    assert (found.scored, found.failed, found.unscored) == (2497, 1, 0)
    assert found.embedded == 2498
    assert embedders(project)[0].model == "tests/hash"


@pytest.mark.usefixtures("job_here")
def test_a_file_is_imported_as_it_was_detected(
    project: Project, runner: JobRunner, pool_file: Path
) -> None:
    found = detect(pool_file)
    numbers = register_files(project, [pool_file], detected=[found])
    (source,) = sources(project)
    assert (source.container, source.explanation) == (found.container.to_json(), found.explanation)
    (done,) = do(runner, ImportSpec(sources=numbers))
    assert (done.state, project_info(project).imported) == ("done", 2498)
    assert sources(project)[0].mapping == found.mapping.to_json()


@pytest.mark.usefixtures("job_here")
def test_a_second_run_has_nothing_left_to_do(
    imported: Project, imported_runner: JobRunner, pool_file: Path
) -> None:
    do(imported_runner, FAKE)
    assert register_files(imported, [pool_file]) == []
    (again,) = do(imported_runner, FAKE)
    assert (again.state, again.progress.done, again.progress.total) == ("done", 0, 0)


def test_a_killed_worker_is_started_again_and_loses_nothing(
    imported: Project,
    imported_runner: JobRunner,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DEITA_TEST_KILL_ONCE", str(tmp_path / "marker"))
    monkeypatch.setenv("DEITA_TEST_DELAY", "0")
    (scoring,) = do(imported_runner, SLOW)
    assert (tmp_path / "marker").read_text().startswith("xx")
    assert scoring.state == "done"
    assert [s.scored + s.failed for s in scorers(imported)] == [2498, 2498]


def test_a_cancelled_job_keeps_what_it_did_and_goes_on(
    imported: Project, imported_runner: JobRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEITA_TEST_DELAY", "0.5")
    (number,) = imported_runner.submit([SLOW])
    while not any(s.scored for s in scorers(imported)):
        time.sleep(0.02)
    imported_runner.cancel(number)
    (cancelled,) = finished(imported_runner, [number])
    part = project_info(imported)
    assert cancelled.state == "cancelled"
    assert 0 < part.unscored < 2498
    monkeypatch.setenv("DEITA_TEST_DELAY", "0")
    imported_runner.resume(number)
    (resumed,) = finished(imported_runner, [number])
    assert resumed.state == "done"
    assert project_info(imported).unscored == 0


def test_a_cancel_while_the_model_loads_ends_the_job_at_once(
    imported: Project, imported_runner: JobRunner, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The worker is ended while it loads: it never comes to a word of its own, nor to its input."""
    monkeypatch.setattr("deita_core.jobs.runner._GRACE_SECONDS", math.inf)  # none is waited for
    loading = ScoreSpec(complexity="tests.fakes:loading_scorer")
    (number,) = imported_runner.submit([loading])
    handover = Handover(imported.folder / f"job-{number}")
    while not (handover.folder / "pid").exists():
        time.sleep(0.02)
    imported_runner.cancel(number)
    (cancelled,) = finished(imported_runner, [number])
    assert (cancelled.state, cancelled.error) == ("cancelled", None)
    assert handover.told(IDENTITIES) is None  # it was still loading
    assert handover.told(OUTCOME) is None  # it did not stop by itself
    assert scorers(imported) == []


def test_a_cancelled_graph_ends_cancelled_and_leaves_no_half_graph(tmp_path: Path) -> None:
    """Its threads stop by what a report of progress raises, in the middle of the pairs."""
    rows = 30_000
    with Project.open(tmp_path / "large.duckdb", create=True) as project:
        embedder = register_model(
            project, "embedding", ModelIdentity(id="tests/wide", revision="1", width=32)
        )
        vectors = np.random.default_rng(0).normal(size=(rows, 32)).astype(np.float32)
        add_embeddings(project, embedder, vector_table(vectors))
        with running(project) as runner:
            (number,) = runner.submit([GraphSpec(floor=0.1)])
            while not runner.record(number).progress.total:
                time.sleep(0.01)
            runner.cancel(number)
            (cancelled,) = finished(runner, [number])
        assert (cancelled.state, cancelled.error) == ("cancelled", None)
        assert cancelled.progress.done < cancelled.progress.total
        assert not has_graph(project)
        assert not graphs_folder(project.path).exists()
        assert list(project.folder.rglob("graph*")) == []


@pytest.mark.usefixtures("job_here")
def test_the_jobs_behind_a_failed_one_do_not_start(imported_runner: JobRunner) -> None:
    broken = ScoreSpec(complexity="tests.fakes:broken_scorer", quality="tests.fakes:broken_scorer")
    first, second = do(imported_runner, broken, EmbedSpec(embedder="tests.fakes:HashEmbedder"))
    assert first.state == "failed"
    assert first.error == "no weights for complexity: put them there"
    assert second.state == "cancelled"
    assert second.error == f"not started: job {first.job} (score) was failed"


@pytest.mark.usefixtures("job_here")
def test_a_file_that_cannot_be_read_fails_with_its_reason(
    project: Project, runner: JobRunner, tmp_path: Path
) -> None:
    (tmp_path / "odd.json").write_text('[{"colour": "red"}]')
    (record,) = do(runner, ImportSpec(sources=register_files(project, [tmp_path / "odd.json"])))
    assert record.state == "failed"
    assert "colour" in str(record.error)
    assert sources(project) == []


@pytest.mark.usefixtures("job_here")
def test_a_map_without_embeddings_says_what_to_do(project: Project, runner: JobRunner) -> None:
    (record,) = do(runner, MapSpec())
    assert (record.state, "embed the pool first" in str(record.error)) == ("failed", True)


def test_an_export_of_an_unknown_selection_is_not_queued(
    project: Project, runner: JobRunner, tmp_path: Path
) -> None:
    with pytest.raises(ProjectError, match="no selection 'best'"):
        do(runner, ExportSpec(selection="best", format="sharegpt", out=tmp_path / "out.json"))
    assert jobs(project) == []


@pytest.mark.usefixtures("job_here")
def test_what_a_job_needs_may_come_from_the_job_before_it(tmp_path: Path) -> None:
    out = tmp_path / "out.json"
    chain = (
        SelectSpec(rule=SelectionRule(budget=3).to_json(), name="best"),
        ExportSpec(selection="best", format="sharegpt", out=out),
    )
    path = prepared_project(tmp_path / "topics.duckdb")
    with Project.open(path) as project, running(project) as made:
        assert [record.state for record in do(made, *chain)] == ["done", "done"]
    assert len(json.loads(out.read_text())) == 3


def test_jobs_of_a_dead_server_are_taken_up(project: Project, pool_file: Path) -> None:
    number = add_job(project, "import", {"sources": register_files(project, [pool_file])})
    set_job_state(project, number, "running")
    runner = JobRunner(project)
    left = runner.start()
    try:
        assert [job.job for job in left] == [number]
        assert finished(runner, [number])[0].state == "done"
    finally:
        runner.stop()
    assert project_info(project).imported == 2498


def test_a_batch_that_was_not_committed_is_not_lost(imported: Project) -> None:
    """A server killed between a worker's batch and its commit finds the batch at its next start."""
    number = add_job(imported, FAKE.kind, FAKE.to_json())
    handover = Handover(imported.folder / f"job-{number}")
    handover.create(FAKE.kind, FAKE.to_json())
    handover.tell(IDENTITIES, {"complexity": ModelIdentity(id="tests/length", revision="1")})
    import pyarrow as pa

    table = pa.table(
        {
            "row": pa.array([7], pa.int32()),
            "turn": pa.array([0], pa.int32()),
            "score": pa.array([5.5], pa.float32()),
            "reason": pa.array([None], pa.string()),
        }
    )
    handover.put(1, Part({"complexity": table}))
    with running(imported) as second:
        finished(second, [number])
    assert imported.cursor().execute(
        "SELECT count(*) FROM scores WHERE row = 7 AND turn = 0"
    ).fetchall() == [(2,)]
    assert not handover.folder.exists()


def test_stopping_the_server_leaves_the_job_to_the_next_one(
    imported: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEITA_TEST_DELAY", "0.5")
    with running(imported) as runner:
        numbers = runner.submit([SLOW])
        while not any(s.scored for s in scorers(imported)):
            time.sleep(0.02)
    assert [job.state for job in jobs(imported)] == ["running", "done"]
    monkeypatch.setenv("DEITA_TEST_DELAY", "0")
    with running(imported) as second:
        assert [r.state for r in finished(second, numbers)] == ["done"]
    assert project_info(imported).unscored == 0


@pytest.mark.usefixtures("job_here")
def test_a_selection_made_by_a_job_is_the_one_made_here(tmp_path: Path) -> None:
    rule = SelectionRule(threshold=0.95, budget=9)
    with Project.open(prepared_project(tmp_path / "topics.duckdb")) as project:
        here = select_and_save(project, rule, "here")
        runner = JobRunner(project)
        runner.start()
        _, record = do(
            runner, GraphSpec(), SelectSpec(rule=rule.to_json(), name="there", notes="a note")
        )
        assert has_graph(project)
        runner.stop()
        there = find_selection(project, "there")
        assert record.state == "done", record.error
        assert record.message == there.sentence == here.sentence()
        assert selection_rows(project, there.selection)[0] == here.kept.tolist()
        assert there.notes == "a note"
