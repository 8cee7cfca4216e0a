"""How a worker process and the owner of the project hand batches to each other.

DuckDB lets one process open a file, so a worker never does: it reads its input from the job's
folder and puts finished batches there, and the owner commits them. Every file appears by an
atomic rename, so a kill at any moment leaves whole batches or none.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter

from deita_core.errors import DeitaError, JobCancelledError, JobError
from deita_core.files import is_unfinished, private_folder, whole_file, whole_folder
from deita_core.project.job_log import Progress, State
from deita_core.project.models import ModelIdentity, Role
from deita_core.project.on_disk import shortage

if TYPE_CHECKING:
    import pyarrow as pa


Identities = Mapping[Role, ModelIdentity]


@dataclass(frozen=True, slots=True)
class Part:
    """One batch: its tables by name, and what the owner must know about it."""

    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)


class JobOutcome(BaseModel):
    """How a job ended. error_code: the name of the error's class, None where it did not fail."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: State
    error: str | None = None
    error_code: str | None = None

    @staticmethod
    def of(error: Exception, folder: Path) -> JobOutcome:
        """The end of a job that raised. folder: where it writes, for a disk that is full."""
        if isinstance(error, JobCancelledError):
            return JobOutcome(state="cancelled")
        code = type(error).__name__
        said = str(error) if isinstance(error, DeitaError) else f"{code}: {error}"
        said = shortage(error, folder) or said  # even where it led to an error of ours
        return JobOutcome(state="failed", error=said, error_code=code)


Said = TypeVar("Said")


@dataclass(frozen=True, slots=True)
class Note(Generic[Said]):
    """A small file in the folder of a job, by which one side tells the other something."""

    name: str
    content: TypeAdapter[Said]


# By the owner: the kind of job with its parameters; the number of rows in the finished input.
SPEC = Note("spec.json", TypeAdapter(tuple[str, dict[str, Any]]))
READY = Note("input/ready", TypeAdapter(int))
# By the worker: which models will run (before it gets its input), how far it is, its last word.
IDENTITIES: Note[Identities] = Note("identities.json", TypeAdapter(Identities))
PROGRESS = Note("progress.json", TypeAdapter(Progress))
OUTCOME = Note("outcome.json", TypeAdapter(JobOutcome))
# By the owner, an empty file: stop at the next batch.
_CANCEL = "cancel"


class Handover:
    """The folder of one job; both sides use this class.

    Beside the notes it has `input/` (by the owner) and `parts/`: batches by the worker, which the
    owner deletes once they are committed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.input = folder / "input"
        self.parts = folder / "parts"
        self.log = folder / "worker.log"

    def create(self, kind: str, parameters: Mapping[str, Any]) -> None:
        """Start afresh, but keep finished batches that were not committed yet."""
        private_folder(self.parts)
        for unfinished in filter(is_unfinished, self.parts.iterdir()):
            shutil.rmtree(unfinished)
        shutil.rmtree(self.input, ignore_errors=True)
        private_folder(self.input)
        for name in (IDENTITIES.name, PROGRESS.name, OUTCOME.name, _CANCEL):
            (self.folder / name).unlink(missing_ok=True)
        self.tell(SPEC, (kind, dict(parameters)))

    def tell(self, note: Note[Said], said: Said) -> None:
        """Write a note."""
        with whole_file(self.folder / note.name) as partial:
            partial.write_bytes(note.content.dump_json(said, exclude_defaults=True))

    def told(self, note: Note[Said]) -> Said | None:
        """What a note says, or None before it was written."""
        try:
            return note.content.validate_json((self.folder / note.name).read_bytes())
        except FileNotFoundError:
            return None

    def put(self, number: int, part: Part) -> None:
        """Worker: hand over a batch."""
        import pyarrow as pa

        with whole_folder(self.parts / f"{number:06d}") as partial:
            for name, table in part.tables.items():
                with (
                    pa.OSFile(str(partial / f"{name}.arrow"), "wb") as sink,
                    pa.ipc.new_file(sink, table.schema) as writer,
                ):
                    writer.write_table(table)
            (partial / "meta.json").write_text(json.dumps(dict(part.meta)), encoding="utf-8")

    def waiting_parts(self) -> list[Path]:
        """Batches that are not committed yet, oldest first."""
        return sorted(path for path in self.parts.glob("*") if not is_unfinished(path))

    def take(self, path: Path) -> Part:
        """Owner: read a batch, to be deleted after the commit."""
        import pyarrow as pa

        tables = {}
        for file in sorted(path.glob("*.arrow")):
            with pa.OSFile(str(file), "rb") as source:
                tables[file.stem] = pa.ipc.open_file(source).read_all()
        return Part(tables, json.loads((path / "meta.json").read_text(encoding="utf-8")))

    def cancel(self) -> None:
        """Owner: ask the worker to stop at the next batch."""
        private_folder(self.folder)
        (self.folder / _CANCEL).touch()

    @property
    def cancelled(self) -> bool:
        """Worker: was it asked to stop?"""
        return (self.folder / _CANCEL).exists()

    def remove(self) -> None:
        """Owner: the job is over and committed."""
        shutil.rmtree(self.folder, ignore_errors=True)


# Batches that may wait for the owner: it bounds what a killed server can lose on disk.
_BACKLOG = 4
_WINDOW_SECONDS = 30.0


class WorkerChannel:
    """Where a worker gets its input and puts its results."""

    def __init__(self, handover: Handover, parent: int) -> None:
        self._handover = handover
        self._parent = parent
        waiting = handover.waiting_parts()
        self._next = int(waiting[-1].name) + 1 if waiting else 1
        self._told = 0.0
        self._recent: deque[tuple[float, int]] = deque()

    @property
    def folder(self) -> Path:
        """The job's folder, which outlives a worker that is killed."""
        return self._handover.folder

    def get_input(self, identities: Identities | None = None) -> tuple[Path, int]:
        """Tell which models will run, then wait for the owner's input: its folder and rows."""
        self.set_identities(identities or {})
        while (total := self._handover.told(READY)) is None:
            self.check()
            time.sleep(0.02)
        return self._handover.input, total

    def report(self, progress: Progress) -> None:
        """Tell progress (written at most five times a second), with the rate of late filled in.

        Raises JobCancelledError when asked to stop.
        """
        now, done = time.monotonic(), progress.done
        if now - self._told < 0.2 and done != progress.total:
            return
        self._told = now
        self._recent.append((now, done))
        while self._recent[-1][0] - self._recent[0][0] > _WINDOW_SECONDS:
            self._recent.popleft()
        seconds = now - self._recent[0][0]
        rate = (done - self._recent[0][1]) / seconds if seconds > 0.5 else None
        self._handover.tell(PROGRESS, progress.model_copy(update={"rate": rate}))
        self.check()

    def set_identities(self, identities: Identities) -> None:
        """Tell whose results the batches hold, where that takes the input to know."""
        self._handover.tell(IDENTITIES, identities)

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
