"""Jobs that write a file which a user named: they never destroy a project, a pool or another file.

A place is checked when the job is queued, so that hours of work do not end in an error, and again
just before the finished file takes it.
"""

from __future__ import annotations

import filecmp
import json
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from deita_core.errors import ExportError
from deita_core.files import one_line, whole_file
from deita_core.jobs.kind import JobSpec, OutPath
from deita_core.project import Project
from deita_core.project.pool import sources

# Every DuckDB file has these bytes at this place.
_MAGIC, _MAGIC_AT = b"DUCK", 8
# A project file, or what lies beside one; but exports may be written to its folder for them.
_PROJECT_NAME = re.compile(r"\.duckdb(\.(?!exports$).*)?$", re.IGNORECASE)
# What lies beside a project file whose name ends in something else.
_COMPANIONS = (".wal", ".work", ".graph", ".snapshots", ".scorers", ".tmp")
# Leaves room for what the names of its companions and temporary files add.
_LONGEST_NAME = 200


def check_output(
    out: Path, *, keep: Iterable[Path] = (), overwrite: bool = False, need: int = 0
) -> None:
    """Raises ExportError unless a file can be written to `out` without destroying anything.

    out: absolute, links followed. keep: files that stay as they are, by whatever name. overwrite:
    a plain file at `out` may go. need: bytes to be written, as far as that is known.
    """
    if one_line(str(out)) != str(out):
        raise ExportError(
            f"{str(out)!r} has line ends or other invisible characters in it: use another name"
        )
    if len(os.fsencode(out.name)) > _LONGEST_NAME:
        raise ExportError(f"the name of {out} has more than {_LONGEST_NAME} bytes: shorten it")
    if project := _project_around(out):
        raise ExportError(
            f"{out} would be written over the project {project}, or into what belongs to it: "
            "choose another name"
        )
    if kept := next((path for path in keep if _is_same_file(path, out)), None):
        raise ExportError(f"{out} is an input ({kept}), which must stay: choose another name")
    _check_what_is_there(out, overwrite)
    _check_folder(out.parent, need)


def _project_around(out: Path) -> Path | None:
    """The project file that a path is, or that it belongs to, whether that is open or not."""
    for place in (out, *out.parents):
        if _PROJECT_NAME.search(place.name) or _is_database(place):
            return place
        if place.suffix in _COMPANIONS and _is_database(place.with_suffix("")):
            return place.with_suffix("")
    return None


def _is_database(path: Path) -> bool:
    with suppress(OSError):
        if path.is_file():
            with path.open("rb") as file:
                return file.read(_MAGIC_AT + len(_MAGIC))[_MAGIC_AT:] == _MAGIC
    return False


def _is_same_file(path: Path, out: Path) -> bool:
    """By name, or through a link of either kind."""
    with suppress(OSError):
        if path.exists() and out.exists():
            return path.samefile(out)
    return path == out


def _check_what_is_there(out: Path, overwrite: bool) -> None:
    try:
        kind = out.lstat().st_mode
    except FileNotFoundError:
        return
    except OSError as error:
        raise ExportError(f"cannot write {out}: {error.strerror}; choose another place") from error
    if stat.S_ISDIR(kind):
        raise ExportError(f"{out} is a folder: add the name of a file")
    if not stat.S_ISREG(kind):
        raise ExportError(f"{out} is a device, a pipe or a socket: choose the name of a file")
    if not overwrite:
        raise ExportError(f"{out} exists: choose another name, or give --force to overwrite it")


def _check_folder(folder: Path, need: int) -> None:
    if not folder.is_dir():
        raise ExportError(f"there is no folder {folder}: make it first, or choose another one")
    try:
        with tempfile.TemporaryFile(dir=folder):
            free = shutil.disk_usage(folder).free
    except OSError as error:
        raise ExportError(
            f"cannot write into {folder}: {error.strerror}; choose another folder"
        ) from error
    if free <= need:
        raise ExportError(
            f"{folder} has {free / 1e6:,.1f} MB free, and about {need / 1e6:,.1f} MB are needed: "
            "free space, or choose another folder"
        )


def kept_files(project: Project) -> list[Path]:
    """The project file and the files of its pool: no output is ever written over them."""
    return [project.path, *(Path(source.path) for source in sources(project))]


@contextmanager
def output_file(out: Path) -> Iterator[Path]:
    """A temporary file that takes the place of a checked output when the block ends.

    Raises ExportError when it cannot be written.
    """
    try:
        with whole_file(out) as partial:
            yield partial
    except OSError as error:
        raise ExportError(
            f"cannot write {out}: {error.strerror or error}; choose another folder or free space"
        ) from error


# A note of the owner in a job's input: the files that stay as they are.
_KEEP = "keep.json"


class OutputSpec(JobSpec):
    """Writes the file `out`. overwrite: a file that is there may go."""

    out: OutPath
    overwrite: bool = False

    def companions(self) -> tuple[Path, ...]:
        """What is written beside the file."""
        return ()

    def bytes_needed(self, project: Project) -> int:
        """About as many bytes as will be written."""
        raise NotImplementedError

    def check(self, project: Project) -> None:
        """Raises ExportError for a place at which something would be destroyed, or no room is."""
        overwrite, need = self.may_overwrite(project), self.bytes_needed(project)
        self.check_places(kept_files(project), overwrite, need=need)

    def may_overwrite(self, project: Project) -> bool:
        """Whether a file that is there may go."""
        return self.overwrite

    def check_places(self, keep: Iterable[Path], overwrite: bool, *, need: int = 0) -> None:
        """`check_output` for the file and its companions."""
        keep = list(keep)
        for path in (self.out, *self.companions()):
            check_output(path, keep=keep, overwrite=overwrite, need=need)

    def write_kept(self, project: Project, folder: Path) -> None:
        """Owner: check again, for a job that is resumed, and tell the worker what must stay."""
        keep = kept_files(project)
        self.check_places(keep, overwrite=True)
        (folder / _KEEP).write_text(json.dumps(list(map(str, keep))), encoding="utf-8")

    def check_again(self, folder: Path, partial: Path, *, overwrite: bool = False) -> None:
        """Worker: `check_places` at the last moment; a file that is the same already may go.

        That one is of this job: its worker was killed after it had written it.
        """
        keep = map(Path, json.loads((folder / _KEEP).read_text(encoding="utf-8")))
        same = self.out.is_file() and filecmp.cmp(partial, self.out, shallow=False)
        self.check_places(keep, self.overwrite or overwrite or same)
