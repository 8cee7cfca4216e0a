"""Jobs whose worker is a thread of the test's process, where the process is not what is tested.

It saves what each worker would import. Kills, memory and what a worker writes by itself are tested
with real ones (`test_jobs*.py`, `test_faults.py`, `test_private.py`).
"""

from __future__ import annotations

import os
import threading

import pytest

from deita_core.jobs import runner, worker
from deita_core.jobs.handover import Handover


class WorkerThread:
    """What the runner asks of a worker process."""

    def __init__(self, handover: Handover) -> None:
        self.returncode: int | None = None
        self._handover = handover
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def _work(self) -> None:
        # Its owner is the parent of its process, as far as it can see.
        self.returncode = worker.main(self._handover.folder, os.getppid())

    def poll(self) -> int | None:
        """Its exit status, once it has come to its end."""
        return None if self._thread.is_alive() else self.returncode

    def end(self) -> None:
        """Cancel it and wait until it has noticed, for a thread cannot be killed."""
        if self._thread.is_alive():
            self._handover.cancel()
        self._thread.join()


def work_in_threads(patch: pytest.MonkeyPatch) -> None:
    """Until the patch is undone, runners of this process start threads."""
    patch.setattr(runner, "_start_worker", WorkerThread)
    patch.setattr(runner, "_end", WorkerThread.end)
    patch.setattr(runner, "_POLL_SECONDS", 0.01)
