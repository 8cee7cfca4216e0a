"""The owner's side: start workers one after the other, commit their batches, resume what died.

One runner per open project, in the process that owns the file (the app, or a command). A worker
that is killed is started again and goes on after its last committed batch; when this process
itself died, the runner of the next one takes the unfinished jobs up again.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import psutil

from deita_core.errors import JobError, ProjectError
from deita_core.jobs.handover import IDENTITIES, OUTCOME, PROGRESS, READY, Handover, JobOutcome
from deita_core.jobs.kind import JobSpec
from deita_core.jobs.kinds import KINDS
from deita_core.people import acting_as
from deita_core.project import Project
from deita_core.project.job_log import (
    RESUMABLE,
    JobRecord,
    Progress,
    active_jobs,
    add_job,
    find_job,
    jobs,
    set_job_progress,
    set_job_state,
)
from deita_core.project.on_disk import DISK_FULL, disk_full, memory_out, memory_text

# A worker that dies without a word is started again this often (perhaps memory was short once).
RESTARTS = 2
_GRACE_SECONDS = 20.0
_POLL_SECONDS = 0.1


class JobRunner:
    """Runs the jobs of one project in order. Start with `start()`, end with `stop()`."""

    def __init__(self, project: Project) -> None:
        self._project = project
        self._live: dict[int, Progress] = {}
        # Jobs that have ended without a word in the project, for which its disk had no room.
        self._ended: dict[int, tuple[JobRecord, JobOutcome]] = {}
        self._cancelled: set[int] = set()
        self._wake = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> list[JobRecord]:
        """Take up jobs that a dead process left, then wait for more; returns those taken up."""
        left = active_jobs(self._project)
        for job in left:
            _end_orphan(self._handover(job.job))
            with acting_as(job.person):  # whoever opens the project, even to look at it only
                set_job_state(self._project, job.job, "waiting")
        self._thread = threading.Thread(target=self._loop, name="jobs", daemon=True)
        self._thread.start()
        return left

    def submit(self, chain: Sequence[JobSpec]) -> list[int]:
        """Queue jobs to run one after the other; returns their numbers.

        A job whose predecessor did not get done is cancelled with it. Raises what the `check` of
        the first one raises, and queues none then; the others may need what comes before them.
        """
        for spec in chain[:1]:
            spec.check(self._project)
        numbers: list[int] = []
        for spec in chain:
            after = numbers[-1] if numbers else None
            numbers.append(add_job(self._project, spec.kind, spec.to_json(), after))
        self._wake.set()
        return numbers

    def cancel(self, job: int) -> None:
        """Stop a job at its next batch; what it committed stays."""
        with self._project.transaction("curator", "cancel a job", {"job": job}, changes_data=False):
            pass
        self._cancelled.add(job)
        self._handover(job).cancel()
        self._wake.set()

    def resume(self, job: int) -> None:
        """Queue a cancelled or failed job again, with the jobs that waited for it."""
        with self._project.transaction("curator", "resume a job", {"job": job}, changes_data=False):
            pass
        chain = {job}
        for record in reversed(self.records(limit=1000)):
            if record.after in chain:
                chain.add(record.job)
            if record.state in RESUMABLE and record.job in chain:
                self._cancelled.discard(record.job)
                set_job_state(self._project, record.job, "waiting")
                self._ended.pop(record.job, None)
        self._wake.set()

    def records(self, limit: int = 50) -> list[JobRecord]:
        """The latest jobs, newest first, with their progress of this moment."""
        return list(map(self._now, jobs(self._project, limit)))

    def record(self, job: int) -> JobRecord:
        """A job with its progress of this moment; JobError when there is none."""
        found = find_job(self._project, job)
        if found is None:
            raise JobError(f"there is no job {job}")
        return self._now(found)

    def _now(self, record: JobRecord) -> JobRecord:
        record = replace(record, progress=self._live.get(record.job, record.progress))
        if record.job not in self._ended:
            return record
        end = self._ended[record.job][1]
        return replace(record, state=end.state, error=end.error, error_code=end.error_code)

    @property
    def busy(self) -> bool:
        """Is any job waiting or running?"""
        return bool(self._active())

    def stop(self) -> None:
        """End the running worker at its next batch; its job stays unfinished and can go on."""
        self._stopping = True
        self._wake.set()
        if self._thread is not None:
            self._thread.join(_GRACE_SECONDS)

    # the thread

    def _loop(self) -> None:
        with suppress(ProjectError):  # the file cannot be read any more, which each page says
            while not self._stopping and not self._project.closed:
                self._record_ends()
                if waiting := self._active():
                    with acting_as(waiting[0].person):
                        self._run(waiting[0])
                else:
                    self._wake.wait(1.0)
                    self._wake.clear()

    def _active(self) -> list[JobRecord]:
        return [job for job in active_jobs(self._project) if job.job not in self._ended]

    def _run(self, job: JobRecord) -> None:
        try:
            if reason := self._reason_not_to_start(job):
                self._handover(job.job).remove()
                set_job_state(self._project, job.job, "cancelled", reason)
                return
            set_job_state(self._project, job.job, "running")
            self._live[job.job] = Progress(done=job.progress.done, total=job.progress.total)
            end = self._work_through(job)
        except Exception as error:  # a bug must end the job, not the thread
            end = JobOutcome.of(error, self._project.folder)
        if self._stopping and end.state != "done":
            return  # stays "running": the next owner takes it up
        try:
            self._write_end(job, end)
        except ProjectError:
            self._ended[job.job] = job, end

    def _record_ends(self) -> None:
        """Try again to write how jobs ended."""
        for number, (job, end) in list(self._ended.items()):
            with suppress(ProjectError), acting_as(job.person):
                self._write_end(job, end)
                self._ended.pop(number, None)

    def _write_end(self, job: JobRecord, end: JobOutcome) -> None:
        if progress := self._live.get(job.job):
            set_job_progress(self._project, job.job, progress)
        if end.state != "done":
            KINDS[job.kind].stopped(self._project)
        else:
            self._handover(job.job).remove()
        set_job_state(self._project, job.job, end.state, end.error, end.error_code)
        self._live.pop(job.job, None)

    def _reason_not_to_start(self, job: JobRecord) -> str | None:
        if job.job in self._cancelled:
            return "cancelled before it started"
        before = find_job(self._project, job.after) if job.after else None
        if before is not None and before.state in RESUMABLE:
            return f"not started: job {before.job} ({before.kind}) was {before.state}"
        return None

    def _work_through(self, job: JobRecord) -> JobOutcome:
        handover = self._handover(job.job)
        for _ in range(1 + RESTARTS):
            self._commit_waiting(job, handover)
            handover.create(job.kind, job.parameters)
            worker = _start_worker(handover)
            try:
                self._attend(job, handover, worker)
            finally:
                _end(worker)
            self._commit_waiting(job, handover)
            if outcome := handover.told(OUTCOME):
                return outcome
            if self._stopping or job.job in self._cancelled:
                return JobOutcome(state="cancelled")
            if worker.returncode in DISK_FULL:  # another worker would find it full, too
                break
        said = _last_words(worker.returncode, handover)
        return JobOutcome(state="failed", error=said, error_code="WorkerDied")

    def _attend(self, job: JobRecord, handover: Handover, worker: subprocess.Popen[bytes]) -> None:
        """Serve a worker until it ends: give it input, commit its batches, pass on a cancel."""
        spec, given, asked_to_stop = KINDS[job.kind].read(job.parameters), False, 0.0
        while worker.poll() is None:
            identities = None if given else handover.told(IDENTITIES)
            if identities is not None:
                total = spec.prepare(self._project, identities, handover.input)
                handover.tell(READY, total)
                given = True
            committed = self._commit_waiting(job, handover)
            self._look(job, handover)
            if self._stopping or job.job in self._cancelled:
                handover.cancel()
                asked_to_stop = asked_to_stop or time.monotonic()
                # A worker without its input is loading a model: it has nothing to finish.
                if not given or time.monotonic() - asked_to_stop > _GRACE_SECONDS:
                    return
            if not committed:
                time.sleep(_POLL_SECONDS)
        self._look(job, handover)

    def _look(self, job: JobRecord, handover: Handover) -> None:
        if progress := handover.told(PROGRESS):
            self._live[job.job] = progress

    def _commit_waiting(self, job: JobRecord, handover: Handover) -> bool:
        waiting = handover.waiting_parts()
        if not waiting:
            return False
        spec, identities = KINDS[job.kind].read(job.parameters), handover.told(IDENTITIES) or {}
        for path in waiting:
            spec.commit(self._project, identities, handover.take(path))
            shutil.rmtree(path)
        return True

    def _handover(self, job: int) -> Handover:
        return Handover(self._project.folder / f"job-{job}")


def _start_worker(handover: Handover) -> subprocess.Popen[bytes]:
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join(p for p in (root, os.environ.get("PYTHONPATH")) if p)
    with handover.log.open("ab") as log:
        worker = subprocess.Popen(  # noqa: S603 - our own interpreter and module
            [
                sys.executable,
                "-m",
                "deita_core.jobs.worker",
                str(handover.folder),
                str(os.getpid()),
            ],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            env={**os.environ, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C in the terminal must reach only the owner
        )
    (handover.folder / "pid").write_text(str(worker.pid), encoding="utf-8")
    return worker


def _end(worker: subprocess.Popen[bytes]) -> None:
    if worker.poll() is None:
        with suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)
        worker.wait()


def _end_orphan(handover: Handover) -> None:
    """A worker whose owner died stops by itself; do not run two on one folder meanwhile."""
    with suppress(OSError, ValueError, psutil.Error):
        process = psutil.Process(int((handover.folder / "pid").read_text(encoding="utf-8")))
        if str(handover.folder) in process.cmdline():
            process.kill()
            process.wait(5)


def _last_words(status: int | None, handover: Handover) -> str:
    """Why a worker ended that could not tell: by its exit status, its log, or the signal."""
    said = handover.log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    if status in DISK_FULL:
        return disk_full(handover.folder)
    if any(memory_text(line) for line in said[-200:]):
        return memory_out()
    if status == -signal.SIGKILL:
        killed = f"the worker was killed {1 + RESTARTS} times, which is what a system does when"
        return f"{killed} {memory_out()}"
    how = f"signal {-status}" if status is not None and status < 0 else f"exit status {status}"
    end = f" Its last line was: {said[-1]}" if said else ""
    return (
        f"the worker process ended without a word ({how}), {1 + RESTARTS} times. "
        f"What it had finished is kept; resume the job to go on.{end}"
    )
