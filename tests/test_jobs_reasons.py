"""jobs: a job that fails says why, whatever it was that could not be written or had no room."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from deita_core.errors import ModelError, ProjectError
from deita_core.jobs import JobRunner, runner, worker
from deita_core.jobs.handover import OUTCOME, SPEC, Handover, JobOutcome
from deita_core.jobs.kinds import ScoreSpec
from deita_core.project import Project
from deita_core.project.job_log import JobRecord, jobs
from tests.builders import prepared_project

FULL = OSError(28, "No space left on device")


@pytest.fixture
def project(tmp_path: Path) -> Iterator[Project]:
    with Project.open(prepared_project(tmp_path / "pool.duckdb")) as opened:
        yield opened


@pytest.fixture
def handover(tmp_path: Path) -> Handover:
    made = Handover(tmp_path / "job-1")
    made.create("score", {"complexity": "tests.fakes:broken_scorer"})
    made.log.touch()
    return made


def ended(runner: JobRunner, job: int) -> JobRecord:
    while (record := runner.record(job)).active:
        time.sleep(0.02)
    return record


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (FULL, "no space left on the disk of "),
        (OSError("12800 requested and 0 written"), "no space left on the disk of "),
        (OSError("Not enough free space to write 8 bytes after offset 1"), "no space left"),
        (np._core._exceptions._ArrayMemoryError((9,), np.dtype(float)), "memory ran out"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory"), "memory ran out"),
        (RuntimeError("[CPU] node with name 'x' can't alloc"), "memory ran out"),
        (ImportError("libx.so: failed to map segment from shared object"), "memory ran out"),
    ],
)
def test_what_ran_out_is_said_with_what_is_free(
    error: Exception, said: str, tmp_path: Path
) -> None:
    found = JobOutcome.of(error, tmp_path)
    assert said in str(found.error)
    assert "free" in str(found.error)
    assert "then resume; what was finished is kept" in str(found.error)


def test_the_disk_that_is_full_is_that_of_the_file(tmp_path: Path) -> None:
    error = OSError(28, "No space left on device", "/proc/out.json")
    assert "on the disk of /proc (" in str(JobOutcome.of(error, tmp_path).error)


def test_a_lack_behind_an_error_of_ours_is_said(tmp_path: Path) -> None:
    error = ModelError("the light scorers need a package: install it")
    error.__cause__ = ImportError("libx.so: failed to map segment from shared object")
    assert str(JobOutcome.of(error, tmp_path).error).startswith("memory ran out (")


def test_another_error_keeps_its_own_words(tmp_path: Path) -> None:
    assert JobOutcome.of(KeyError("x"), tmp_path).error == "KeyError: 'x'"


def test_a_worker_that_cannot_tell_its_end_tells_it_by_its_exit_status(
    handover: Handover, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise FULL

    monkeypatch.setattr(Handover, "tell", full)
    status = worker.main(handover.folder, os.getppid())
    assert status == 28
    assert handover.told(OUTCOME) is None
    assert handover.told(SPEC) is not None
    assert runner._last_words(status, handover).startswith("no space left on the disk of ")


def test_a_worker_whose_library_ended_it_for_lack_of_memory_is_told_by_its_log(
    handover: Handover,
) -> None:
    handover.log.write_text("terminate called after throwing an instance of 'std::bad_alloc'\n")
    assert runner._last_words(-signal.SIGABRT, handover).startswith("memory ran out (")


def test_a_worker_out_of_memory_says_so_and_its_job_goes_on_when_there_is_some(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DEITA_TEST_MEMORY", str(4 << 30))
    made = JobRunner(project)
    made.start()
    hungry = "tests.fakes:hungry_scorer"
    (number,) = made.submit([ScoreSpec(complexity=hungry, quality=hungry)])
    record = ended(made, number)
    assert (record.state, str(record.error)[:16]) == ("failed", "memory ran out (")
    monkeypatch.delenv("DEITA_TEST_MEMORY")
    made.resume(number)
    assert ended(made, number).state == "done"
    made.stop()


def test_an_end_that_cannot_be_written_is_told_and_written_later(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk takes no word about itself; the job must not seem to run for ever."""
    room, write = [False], runner.set_job_state

    def full(project: Project, job: int, state: str, *rest: str | None) -> None:
        if state == "failed" and not room[0]:
            raise ProjectError("no space left")
        write(project, job, state, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(runner, "set_job_state", full)
    made = JobRunner(project)
    made.start()
    broken = "tests.fakes:broken_scorer"
    (number,) = made.submit([ScoreSpec(complexity=broken, quality=broken)])
    record = ended(made, number)
    assert (record.state, record.error) == ("failed", "no weights for complexity: put them there")
    assert not made.busy
    assert jobs(project)[0].state == "running"
    room[0] = True
    made._wake.set()
    while jobs(project)[0].state != "failed":
        time.sleep(0.02)
    made.stop()
