"""The worker's side of a job: tell progress, hand over batches, notice a cancel."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from deita_core.errors import JobCancelledError, JobError
from deita_core.jobs.handover import Handover, Part, Progress

# Batches that may wait for the owner: it bounds what a killed server can lose on disk.
_BACKLOG = 4
_WINDOW_SECONDS = 30.0


class Desk:
    """Where a worker gets its input and puts its results."""

    def __init__(self, handover: Handover, parent: int) -> None:
        self._handover = handover
        self._parent = parent
        waiting = handover.waiting_parts()
        self._next = int(waiting[-1].name) + 1 if waiting else 1
        self._told = 0.0
        self._recent: deque[tuple[float, int]] = deque()

    def get_input(self, identity: Mapping[str, Any]) -> tuple[Path, int]:
        """Tell which model will run, then wait for the owner's input: its folder and rows."""
        self._handover.set_identity(identity)
        while (total := self._handover.input_total()) is None:
            self.check()
            time.sleep(0.02)
        return self._handover.input, total

    def report(self, done: int, total: int | None, message: str) -> None:
        """Tell progress (written at most five times a second); raises when asked to stop."""
        now = time.monotonic()
        if now - self._told < 0.2 and done != total:
            return
        self._told = now
        self._recent.append((now, done))
        while self._recent[-1][0] - self._recent[0][0] > _WINDOW_SECONDS:
            self._recent.popleft()
        seconds = now - self._recent[0][0]
        rate = (done - self._recent[0][1]) / seconds if seconds > 0.5 else None
        self._handover.set_progress(Progress(done, total, rate, message))
        self.check()

    def put(self, part: Part) -> None:
        """Hand over a batch; waits while too many are not committed yet."""
        while len(self._handover.waiting_parts()) >= _BACKLOG:
            self.check()
            time.sleep(0.02)
        self._handover.put(self._next, part)
        self._next += 1

    def check(self) -> None:
        """Raises JobCancelledError on a cancel, JobError when the owner has gone."""
        if self._handover.cancelled:
            raise JobCancelledError("cancelled")
        if os.getppid() != self._parent:
            raise JobError("the process that owns the project has ended; resume the job there")
