"""How a worker process and the owner of the project hand batches to each other.

DuckDB lets one process open a file, so a worker never does: it reads its input from the job's
folder and puts finished batches there, and the owner commits them. Every file appears by an
atomic rename, so a kill at any moment leaves whole batches or none.

    spec.json        what to do                    (owner)
    identities.json  which models, before input    (worker)
    input/ready      the input is complete         (owner)
    parts/000001/    one batch: *.arrow, meta.json (worker; the owner deletes it once committed)
    progress.json    how far it has come           (worker)
    cancel           stop at the next batch        (owner)
    outcome.json     done, cancelled or failed     (worker)
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
from typing import TYPE_CHECKING, Any

from pydantic import BaseModel, ConfigDict, TypeAdapter

from deita_core.errors import DeitaError, JobCancelledError, JobError
from deita_core.files import is_unfinished, whole_file, whole_folder
from deita_core.project.job_log import Progress, State
from deita_core.project.models import ModelIdentity, Role

if TYPE_CHECKING:
    import pyarrow as pa


Identities = Mapping[Role, ModelIdentity]
_IDENTITIES: TypeAdapter[dict[Role, ModelIdentity]] = TypeAdapter(dict[Role, ModelIdentity])


@dataclass(frozen=True, slots=True)
class Part:
    """One batch: its tables by name, and what the owner must know about it."""

    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)


class Outcome(BaseModel):
    """How a job ended. error_code: the name of the error's class, None where it did not fail."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    state: State
    error: str | None = None
    error_code: str | None = None

    @staticmethod
    def of(error: Exception) -> Outcome:
        """The end of a job that raised."""
        if isinstance(error, JobCancelledError):
            return Outcome(state="cancelled")
        code = type(error).__name__
        said = str(error) if isinstance(error, DeitaError) else f"{code}: {error}"
        return Outcome(state="failed", error=said, error_code=code)


class Handover:
    """The folder of one job; both sides use this class."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.input = folder / "input"
        self.parts = folder / "parts"
        self.log = folder / "worker.log"

    def create(self, kind: str, parameters: Mapping[str, Any]) -> None:
        """Start afresh, but keep finished batches that were not committed yet."""
        self.parts.mkdir(parents=True, exist_ok=True)
        for unfinished in filter(is_unfinished, self.parts.iterdir()):
            shutil.rmtree(unfinished)
        shutil.rmtree(self.input, ignore_errors=True)
        self.input.mkdir()
        for name in ("identities.json", "progress.json", "cancel", "outcome.json"):
            (self.folder / name).unlink(missing_ok=True)
        self._write("spec.json", {"kind": kind, "parameters": dict(parameters)})

    def spec(self) -> tuple[str, Mapping[str, Any]]:
        """What to do: the kind of job and its parameters."""
        found = self._read("spec.json")
        assert found is not None
        return found["kind"], found["parameters"]

    def set_identities(self, identities: Identities) -> None:
        """Worker: tell which models will run."""
        encoded = {str(role): identity.model_dump() for role, identity in identities.items()}
        self._write("identities.json", encoded)

    def identities(self) -> Identities | None:
        """Owner: which models will run, or None while they are still loading."""
        found = self._read("identities.json")
        return None if found is None else _IDENTITIES.validate_python(found)

    def set_input_ready(self, total: int) -> None:
        """Owner: everything below `input` is complete, and holds `total` rows."""
        self._write("input/ready", {"total": total})

    def input_total(self) -> int | None:
        """Worker: number of input rows, or None while the owner still writes them."""
        found = self._read("input/ready")
        return None if found is None else int(found["total"])

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
        if not self.parts.exists():
            return []
        return sorted(path for path in self.parts.iterdir() if not is_unfinished(path))

    def take(self, path: Path) -> Part:
        """Owner: read a batch; delete it with `drop` after the commit."""
        import pyarrow as pa

        tables = {}
        for file in sorted(path.glob("*.arrow")):
            with pa.OSFile(str(file), "rb") as source:
                tables[file.stem] = pa.ipc.open_file(source).read_all()
        return Part(tables, json.loads((path / "meta.json").read_text(encoding="utf-8")))

    def drop(self, path: Path) -> None:
        """Owner: the batch is committed."""
        shutil.rmtree(path)

    def set_progress(self, progress: Progress) -> None:
        """Worker: how far it has come."""
        self._write("progress.json", progress.model_dump(exclude_defaults=True))

    def progress(self) -> Progress | None:
        """Owner: how far the worker has come, or None before its first word."""
        found = self._read("progress.json")
        return None if found is None else Progress.model_validate(found)

    def cancel(self) -> None:
        """Owner: ask the worker to stop at the next batch."""
        (self.folder / "cancel").touch()

    @property
    def cancelled(self) -> bool:
        """Worker: was it asked to stop?"""
        return (self.folder / "cancel").exists()

    def set_outcome(self, outcome: Outcome) -> None:
        """Worker: its last word."""
        self._write("outcome.json", outcome.model_dump())

    def outcome(self) -> Outcome | None:
        """Owner: how it ended, or None when the worker never came to its end."""
        found = self._read("outcome.json")
        return None if found is None else Outcome.model_validate(found)

    def remove(self) -> None:
        """Owner: the job is over and committed."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write(self, name: str, value: Mapping[str, Any]) -> None:
        with whole_file(self.folder / name) as partial:
            partial.write_text(json.dumps(value), encoding="utf-8")

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads((self.folder / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return found


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

    def get_input(self, identities: Identities | None = None) -> tuple[Path, int]:
        """Tell which models will run, then wait for the owner's input: its folder and rows."""
        self._handover.set_identities(identities or {})
        while (total := self._handover.input_total()) is None:
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
        self._handover.set_progress(progress.model_copy(update={"rate": rate}))
        self.check()

    def set_identities(self, identities: Identities) -> None:
        """Tell whose results the batches hold, where that takes the input to know."""
        self._handover.set_identities(identities)

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
