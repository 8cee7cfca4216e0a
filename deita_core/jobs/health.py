"""The health of a scorer out of the scores that a project has of it."""

from __future__ import annotations

from deita_core.project import Project
from deita_core.project.scorer_runs import score_columns
from deita_core.scoring.health import Health, health_of


def health(project: Project, scorer: int) -> Health:
    """What the scores so far tell about the scorer of that number."""
    columns = score_columns(project, scorer)
    return health_of(columns.score, columns.mass, columns.truncated, columns.reasons)
