"""The commands that look after a project: its snapshots, and whether all of it is well."""

from __future__ import annotations

from pathlib import Path

from typer import Exit

from deita_core.cli.options import ProjectOptions, flag, value
from deita_core.project.check import check_project, mend
from deita_core.project.on_disk import list_snapshots
from deita_core.project.snapshots import (
    copy_snapshot,
    delete_snapshot,
    make_snapshot,
    restore_snapshot,
)


def snapshot(
    target: ProjectOptions,
    name: str = value("", "NAME", "of the new snapshot (default: the time)"),
    list_all: bool = flag("--list", "list the snapshots, and do nothing else"),
    restore: str | None = value(None, "NAME", "put this snapshot in the project's place"),
    to: Path | None = value(None, "FILE", "with --restore: make a new project there instead"),
    delete: str | None = value(None, "NAME", "delete this snapshot"),
) -> None:
    """Keep a copy of the project as it is, or bring one back."""
    path = target.path
    if list_all:
        _print_snapshots(path)
    elif delete is not None:
        delete_snapshot(path, delete)
        print(f"deleted the snapshot {delete}")
    elif restore is not None and to is not None:
        copy_snapshot(path, restore, to)
        print(f"{to}: the project as of the snapshot {restore}")
    elif restore is not None:
        kept = restore_snapshot(path, restore)
        before = f"; what it was before is the snapshot {kept.name}" if kept else ""
        print(f"{path.name} is as of the snapshot {restore}{before}")
    else:
        with target.opened() as project:
            made = make_snapshot(project, name)
        print(f"{made.name}: {made.bytes / 1e6:,.1f} MB")


def _print_snapshots(path: Path) -> None:
    found = list_snapshots(path)
    for one in found:
        print(f"{one.name}: {one.made:%Y-%m-%d %H:%M}, {one.bytes / 1e6:,.1f} MB")
    if not found:
        print(f"{path.name} has no snapshots")


def check(
    target: ProjectOptions,
    deep: bool = flag("--deep", "compare all pairs of rows again, not a sample"),
    mend_all: bool = flag(
        "--mend", "take out what can be made anew, after a snapshot of the project as it is"
    ),
) -> None:
    """Hold a project against itself: counts, references, texts, vectors, graph."""
    with target.opened() as project:
        found = check_project(project, deep=deep)
        for one in found:
            print(f"{one.sentence}: {one.remedy}")
        if mend_all and any(one.table for one in found):
            kept = make_snapshot(project)
            found = mend(project, found)
            print(f"mended; the project as it was is the snapshot {kept.name}")
        rows = project.number("SELECT count(*) FROM conversations")
        if not found:
            print(f"all is well with {rows:,} rows")
            return
        print(f"{len(found)} findings in {rows:,} rows")
    raise Exit(1)
