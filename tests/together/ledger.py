"""What the log says must be there, held against what is there: a lost update is a difference."""

from __future__ import annotations

from collections.abc import Iterator

from deita_core.project import Project
from deita_core.project.job_log import jobs
from deita_core.project.log import LogEntry, log_entries
from deita_core.project.pins import PIN_ACTIONS, pins
from deita_core.project.pool import sources
from deita_core.project.selections import DELETE, RENAME_SELECTION, SAVE, selections
from deita_core.project.store import RENAME

KINDS = {action: kind for kind, action in PIN_ACTIONS.items()}


def differences(project: Project) -> Iterator[str]:
    """A sentence for each thing that the tables have otherwise than the log tells."""
    entries = log_entries(project)[::-1]
    if [e.number for e in entries] != list(range(1, len(entries) + 1)):
        yield "the log has gaps"
    named, current = selections_told(entries)
    kept = {s.selection: s.name for s in selections(project)}
    told = {
        "pins": (pins_told(entries), {pin.row: pin.kind for pin in pins(project)}),
        "selections": (named, kept),
        "current": (current, next((s.selection for s in selections(project) if s.current), None)),
        "name": (name_told(entries), project.name),
        "files": (files_told(entries), {s.source: s.name for s in sources(project)}),
        "jobs": (jobs_told(entries), {j.job: j.state for j in jobs(project, 10_000)}),
    }
    for what, (log, table) in told.items():
        if log != table:
            yield f"{what}: the log tells {log}, the table has {table}"
    for source in sources(project):
        if not source.complete:
            yield f"{source.name}: {source.read} rows read do not add up"
    rows = project.values("SELECT row FROM conversations ORDER BY row")
    if rows != list(range(len(rows))):
        yield "rows are doubled or missing"
    orphans = project.values(
        "SELECT DISTINCT selection FROM selection_rows "
        "WHERE selection NOT IN (SELECT selection FROM selections)"
    )
    if orphans:
        yield "rows of a selection that is not there"


def pins_told(entries: list[LogEntry]) -> dict[int, str]:
    """What each row was set to last."""
    found: dict[int, str] = {}
    for entry in entries:
        if entry.action in KINDS:
            for row in entry.what["rows"]:
                found.pop(row, None)
                if (kind := KINDS[entry.action]) is not None:
                    found[row] = kind
    return dict(sorted(found.items()))


def selections_told(entries: list[LogEntry]) -> tuple[dict[int, str], int | None]:
    """Name by number, and the current one."""
    found: dict[int, str] = {}
    current = None
    for entry in entries:
        what = entry.what
        if entry.action == SAVE:
            if what.get("replaced"):
                del found[what["replaced"]]
                current = what["selection"] if current == what["replaced"] else current
            found[what["selection"]] = what["name"]
        elif entry.action == RENAME_SELECTION:
            found[what["selection"]] = what["name"]
        elif entry.action == DELETE:
            del found[what["selection"]]
            current = None if current == what["selection"] else current
        elif entry.action == "make a selection current":
            current = what["selection"]
    return dict(sorted(found.items(), reverse=True)), current


def name_told(entries: list[LogEntry]) -> str:
    return [e.what["name"] for e in entries if e.action in (RENAME, "create a project")][-1]


def files_told(entries: list[LogEntry]) -> dict[int, str]:
    """Name by number."""
    found: dict[int, str] = {}
    for entry in entries:
        if entry.action == "add a file":
            found[entry.what["source"]] = entry.what["file"]
        elif entry.action == "take back a file":
            del found[entry.what["source"]]
    return found


def jobs_told(entries: list[LogEntry]) -> dict[int, str]:
    """How each job stands; one that runs is waiting in the log."""
    ran = [e for e in entries if e.action.startswith("run ")]
    return dict(sorted({e.what["job"]: e.what["state"] for e in ran}.items(), reverse=True))
