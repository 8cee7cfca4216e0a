"""Kill -9 of the server with the browser open, in the middle of a job.

The server is started again at the same address and the page loaded again; the job must go on by
itself, and end as if nothing had been.
"""

from __future__ import annotations

import random
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil

from deita_core.jobs.kind import JobSpec
from deita_core.jobs.kinds import EmbedSpec, GraphSpec, MapSpec, ScoreSpec
from deita_core.project import Project
from deita_core.project.job_log import active_jobs, add_job
from tests.browser import app_on
from tests.faults.kills import PROJECT, Stages, Trial

# The app does these as the command line does.
JOBS: dict[str, JobSpec] = {
    "score": ScoreSpec(complexity="light", quality="light"),
    "embed": EmbedSpec(),
    "graph": GraphSpec(),
    "map": MapSpec(),
}


class Servers(Stages):
    """Kills the server during a stage."""

    def servers(self, page: Any, times: int, seed: int, stages: list[str]) -> Iterator[Trial]:
        """`times` kills of each stage that is one job; page: of a browser."""
        draw = random.Random(seed)
        for stage in (stage for stage in stages if stage in JOBS):
            for _ in range(times):
                yield self._server(page, stage, draw.random() * self.taken[stage])

    def _server(self, page: Any, stage: str, moment: float) -> Trial:
        folder = self._folder / "trial"
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(self.before(stage), folder)
        with Project.open(folder / PROJECT) as project:
            job = add_job(project, JOBS[stage].kind, JOBS[stage].to_json())
        work = folder / f"{PROJECT}.work" / f"job-{job}"
        with app_on(folder) as (server, address):
            page.goto(f"{address}/?project={Path(PROJECT).stem}")
            _wait(work.exists)
            time.sleep(moment)
            family = [server, *server.children(recursive=True)]
            server.kill()
            _, alive = psutil.wait_procs(family, timeout=60)
        if alive:
            return Trial(stage, "server", moment, f"{alive} went on after the server was gone")
        with app_on(folder, address):
            page.reload()
            _wait(lambda: not work.exists())
            time.sleep(1)  # the job's end is written after its folder has gone
        (folder / ".last-used").unlink()
        with Project.open(folder / PROJECT) as project:
            left = [record.state for record in active_jobs(project)]
        wrong = f"jobs are left: {left}" if left else self.differing(stage, folder)
        return Trial(stage, "server", moment, wrong)


def _wait(done: Any, seconds: float = 240) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        if time.monotonic() > deadline:
            raise TimeoutError(f"nothing happened within {seconds:.0f} s")
        time.sleep(0.05)
