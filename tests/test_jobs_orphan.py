"""A worker must not outlive the owner of its project, not even one that died before it looked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from deita_core.jobs.handover import OUTCOME, SPEC, Handover


def test_a_worker_ends_when_its_owner_died_while_it_started(tmp_path: Path) -> None:
    handover = Handover(tmp_path / "job-1")
    handover.folder.mkdir()
    handover.tell(SPEC, ("score", {"complexity": "tests.fakes:LengthScorer"}))
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()

    worker = subprocess.run(
        [sys.executable, "-m", "deita_core.jobs.worker", str(handover.folder), str(gone.pid)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
        timeout=60,
    )

    assert worker.returncode == 1
    outcome = handover.told(OUTCOME)
    assert outcome is not None
    assert "has ended" in str(outcome.error)
