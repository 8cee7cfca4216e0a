"""What a job is: what it is asked to do, and both sides of the work. A list of them is a chain."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from deita_core.errors import JobError, PathError
from deita_core.jobs.handover import Identities, Part, WorkerChannel
from deita_core.project import Project


class JobSpec(BaseModel, ABC):
    """What a job is to do; a class for each kind, checked when made and when read.

    `kind` is its name in the job log; `label` and `unit` are what people read.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ClassVar[str]
    label: ClassVar[str]
    unit: ClassVar[str]

    def to_json(self) -> dict[str, Any]:
        """For the job log; without what was left open."""
        return self.model_dump(mode="json", exclude_none=True)

    @classmethod
    def read(cls, parameters: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`; JobError for what it does not take."""
        try:
            return cls.model_validate(parameters)
        except ValidationError as error:
            wrong = error.errors()[0]
            place = ".".join(map(str, wrong["loc"])) or "it"
            raise JobError(
                f"a job {cls.kind!r} cannot take {dict(parameters)}: {place}: {wrong['msg']}"
            ) from error

    def check(self, project: Project) -> None:
        """Owner, before the job is queued: raises DeitaError for what could only fail later."""
        return  # most kinds find out at once

    @abstractmethod
    def prepare(self, project: Project, identities: Identities, folder: Path) -> int:
        """Owner: write the input that is still to be done (that is the resume); returns rows."""

    @abstractmethod
    def work(self, channel: WorkerChannel) -> None:
        """Worker process: compute, and hand over batches. Never opens a project."""

    def commit(self, project: Project, identities: Identities, part: Part) -> None:
        """Owner: put one batch into the project. The same batch may come twice.

        A kind that writes a file hands over no batches: it appears whole, or not at all.
        """
        raise NotImplementedError

    @classmethod
    def stopped(cls, project: Project) -> None:
        """Owner: the job ended before its end (cancelled, failed or killed)."""
        return  # what was committed stays; most kinds have nothing to mark


def absolute(path: Path) -> Path:
    """The path with its links followed. Raises PathError for one that leads nowhere."""
    try:
        return path.expanduser().resolve()
    except (OSError, RuntimeError, ValueError) as error:
        raise PathError(f"{str(path)!r} is not a usable path: {error}") from error


# A path that means the same in the worker, whatever folder it runs in.
OutPath = Annotated[Path, AfterValidator(absolute)]
