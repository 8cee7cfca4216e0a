"""The worker process: `python -m deita_core.jobs.worker FOLDER OWNER`, started by the runner.

OWNER is the runner's process id: asking for the parent's here would miss one that has died already.
"""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

from deita_core.errors import DeitaError
from deita_core.jobs.handover import OUTCOME, SPEC, Handover, JobOutcome, WorkerChannel
from deita_core.jobs.kinds import KINDS


def main(folder: Path, parent: int) -> int:
    """Do the job described in `folder`; returns the exit status (0: it came to its end)."""
    handover = Handover(folder)
    try:
        spec = handover.told(SPEC)
        assert spec is not None, f"{folder} is no job's folder"
        kind, parameters = spec
        KINDS[kind].read(parameters).work(WorkerChannel(handover, parent))
    except Exception as error:
        if not isinstance(error, DeitaError):
            traceback.print_exc()
        handover.tell(OUTCOME, JobOutcome.of(error))
        return 1
    handover.tell(OUTCOME, JobOutcome(state="done"))
    return 0


if __name__ == "__main__":
    # Leaves cores to the page that shows the progress; harmless where it is not allowed.
    if hasattr(os, "nice"):
        os.nice(5)
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
