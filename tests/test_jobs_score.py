"""jobs.score with scorers that are slow, short of memory, hopeless or far away."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deita_core.jobs import JobRunner
from deita_core.jobs.chains import score_chain
from deita_core.jobs.kind import JobSpec
from deita_core.jobs.kinds import EmbedSpec, ScoreSpec
from deita_core.jobs.kinds.model_runs import BatchSizer, BatchWindow
from deita_core.project import Project
from deita_core.project.job_log import JobRecord
from deita_core.project.models import active_model
from deita_core.project.scores import failures, forget_failures, health, scorers
from tests.builders import imported_project
from tests.fake_endpoint import LOGPROBS, SCORE, Fault, completion, serving

ROWS = 300


def pool() -> str:
    """300 rows, one of them long."""
    rows = [{"instruction": f"question {i}", "output": f"{i}"} for i in range(ROWS - 1)]
    return "\n".join(map(json.dumps, [*rows, {"instruction": "long " * 50, "output": "x"}]))


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    """A project with 300 imported conversations."""
    with Project.open(imported_project(tmp_path / "test.duckdb", pool())) as made:
        yield made


@pytest.fixture
def runner(project: Project) -> Iterator[JobRunner]:
    made = JobRunner(project)
    made.start()
    yield made
    made.stop()


def finished(runner: JobRunner, numbers: list[int], seconds: float = 60) -> JobRecord:
    """The record of the last job once all have ended."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        found = {record.job: record for record in runner.records(100)}
        if not any(found[number].active for number in numbers):
            return found[numbers[-1]]
        time.sleep(0.05)
    raise AssertionError(f"still running after {seconds} s: {runner.records()}")


def quality(name: str, **more: Any) -> list[JobSpec]:
    return [ScoreSpec(quality=f"tests.fakes:{name}", **more)]


@pytest.mark.usefixtures("job_here")
def test_one_dimension_can_be_scored_alone(project: Project, runner: JobRunner):
    assert finished(runner, runner.submit(quality("LengthScorer"))).state == "done"
    (only,) = scorers(project)
    assert (only.dimension, only.scored) == ("quality", ROWS)


@pytest.mark.usefixtures("job_here")
def test_a_hopeless_scorer_is_stopped_early(
    project: Project, runner: JobRunner, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DEITA_TEST_MASS", "0.03")
    record = finished(runner, runner.submit(quality("MassScorer")))
    assert record.state == "failed"
    assert "puts 3 % of its probability on the digits" in str(record.error)
    assert 100 <= scorers(project)[0].scored < ROWS


@pytest.mark.usefixtures("job_here")
def test_a_hopeless_scorer_goes_on_when_told_to(
    project: Project, runner: JobRunner, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DEITA_TEST_MASS", "0.03")
    record = finished(runner, runner.submit(quality("MassScorer", despite_health=True)))
    assert (record.state, scorers(project)[0].scored) == ("done", ROWS)
    found = health(project, scorers(project)[0].scorer)
    assert found.level == "hopeless"
    assert found.truncated == 30


@pytest.mark.usefixtures("job_here")
def test_progress_tells_rates_and_health(runner: JobRunner):
    record = finished(runner, runner.submit(quality("MassScorer")))
    assert "rows/s, about" in record.message
    assert "quality: 98 % of the probability is on the digits" in record.message


@pytest.mark.usefixtures("job_here")
def test_too_little_memory_halves_the_batch_down_to_the_turn(project: Project, runner: JobRunner):
    assert finished(runner, runner.submit(quality("SmallScorer"))).state == "done"
    assert scorers(project)[0].scored == ROWS - 1
    assert failures(project, 1) == [("out of memory", 1)]


def test_a_slow_scorer_commits_often_and_goes_on_after_a_cancel(
    project: Project, runner: JobRunner, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DEITA_TEST_DELAY", "1.5")
    (number,) = runner.submit(quality("SlowScorer"))
    while not any(s.scored for s in scorers(project)):
        time.sleep(0.02)
    runner.cancel(number)
    assert finished(runner, [number]).state == "cancelled"
    assert 0 < scorers(project)[0].scored < 100
    monkeypatch.setenv("DEITA_TEST_DELAY", "0")
    runner.resume(number)
    assert finished(runner, [number]).state == "done"
    assert scorers(project)[0].scored == ROWS


def test_a_killed_worker_loses_at_most_its_batch(
    project: Project, runner: JobRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DEITA_TEST_KILL_ONCE", str(tmp_path / "marker"))
    monkeypatch.setenv("DEITA_TEST_DELAY", "0.1")
    assert finished(runner, runner.submit(quality("SlowScorer"))).state == "done"
    assert (tmp_path / "marker").read_text().startswith("xx")
    assert scorers(project)[0].scored == ROWS


def test_a_worker_that_dies_three_times_fails_its_job_and_can_be_resumed(
    project: Project, runner: JobRunner, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setenv("DEITA_TEST_DELAY", "0")
    monkeypatch.setenv("DEITA_TEST_KILL_EACH", "1")
    embedding = EmbedSpec(embedder="tests.fakes:HashEmbedder")
    numbers = runner.submit([*quality("SlowScorer"), embedding])
    behind = finished(runner, numbers)
    failed = next(record for record in runner.records() if record.job == numbers[0])
    assert (failed.state, failed.error_code) == ("failed", "WorkerDied")
    assert "the worker was killed 3 times" in str(failed.error)
    assert "memory ran out (" in str(failed.error)
    assert "then resume; what was finished is kept" in str(failed.error)
    assert scorers(project)[0].scored == 12  # a batch of four from each worker
    assert behind.state == "cancelled"
    assert behind.error == f"not started: job {numbers[0]} (score) was failed"
    monkeypatch.delenv("DEITA_TEST_KILL_EACH")
    runner.resume(numbers[0])
    assert finished(runner, numbers).state == "done"
    assert scorers(project)[0].scored == ROWS


@pytest.mark.usefixtures("job_here")
def test_an_endpoint_that_goes_away_leaves_a_job_that_resumes(
    project: Project, runner: JobRunner, monkeypatch: pytest.MonkeyPatch
):
    broken = [True]

    def answer(request: dict[str, object], number: int) -> dict[str, object] | Fault:
        return Fault(502) if broken[0] and number >= 60 else completion(LOGPROBS)

    with serving(answer) as server:
        monkeypatch.setenv("DEITA_TEST_ENDPOINT", server.url)
        (number,) = runner.submit(quality("remote_scorer"))
        record = finished(runner, [number])
        assert (record.state, "times in a row" in str(record.error)) == ("failed", True)
        broken[0] = False
        runner.resume(number)
        assert finished(runner, [number]).state == "done"
    assert set(server.delivered.values()) == {1}  # none was paid for twice
    done = scorers(project)[0]
    assert (done.scored + done.failed, done.model) == (ROWS, f"endpoint:m@{server.url}")
    forget_failures(project, done.scorer)
    found = health(project, done.scorer)
    assert (found.low, found.high) == pytest.approx((SCORE, SCORE))


@pytest.mark.usefixtures("job_here")
def test_rows_without_a_score_can_be_tried_again(
    project: Project, runner: JobRunner, monkeypatch: pytest.MonkeyPatch
):
    bad = [True]

    def answer(request: dict[str, object], _: int) -> dict[str, object] | Fault:
        odd = bad[0] and " 7" in str(request["prompt"])
        return Fault(400, b"odd") if odd else completion(LOGPROBS)

    with serving(answer) as server:
        monkeypatch.setenv("DEITA_TEST_ENDPOINT", server.url)
        finished(runner, runner.submit(quality("remote_scorer")))
        (first,) = scorers(project)
        bad[0] = False
        assert first.failed == forget_failures(project, first.scorer) == 11
        finished(runner, runner.submit(quality("remote_scorer")))
    assert (scorers(project)[0].scored, scorers(project)[0].failed) == (ROWS, 0)


def active_quality(project: Project) -> list[str]:
    number = active_model(project, "quality")
    return [s.model for s in scorers(project) if s.scorer == number]


@pytest.mark.usefixtures("job_here")
def test_the_scorer_that_was_finished_last_is_the_active_one(project: Project, runner: JobRunner):
    finished(runner, runner.submit(quality("LengthScorer") + quality("MassScorer")))
    assert active_quality(project) == ["tests/mass"]
    finished(runner, runner.submit(quality("LengthScorer")))
    assert active_quality(project) == ["tests/length"]


@pytest.mark.usefixtures("job_here")
def test_a_scorer_that_is_stopped_does_not_replace_the_one_in_use(
    project: Project, runner: JobRunner, monkeypatch: pytest.MonkeyPatch
):
    finished(runner, runner.submit(quality("LengthScorer")))
    monkeypatch.setenv("DEITA_TEST_MASS", "0.01")
    (number,) = runner.submit(quality("MassScorer"))
    assert finished(runner, [number]).state == "failed"
    assert len(scorers(project)) == 2
    assert active_quality(project) == ["tests/length"]


@pytest.mark.usefixtures("job_here")
def test_a_scorer_for_comparison_alone_does_not_replace_the_one_in_use(
    project: Project, runner: JobRunner
):
    finished(runner, runner.submit(quality("LengthScorer")))
    finished(runner, runner.submit(quality("MassScorer", activate=False)))
    assert [s.scored for s in scorers(project)] == [ROWS, ROWS]
    assert active_quality(project) == ["tests/length"]


def test_large_models_are_scored_one_after_the_other():
    assert score_chain("light", "light") == [ScoreSpec(complexity="light", quality="light")]
    one, two = score_chain("endpoint:a@http://h/v1", "endpoint:b@http://h/v1")
    assert (list(one.names), list(two.names)) == (["complexity"], ["quality"])


def test_the_batch_size_follows_the_scorer():
    sizer = BatchSizer(seconds=5, first=4, most=100)
    sizer.took(4, 0.01)
    assert sizer.size == 16
    sizer.took(16, 160)
    assert sizer.size == 4
    sizer.took(4, 100)
    assert sizer.size == 1
    for _ in range(10):
        sizer.took(sizer.size, 0.001)
    assert sizer.size == 100


def test_a_window_gives_everything_once_in_runs_of_like_length():
    lengths = np.random.default_rng(0).integers(0, 1000, 200).tolist()
    window = BatchWindow(range(200), lengths, spread=True)
    first, rest = window.take(4), []
    while window:
        run = window.take(5)
        rest += run
        spans = sorted(lengths[item] for item in run)
        assert 0 < len(run) <= 5
        assert spans[-1] - spans[0] < 200
    assert sorted(first + rest) == list(range(200))
    assert max(lengths[i] for i in first) - min(lengths[i] for i in first) > 500


@pytest.mark.parametrize("count", [1, 3, 50, 1000])
def test_a_window_of_any_size_comes_to_an_end(count: int):
    for items in (0, 1, 2, 17, 200):
        window, found = BatchWindow(range(items), [1] * items, spread=True), []
        while window:
            found += window.take(count)
        assert sorted(found) == list(range(items))
