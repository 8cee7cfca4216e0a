"""How a worker process and the owner of the project hand batches to each other.

DuckDB lets one process open a file, so a worker never does: it reads its input from the job's
folder and puts finished batches there, and the owner commits them. Every file appears by an
atomic rename, so a kill at any moment leaves whole batches or none.

    spec.json        what to do                    (owner)
    identity.json    which model, before input     (worker)
    input/ready      the input is complete         (owner)
    parts/000001/    one batch: *.arrow, meta.json (worker; the owner deletes it once committed)
    progress.json    done, total, rate, message    (worker)
    cancel           stop at the next batch        (owner)
    outcome.json     done, cancelled or failed     (worker)
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True, slots=True)
class Part:
    """One batch: its tables by name, and what the owner must know about it."""

    tables: Mapping[str, pa.Table] = field(default_factory=dict)
    meta: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a job has come. done and total count rows; rate is rows a second, or None."""

    done: int
    total: int | None
    rate: float | None
    message: str


class Handover:
    """The folder of one job; both sides use this class."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.input = folder / "input"
        self.parts = folder / "parts"
        self.log = folder / "worker.log"

    def create(self, spec: Mapping[str, Any]) -> None:
        """Start afresh, but keep finished batches that were not committed yet."""
        self.parts.mkdir(parents=True, exist_ok=True)
        for unfinished in self.parts.glob("*.tmp"):
            shutil.rmtree(unfinished)
        shutil.rmtree(self.input, ignore_errors=True)
        self.input.mkdir()
        for name in ("identity.json", "progress.json", "cancel", "outcome.json"):
            (self.folder / name).unlink(missing_ok=True)
        self._write("spec.json", dict(spec))

    def spec(self) -> dict[str, Any]:
        """What to do."""
        found = self._read("spec.json")
        assert found is not None
        return found

    def set_identity(self, identity: Mapping[str, Any]) -> None:
        """Worker: tell which model will run."""
        self._write("identity.json", dict(identity))

    def identity(self) -> dict[str, Any] | None:
        """Owner: which model will run, or None while it is still loading."""
        return self._read("identity.json")

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

        partial = self.parts / f"{number:06d}.tmp"
        partial.mkdir()
        for name, table in part.tables.items():
            with (
                pa.OSFile(str(partial / f"{name}.arrow"), "wb") as sink,
                pa.ipc.new_file(sink, table.schema) as writer,
            ):
                writer.write_table(table)
        (partial / "meta.json").write_text(json.dumps(dict(part.meta)), encoding="utf-8")
        os.rename(partial, self.parts / f"{number:06d}")

    def waiting_parts(self) -> list[Path]:
        """Batches that are not committed yet, oldest first."""
        if not self.parts.exists():
            return []
        return sorted(path for path in self.parts.iterdir() if path.suffix != ".tmp")

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
        self._write("progress.json", asdict(progress))

    def progress(self) -> Progress | None:
        """Owner: how far the worker has come, or None before its first word."""
        found = self._read("progress.json")
        return None if found is None else Progress(**found)

    def cancel(self) -> None:
        """Owner: ask the worker to stop at the next batch."""
        (self.folder / "cancel").touch()

    @property
    def cancelled(self) -> bool:
        """Worker: was it asked to stop?"""
        return (self.folder / "cancel").exists()

    def set_outcome(self, state: str, error: str | None = None) -> None:
        """Worker: its last word."""
        self._write("outcome.json", {"state": state, "error": error})

    def outcome(self) -> tuple[str, str | None] | None:
        """Owner: state and error, or None when the worker never came to its end."""
        found = self._read("outcome.json")
        return None if found is None else (str(found["state"]), found["error"])

    def remove(self) -> None:
        """Owner: the job is over and committed."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _write(self, name: str, value: Mapping[str, Any]) -> None:
        partial = self.folder / f"{name}.tmp"
        partial.write_text(json.dumps(value), encoding="utf-8")
        os.replace(partial, self.folder / name)

    def _read(self, name: str) -> dict[str, Any] | None:
        try:
            found: dict[str, Any] = json.loads((self.folder / name).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        return found
