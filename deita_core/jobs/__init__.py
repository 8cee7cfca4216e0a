"""Work that takes longer than a second: worker processes, progress, cancel, resume."""

from deita_core.jobs.handover import Progress
from deita_core.jobs.runner import JobRunner

__all__ = ["JobRunner", "Progress"]
