"""Work that takes longer than a second: worker processes, progress, cancel, resume."""

from deita_core.jobs.runner import JobRunner
from deita_core.project.job_log import Progress

__all__ = ["JobRunner", "Progress"]
