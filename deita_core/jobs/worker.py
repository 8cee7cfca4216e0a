"""The worker process: `python -m deita_core.jobs.worker FOLDER`, started by the runner."""

from __future__ import annotations

import os
import sys
import traceback
from pathlib import Path

from deita_core.errors import DeitaError, JobCancelledError
from deita_core.jobs.handover import Desk, Handover
from deita_core.jobs.kinds import KINDS


def main(folder: Path, parent: int) -> int:
    """Do the job described in `folder`; returns the exit status (0: it came to its end)."""
    handover = Handover(folder)
    spec = handover.spec()
    try:
        KINDS[spec["kind"]].work(spec["parameters"], Desk(handover, parent))
    except JobCancelledError:
        handover.set_outcome("cancelled")
    except DeitaError as error:
        handover.set_outcome("failed", str(error))
    except Exception as error:
        traceback.print_exc()
        handover.set_outcome("failed", f"{type(error).__name__}: {error}")
    else:
        handover.set_outcome("done")
        return 0
    return 1


if __name__ == "__main__":
    # Leaves cores to the page that shows the progress; harmless where it is not allowed.
    if hasattr(os, "nice"):
        os.nice(5)
    sys.exit(main(Path(sys.argv[1]), os.getppid()))
