"""Snapshots of a project: made, brought back and deleted.

A snapshot is a copy of the project's file as it was, with its similarity graph (whose files are
shared with the project's, where the disk can). It appears whole or not at all, and opens as a
project of its own. Those that `restore_snapshot` makes before it writes over a project begin with
`before-` and the time; of these the last five are kept, of the others all.
"""

from __future__ import annotations

import os
import re
import shutil
from datetime import datetime
from pathlib import Path

from deita_core.errors import ProjectError, ProjectLockedError
from deita_core.people import require
from deita_core.project.graphs import copy_graphs, delete_graphs
from deita_core.project.job_log import active_jobs, set_job_state
from deita_core.project.on_disk import (
    SUFFIX,
    Snapshot,
    copy_whole,
    list_snapshots,
    snapshots_folder,
)
from deita_core.project.store import Project, count_up, look_at

KEPT = 5
BRING_BACK = "bring a snapshot back"
_BEFORE = "before-"
_OF_RESTORE = re.compile(rf"{_BEFORE}\d{{4}}-\d\d-\d\d-\d{{6}}(-\d+)?")
# Versions of the data that were seen before a project was brought back must not come again: caches
# are keyed by them.
_JUMP = 1_000_000


def make_snapshot(project: Project, name: str = "") -> Snapshot:
    """Copy an open project as it is now; without a name the time is its name.

    Raises ProjectError for a name that is taken or cannot name a file, and when the disk is full.
    """
    name = name.strip() or _free_name(project.path)
    path = _path_of(project.path, name)
    if path.exists():
        raise ProjectError(f"there is a snapshot {name!r} already: choose another name")
    project.copy_to(path, "make a snapshot")
    copy_graphs(project.path, path)
    return find_snapshot(project.path, name)


def find_snapshot(path: Path, name: str) -> Snapshot:
    """A snapshot of the project file at `path`; ProjectError, naming those there are, else."""
    found = {one.name: one for one in list_snapshots(path)}
    if name not in found:
        there = ", ".join(map(repr, found)) or "none"
        raise ProjectError(f"{path.name} has no snapshot {name!r} (there are: {there})")
    return found[name]


def restore_snapshot(path: Path, name: str) -> Snapshot | None:
    """Put a snapshot in the place of the closed project at `path`.

    What is there is kept first: as a snapshot, which is returned, or, where it cannot be opened,
    among the snapshots under a name that ends in `.unreadable`. Unfinished jobs are cancelled.
    Raises ProjectLockedError while it is open, ProjectError for a snapshot that is not there or
    cannot be opened itself.
    """
    require("admin", BRING_BACK)
    snapshot = find_snapshot(path, name)
    look_at(snapshot.path)
    kept = _keep_present(path)
    _put(snapshot, path)
    for old in [s for s in list_snapshots(path) if _OF_RESTORE.fullmatch(s.name)][KEPT:]:
        delete_snapshot(path, old.name)
    return kept


def copy_snapshot(path: Path, name: str, target: Path) -> None:
    """Make a project at `target`, where there is none, out of a snapshot of `path`."""
    require("admin", BRING_BACK)
    if target.exists():
        raise ProjectError(f"there is a file at {target} already: choose another name")
    _put(find_snapshot(path, name), target)


def delete_snapshot(path: Path, name: str) -> None:
    """Delete a snapshot of the project file at `path`; ProjectError when there is none."""
    require("admin", "delete a snapshot")
    snapshot = find_snapshot(path, name)
    snapshot.path.unlink()
    delete_graphs(snapshot.path)


def _put(snapshot: Snapshot, target: Path) -> None:
    """The snapshot's file and graph in place of what is at `target`, if anything."""
    copy_whole(snapshot.path, target)
    # Batches of the jobs that ran meanwhile belong to what is no more.
    shutil.rmtree(target.with_name(f"{target.name}.work"), ignore_errors=True)
    delete_graphs(target)
    copy_graphs(snapshot.path, target)
    with Project.open(target) as project:
        for job in active_jobs(project):
            set_job_state(project, job.job, "cancelled", "the project was brought back")
        with project.transaction("admin", BRING_BACK, {"snapshot": snapshot.name}) as cursor:
            count_up(cursor, "data_version", _JUMP)


def _keep_present(path: Path) -> Snapshot | None:
    """What is at `path` as a snapshot; None where that is nothing, or not readable."""
    if not path.exists():
        return None
    name = _free_name(path, _BEFORE)
    try:
        with Project.open(path) as project:
            return make_snapshot(project, name)
    except ProjectLockedError:
        raise
    except ProjectError:
        for file in (path, path.with_name(f"{path.name}.wal")):
            if file.exists():
                aside = f"{name}{file.name.removeprefix(path.name)}.unreadable"
                os.rename(file, snapshots_folder(path) / aside)
        return None


def _path_of(path: Path, name: str) -> Path:
    if not re.fullmatch(r"\w[\w.-]{0,79}", name):
        raise ProjectError(
            f"{name!r} cannot name a snapshot: use up to 80 letters, digits, '.', '_' and '-'"
        )
    return snapshots_folder(path) / f"{name}{SUFFIX}"


def _free_name(path: Path, begins: str = "") -> str:
    """The time, with a number where that is taken."""
    base = name = f"{begins}{datetime.now():%Y-%m-%d-%H%M%S}"
    number = 2
    while _path_of(path, name).exists():
        name, number = f"{base}-{number}", number + 1
    return name
