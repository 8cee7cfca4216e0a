"""A project's file on disk: its snapshots, what can be wrong with it, and what can be saved.

DuckDB tells of a broken file, a full disk and a lack of memory in many ways. Here each becomes one
sentence that names the file, the reason and the remedy; for a broken file that is its newest
snapshot. Snapshots lie in a folder beside the file.
"""

from __future__ import annotations

import errno
import re
import shlex
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

import duckdb
import psutil

from deita_core.errors import ProjectDamagedError, ProjectError
from deita_core.files import whole_file

SUFFIX = ".duckdb"
# Errors that have this as their number, or such a text, mean that a disk is full; numpy and DuckDB
# give no number.
DISK_FULL = frozenset({errno.ENOSPC, errno.EDQUOT})
_DISK_TEXT = re.compile(r"No space left|Not enough free space|requested and \d+ written|quota")
_MEMORY_TEXT = re.compile(
    r"bad_alloc|MemoryError|(can't|[Cc]annot|failed to) (alloc|map)|memory allocation of .* failed"
)
# A FATAL error ends the work with a file until it is opened anew.
ENDING = (duckdb.FatalException, duckdb.InternalException)
# What DuckDB raises for the file's sake and not for the query's. Corrupt blocks come as the base
# class itself.
_OF_THE_FILE = (
    *ENDING,
    duckdb.IOException,
    duckdb.OutOfMemoryException,
    duckdb.SerializationException,
)
_DAMAGE_TEXT = re.compile(r"[Cc]orrupt|replaying WAL|not a valid DuckDB|Could not read|Serializ")


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A copy of a project as it was, in the folder of its snapshots."""

    name: str
    path: Path
    bytes: int
    made: datetime


def scorers_folder(path: Path) -> Path:
    """Where the scorers that were trained in the project at `path` lie, each in its folder."""
    return path.with_name(f"{path.name}.scorers")


def snapshots_folder(path: Path) -> Path:
    """Where the snapshots of the project file at `path` lie."""
    return path.with_name(f"{path.name}.snapshots")


def list_snapshots(path: Path) -> list[Snapshot]:
    """The snapshots of the project file at `path`, newest first; it need not be there itself."""
    found = []
    for file in snapshots_folder(path).glob(f"*{SUFFIX}"):
        facts = file.stat()
        made = datetime.fromtimestamp(facts.st_mtime)
        found.append(Snapshot(file.name.removesuffix(SUFFIX), file, facts.st_size, made))
    return sorted(found, key=lambda one: (one.made, one.name), reverse=True)


def damaged(path: Path, reason: str) -> ProjectDamagedError:
    """The error for a project file that cannot be read, with what can be saved."""
    log = f"{path.name}.wal"
    without = f"move {log} away to open it without its last changes, or: " * (log in reason)
    return ProjectDamagedError(f"{path} is damaged ({reason}): {without}{_newest(path)}")


def _newest(path: Path) -> str:
    if not (found := list_snapshots(path)):
        return "there is no snapshot of it, so put a copy back, or import its files again"
    newest = found[0]
    return (
        f"its newest snapshot is {newest.name!r} of {newest.made:%d %B %Y, %H:%M}; "
        f"`deita snapshot --project {shlex.quote(str(path))} --restore {shlex.quote(newest.name)}` "
        "brings it back"
    )


def file_problem(path: Path, error: BaseException) -> ProjectError | None:
    """What DuckDB's error says of the project file at `path`; None when the query was wrong."""
    if said := shortage(error, path.parent):
        return ProjectError(f"{path.name}: {said}")
    text = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
    if type(error) is not duckdb.Error and not isinstance(error, _OF_THE_FILE):
        return None
    reason = re.sub(r"^[A-Z]\w+ Error: ", "", text)
    if isinstance(error, duckdb.IOException) and not _DAMAGE_TEXT.search(text):
        return ProjectError(f"{path} cannot be read or written: {reason}")
    return damaged(path, reason)


def copy_whole(source: Path, target: Path) -> None:
    """Copy a project file; the copy is whole or not there. ProjectError when it cannot be made."""
    try:
        with whole_file(target) as partial:
            shutil.copyfile(source, partial)
    except OSError as error:
        raise file_problem(target, error) or ProjectError(
            f"{target} cannot be written: {error.strerror}"
        ) from error


def shortage(error: BaseException, folder: Path) -> str | None:
    """What ran out, disk or memory, when that is why `error` was raised; else None.

    folder: where was written.
    """
    for one in _causes(error):
        text = str(one)
        if getattr(one, "errno", None) in DISK_FULL or _DISK_TEXT.search(text):
            file = getattr(one, "filename", None)  # it may lie on another disk
            return disk_full(Path(file).parent if isinstance(file, str) else folder)
        if isinstance(one, MemoryError | duckdb.OutOfMemoryException) or memory_text(text):
            return memory_out()
    return None


def disk_full(folder: Path) -> str:
    """The sentence for a full disk."""
    while not folder.exists():
        folder = folder.parent
    free = shutil.disk_usage(folder).free
    return (
        f"no space left on the disk of {folder} ({free / 1e6:,.1f} MB free): make room there, "
        "then resume; what was finished is kept"
    )


def memory_out() -> str:
    """The sentence for a lack of memory."""
    memory = psutil.virtual_memory()
    return (
        f"memory ran out ({memory.available / 1e9:.1f} of {memory.total / 1e9:.1f} GB are free "
        "now): close other programs, or choose a smaller model or batch, then resume; what was "
        "finished is kept"
    )


def memory_text(text: str) -> bool:
    """Does a library say here that memory ran out? (That of a GPU is another matter.)"""
    return "CUDA" not in text and _MEMORY_TEXT.search(text) is not None


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    one: BaseException | None = error
    while one is not None and id(one) not in seen:
        seen.add(id(one))
        yield one
        one = one.__cause__ or one.__context__
