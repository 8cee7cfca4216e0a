"""What a kind of job is: what it is asked to do, and both sides of the work.

Several jobs queued one after the other are a chain, written as a list of their specs.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Generic, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from deita_core.errors import JobError
from deita_core.jobs.handover import Identities, Part, WorkerChannel
from deita_core.project import Project


class JobSpec(BaseModel):
    """What a job is to do. Each kind has its own; it is checked when made and when read."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: ClassVar[str]

    def to_json(self) -> dict[str, Any]:
        """For the job log; without what was left open."""
        return self.model_dump(mode="json", exclude_none=True)


# A path that means the same in the worker, whatever folder it runs in.
OutPath = Annotated[Path, AfterValidator(lambda path: path.expanduser().resolve())]

Spec = TypeVar("Spec", bound=JobSpec)


class JobKind(ABC, Generic[Spec]):
    """One kind of job. `label` and `unit` are what people read."""

    spec: type[Spec]
    label: ClassVar[str]
    unit: ClassVar[str]

    def read(self, parameters: Mapping[str, Any]) -> Spec:
        """The inverse of `JobSpec.to_json`; JobError for what it does not take."""
        try:
            return self.spec.model_validate(parameters)
        except ValidationError as error:
            wrong = error.errors()[0]
            place = ".".join(map(str, wrong["loc"])) or "it"
            raise JobError(
                f"a job {self.spec.kind!r} cannot take {dict(parameters)}: {place}: {wrong['msg']}"
            ) from error

    @abstractmethod
    def work(self, spec: Spec, channel: WorkerChannel) -> None:
        """Worker process: compute, and hand over batches. Never opens a project."""

    @abstractmethod
    def prepare(self, project: Project, spec: Spec, identities: Identities, folder: Path) -> int:
        """Owner: write the input that is still to be done (that is the resume); returns rows."""

    def commit(self, project: Project, spec: Spec, identities: Identities, part: Part) -> None:
        """Owner: put one batch into the project. The same batch may come twice.

        A kind that writes a file hands over no batches: it appears whole, or not at all.
        """
        raise NotImplementedError

    def stopped(self, project: Project) -> None:
        """Owner: the job ended before its end (cancelled, failed or killed)."""
        return  # what was committed stays; most kinds have nothing to mark
