"""The folder of projects: list, create, duplicate and delete project files.

What happens to whole projects is also in a log beside them, for a deleted one takes its own along.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path

from deita_core.errors import PathError, ProjectError
from deita_core.files import private_folder
from deita_core.people import require
from deita_core.project.graphs import copy_graphs, delete_graphs
from deita_core.project.on_disk import SUFFIX, scorers_folder, snapshots_folder
from deita_core.project.store import CREATE, Project, now

# A JSON line for each deleted project; only ever gets lines added.
_DELETIONS = ".deleted.jsonl"


@dataclass(frozen=True, slots=True)
class ProjectFile:
    """A project on disk, seen without opening it. `key` is the file's name without suffix."""

    key: str
    path: Path
    bytes: int
    changed: datetime


def projects_folder() -> Path:
    """DEITA_PROJECTS_DIR, or ./projects."""
    return Path(os.environ.get("DEITA_PROJECTS_DIR", "projects")).expanduser().resolve()


def data_folder() -> Path:
    """DEITA_DATA_DIR, or ./data: the only place the browser may read pools from."""
    return Path(os.environ.get("DEITA_DATA_DIR", "data")).expanduser().resolve()


def models_folder() -> Path:
    """DEITA_MODELS_DIR, or `models` in the data folder: where the browser may name models."""
    given = os.environ.get("DEITA_MODELS_DIR")
    return Path(given).expanduser().resolve() if given else data_folder() / "models"


def list_projects(folder: Path) -> list[ProjectFile]:
    """The project files in `folder`, most recently changed first."""
    files = []
    for path in folder.glob(f"*{SUFFIX}"):
        facts, key = path.stat(), path.name.removesuffix(SUFFIX)
        changed = datetime.fromtimestamp(facts.st_mtime)
        files.append(ProjectFile(key, path, facts.st_size, changed))
    return sorted(files, key=lambda file: (-file.changed.timestamp(), file.key))


def path_of(folder: Path, key: str) -> Path:
    """The file of a project; raises ProjectError for a key that could leave the folder."""
    if not re.fullmatch(r"[\w][\w .-]{0,79}", key):
        allowed = "use up to 80 letters, digits, spaces, '.', '_' and '-'"
        raise ProjectError(f"{key!r} cannot name a project file: {allowed}")
    return folder / f"{key}{SUFFIX}"


def free_key(folder: Path, name: str) -> str:
    """A key for a new project that reads like `name` and is not taken yet."""
    base = re.sub(r"[^\w.-]+", "-", name.strip().lower()).strip("-._")[:60] or "project"
    key, number = base, 2
    while path_of(folder, key).exists():
        key, number = f"{base}-{number}", number + 1
    return key


def create_project(folder: Path, name: str) -> Project:
    """Make an empty project called `name` and open it."""
    require("admin", CREATE)
    if not name.strip():
        raise ProjectError("a project needs a name of 1 to 100 characters, got none")
    project = Project.open(path_of(folder, free_key(folder, name)), create=True)
    project.rename(name)
    return project


def duplicate_project(project: Project, name: str) -> Path:
    """Copy an open project to a new file beside it, called `name`; returns its path."""
    folder = project.path.parent
    target = path_of(folder, free_key(folder, name))
    project.copy_to(target)
    copy_graphs(project.path, target)
    if (scorers := scorers_folder(project.path)).is_dir():
        shutil.copytree(scorers, scorers_folder(target))
    with Project.open(target) as copy:
        copy.rename(name)
    return target


def delete_project(path: Path) -> None:
    """Delete a closed project, its work folder, graph, snapshots and trained scorers.

    Raises ProjectLockedError if it is in use.
    """
    person = require("admin", "delete a project")
    with Project.open(path) as project:  # proves that nobody else has it
        name = project.name
    gone = Deleted(path.name.removesuffix(SUFFIX), name, person.label, person.session, now())
    with (path.parent / _DELETIONS).open("a", encoding="utf-8") as lines:
        lines.write(json.dumps({**asdict(gone), "made": gone.made.isoformat()}) + "\n")
    for file in (path, path.with_name(path.name + ".wal")):
        file.unlink(missing_ok=True)
    shutil.rmtree(path.with_name(path.name + ".work"), ignore_errors=True)
    shutil.rmtree(snapshots_folder(path), ignore_errors=True)
    shutil.rmtree(scorers_folder(path), ignore_errors=True)
    delete_graphs(path)


@dataclass(frozen=True, slots=True)
class Deleted:
    """A project that was deleted: by whom, in which session, and when (UTC)."""

    key: str
    name: str
    who: str
    session: str
    made: datetime


def last_deletion(folder: Path, key: str) -> Deleted | None:
    """The last time that a project with this key was deleted; None when it never was."""
    with suppress(OSError):
        for line in reversed((folder / _DELETIONS).read_text(encoding="utf-8").splitlines()):
            with suppress(ValueError, TypeError):  # a line that a full disk cut short
                facts = json.loads(line)
                if facts["key"] == key:
                    return Deleted(**{**facts, "made": datetime.fromisoformat(facts["made"])})
    return None


def place_for_upload(number: str, name: str, size: int) -> Path:
    """Where an upload of `size` bytes is kept: in a folder of its own, so that none of the same
    name is lost.

    Raises PermissionDeniedError for who may not write into the data folder, PathError when what
    they uploaded so far leaves no room (DEITA_UPLOADS_GB; usually 50 for each person).
    """
    person = require("admin", "put files into the data folder")
    # Number and name come from a browser; only a hash and printable letters reach the disk.
    theirs, own = (hashlib.sha256(one.encode()).hexdigest()[:8] for one in (person.email, number))
    signs = "".join(sign if sign.isprintable() else "_" for sign in Path(name).name)
    short = signs.encode()[-200:].decode(errors="ignore").lstrip(".") or "upload"
    path = data_folder() / "uploads" / theirs / own / short
    if not path.exists():
        _check_room(path.parents[1], name, size)
    private_folder(path.parent)
    return path


def _check_room(folder: Path, name: str, size: int) -> None:
    given = os.environ.get("DEITA_UPLOADS_GB", "50")
    try:
        most = float(given) * 1e9
    except ValueError as error:
        raise PathError(f"DEITA_UPLOADS_GB is a number of gigabytes, got {given!r}") from error
    held = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())
    if held + size > most:
        raise PathError(
            f"{name!r} has {size:,} bytes, and your uploads hold {held:,} of the {int(most):,} "
            f"that this server grants (DEITA_UPLOADS_GB): have old ones in {folder} deleted"
        )
