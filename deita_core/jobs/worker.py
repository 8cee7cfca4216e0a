"""The worker process: `python -m deita_core.jobs.worker FOLDER OWNER`, started by the runner.

OWNER is the runner's process id: asking for the parent's here would miss one that has died already.
"""

from __future__ import annotations

import os
import sys
import traceback
from contextlib import suppress
from pathlib import Path

from deita_core.errors import DeitaError
from deita_core.files import PRIVATE_UMASK
from deita_core.jobs.handover import OUTCOME, SPEC, Handover, JobOutcome, WorkerChannel
from deita_core.jobs.kinds import KINDS


def main(folder: Path, parent: int) -> int:
    """Do the job described in `folder`.

    Returns the exit status: 0 when it came to its end, else 1, or the number of the system's error
    that kept it from telling its end.
    """
    handover = Handover(folder)
    try:
        spec = handover.told(SPEC)
        assert spec is not None, f"{folder} is no job's folder"  # noqa: S101 - the runner wrote it
        kind, parameters = spec
        KINDS[kind].read(parameters).work(WorkerChannel(handover, parent))
    except Exception as error:
        if not isinstance(error, DeitaError):
            with suppress(OSError):  # the log is on the same disk
                traceback.print_exc()
        return _tell_end(handover, JobOutcome.of(error, folder)) or 1
    return _tell_end(handover, JobOutcome(state="done"))


def _tell_end(handover: Handover, end: JobOutcome) -> int:
    try:
        handover.tell(OUTCOME, end)
        return 0
    except OSError as error:
        return error.errno or 1


if __name__ == "__main__":
    os.umask(PRIVATE_UMASK)
    # Leaves cores to the page that shows the progress; harmless where it is not allowed.
    if hasattr(os, "nice"):
        os.nice(5)
    sys.exit(main(Path(sys.argv[1]), int(sys.argv[2])))
