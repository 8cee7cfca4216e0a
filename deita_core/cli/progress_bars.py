"""Jobs run from a terminal: to their end, with a bar each on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from typing import Any

from deita_core.errors import JobCancelledError, JobError
from deita_core.jobs import JobRunner
from deita_core.jobs.kind import JobSpec
from deita_core.jobs.kinds import KINDS
from deita_core.project import Project
from deita_core.project.job_log import JobRecord


def run_jobs(project: Project, chain: Sequence[JobSpec], *, quiet: bool = False) -> list[JobRecord]:
    """Run jobs one after the other in worker processes, behind those that were left over.

    Returns the records of the new ones; raises what `watch` raises.
    """
    runner = JobRunner(project)
    left = runner.start()
    try:
        watch(runner, [job.job for job in left], quiet=quiet)
        return watch(runner, runner.submit(chain), quiet=quiet)
    finally:
        runner.stop()


def watch(runner: JobRunner, numbers: Sequence[int], *, quiet: bool = False) -> list[JobRecord]:
    """Show the jobs until all have ended; returns their records in order.

    Ctrl-C cancels them at the next batch. Raises JobError when one failed, JobCancelledError
    when one was cancelled; the message says how to go on.
    """
    try:
        return [_watch_one(runner, number, quiet) for number in numbers]
    except KeyboardInterrupt:
        for number in numbers:
            runner.cancel(number)
        while runner.busy:
            time.sleep(0.1)
        raise JobCancelledError(
            "stopped; what was finished is kept: give the same command again to go on"
        ) from None


def _watch_one(runner: JobRunner, number: int, quiet: bool) -> JobRecord:
    from tqdm import tqdm

    record = runner.record(number)
    kind = KINDS[record.kind]
    with tqdm(
        desc=f"{kind.label:<8}",
        unit=f" {kind.unit}",
        unit_scale=False,
        disable=quiet,
        file=sys.stderr,
        dynamic_ncols=True,
    ) as bar:
        while record.active:
            _show(bar, record)
            time.sleep(0.1)
            record = runner.record(number)
        _show(bar, record)
    if record.state == "cancelled":
        raise JobCancelledError(f"{record.kind}: {record.error or 'cancelled'}")
    if record.state != "done":
        raise JobError(f"{record.kind} {record.state}: {record.error}")
    return record


def _show(bar: Any, record: JobRecord) -> None:
    progress = record.progress
    if progress.total is not None and bar.total != progress.total:
        bar.reset(progress.total)
    bar.n = progress.done
    bar.set_postfix_str(progress.sentence(), refresh=True)
