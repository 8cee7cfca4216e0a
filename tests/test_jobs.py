"""jobs: real worker processes with fake models; kills, cancels, errors and resumes."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from deita_core.formats.read import detect
from deita_core.jobs import JobRunner
from deita_core.jobs.chains import register_files
from deita_core.jobs.curate import select_and_save
from deita_core.jobs.handover import IDENTITIES, Handover, Part
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
from deita_core.project import Project
from deita_core.project.browse import project_info
from deita_core.project.graphs import has_graph
from deita_core.project.job_log import JobRecord, add_job, jobs, set_job_state
from deita_core.project.models import ModelIdentity
from deita_core.project.pool import sources
from deita_core.project.scores import scorers
from deita_core.project.selections import find_selection, selection_rows
from deita_core.project.vectors import embedders
from deita_core.selection.rule import SelectionRule
from tests.builders import prepared_project

FAKE = ScoreSpec(complexity="tests.fakes:LengthScorer", quality="tests.fakes:LengthScorer")
SLOW = ScoreSpec(complexity="tests.fakes:SlowScorer", quality="tests.fakes:SlowScorer")


@pytest.fixture
def runner(project: Project) -> Iterator[JobRunner]:
    made = JobRunner(project)
    made.start()
    yield made
    made.stop()


@pytest.fixture
def pool_file(tmp_path: Path) -> Path:
    """2,500 rows: one duplicate, one row without an answer, one that is broken."""
    lines = [json.dumps({"instruction": f"question {i}", "output": f"{i}"}) for i in range(2497)]
    lines += [lines[0], json.dumps({"instruction": "unanswered"}), '{"instruction": ']
    path = tmp_path / "pool.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


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


def test_a_second_run_has_nothing_left_to_do(
    project: Project, runner: JobRunner, pool_file: Path
) -> None:
    do(runner, ImportSpec(sources=register_files(project, [pool_file])), FAKE)
    assert register_files(project, [pool_file]) == []
    (again,) = do(runner, FAKE)
    assert (again.state, again.progress.done, again.progress.total) == ("done", 0, 0)


def test_a_killed_worker_is_started_again_and_loses_nothing(
    project: Project,
    runner: JobRunner,
    pool_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DEITA_TEST_KILL_ONCE", str(tmp_path / "marker"))
    monkeypatch.setenv("DEITA_TEST_DELAY", "0")
    (record, scoring) = do(runner, ImportSpec(sources=register_files(project, [pool_file])), SLOW)
    assert (tmp_path / "marker").read_text().startswith("xx")
    assert (record.state, scoring.state) == ("done", "done")
    assert [s.scored + s.failed for s in scorers(project)] == [2498, 2498]


def test_a_cancelled_job_keeps_what_it_did_and_goes_on(
    project: Project, runner: JobRunner, pool_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    do(runner, ImportSpec(sources=register_files(project, [pool_file])))
    monkeypatch.setenv("DEITA_TEST_DELAY", "0.5")
    (number,) = runner.submit([SLOW])
    while not any(s.scored for s in scorers(project)):
        time.sleep(0.02)
    runner.cancel(number)
    (cancelled,) = finished(runner, [number])
    part = project_info(project)
    assert cancelled.state == "cancelled"
    assert 0 < part.unscored < 2498
    monkeypatch.setenv("DEITA_TEST_DELAY", "0")
    runner.resume(number)
    (resumed,) = finished(runner, [number])
    assert resumed.state == "done"
    assert project_info(project).unscored == 0


def test_a_cancel_while_the_model_loads_ends_the_job_at_once(
    project: Project, runner: JobRunner, pool_file: Path
) -> None:
    do(runner, ImportSpec(sources=register_files(project, [pool_file])))
    (number,) = runner.submit([ScoreSpec(complexity="tests.fakes:loading_scorer", quality=None)])
    while next(r for r in runner.records(9) if r.job == number).state != "running":
        time.sleep(0.02)
    asked = time.monotonic()
    runner.cancel(number)
    (cancelled,) = finished(runner, [number])
    assert cancelled.state == "cancelled"
    assert time.monotonic() - asked < 15  # the grace of a job that has begun is 20 s


def test_the_jobs_behind_a_failed_one_do_not_start(
    project: Project, runner: JobRunner, pool_file: Path
) -> None:
    do(runner, ImportSpec(sources=register_files(project, [pool_file])))
    broken = ScoreSpec(complexity="tests.fakes:broken_scorer", quality="tests.fakes:broken_scorer")
    first, second = do(runner, broken, EmbedSpec(embedder="tests.fakes:HashEmbedder"))
    assert first.state == "failed"
    assert first.error == "no weights for complexity: put them there"
    assert second.state == "cancelled"
    assert second.error == f"not started: job {first.job} (score) was failed"


def test_a_file_that_cannot_be_read_fails_with_its_reason(
    project: Project, runner: JobRunner, tmp_path: Path
) -> None:
    (tmp_path / "odd.json").write_text('[{"colour": "red"}]')
    (record,) = do(runner, ImportSpec(sources=register_files(project, [tmp_path / "odd.json"])))
    assert record.state == "failed"
    assert "colour" in str(record.error)
    assert sources(project)[0].state == "incomplete"


def test_a_map_without_embeddings_says_what_to_do(project: Project, runner: JobRunner) -> None:
    (record,) = do(runner, MapSpec())
    assert (record.state, "embed the pool first" in str(record.error)) == ("failed", True)


def test_an_export_of_an_unknown_selection_fails(
    project: Project, runner: JobRunner, tmp_path: Path
) -> None:
    (record,) = do(
        runner, ExportSpec(selection="best", format="sharegpt", out=tmp_path / "out.json")
    )
    assert record.state == "failed"
    assert "no selection 'best'" in str(record.error)
    assert not (tmp_path / "out.json").exists()


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


def test_a_batch_that_was_not_committed_is_not_lost(
    project: Project, runner: JobRunner, pool_file: Path
) -> None:
    """A server killed between a worker's batch and its commit finds the batch at its next start."""
    do(runner, ImportSpec(sources=register_files(project, [pool_file])))
    runner.stop()
    number = add_job(project, FAKE.kind, FAKE.to_json())
    handover = Handover(project.folder / f"job-{number}")
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
    second = JobRunner(project)
    second.start()
    finished(second, [number])
    second.stop()
    assert project.cursor().execute(
        "SELECT count(*) FROM scores WHERE row = 7 AND turn = 0"
    ).fetchall() == [(2,)]
    assert not handover.folder.exists()


def test_stopping_the_server_leaves_the_job_to_the_next_one(
    project: Project, pool_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEITA_TEST_DELAY", "0.5")
    runner = JobRunner(project)
    runner.start()
    numbers = runner.submit([ImportSpec(sources=register_files(project, [pool_file])), SLOW])
    while not any(s.scored for s in scorers(project)):
        time.sleep(0.02)
    runner.stop()
    assert [job.state for job in jobs(project)] == ["running", "done"]
    monkeypatch.setenv("DEITA_TEST_DELAY", "0")
    second = JobRunner(project)
    second.start()
    assert [r.state for r in finished(second, numbers)] == ["done", "done"]
    second.stop()
    assert project_info(project).unscored == 0


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
