"""What a kind of job is: the worker's side and the owner's side of the same work."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol

from deita_core.jobs.desk import Desk
from deita_core.jobs.handover import Part
from deita_core.project import Project

Parameters = Mapping[str, Any]


class JobKind(Protocol):
    """One kind of job. `name` is its key; `label` and `unit` are what people read."""

    name: str
    label: str
    unit: str

    def work(self, parameters: Parameters, desk: Desk) -> None:
        """Worker process: compute, and hand over batches at the desk. Never opens a project."""
        ...

    def prepare(
        self, project: Project, parameters: Parameters, identity: Parameters, folder: Path
    ) -> int:
        """Owner: write the input that is still to be done (that is the resume); returns rows."""
        ...

    def commit(self, project: Project, parameters: Parameters, part: Part) -> None:
        """Owner: put one batch into the project. The same batch may come twice."""
        ...

    def stopped(self, project: Project, parameters: Parameters) -> None:
        """Owner: the job ended before its end (cancelled, failed or killed)."""
        ...
