"""What other sessions did to the project that this one has open, said to the one who lost by it.

The source is the log: entries newer than what this session has seen, that others made.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import streamlit as st
from streamlit.runtime.scriptrunner import StopException

from deita_core.people import current_person
from deita_core.project import Project
from deita_core.project.folder import last_deletion
from deita_core.project.log import LogEntry, log_entries
from deita_core.project.pins import PIN_ACTIONS
from deita_core.project.selections import DELETE, RENAME_SELECTION, SAVE
from deita_core.project.store import RENAME
from studio.shell.resources import Opened
from studio.shell.text import escape, plural

# In the session: of each project, what tells it from one made later in its place, and the number
# of the last entry of its log that was looked at.
_SEEN = "log_seen"
_PENDING = "news_pending"
_UNDONE = {
    PIN_ACTIONS["pinned"]: "pinned",
    PIN_ACTIONS["excluded"]: "excluded",
    PIN_ACTIONS[None]: "taken back",
}


def deletion_said(folder: Path, key: str) -> str:
    """ "“Answers” was deleted by Ada at 12:03 UTC"; empty when no such project ever was."""
    gone = last_deletion(folder, key)
    if gone is None:
        return ""
    return f"“{gone.name}” was deleted by {gone.who} at {gone.made:%H:%M} UTC"


@contextmanager
def news_said(opened: Opened | None) -> Iterator[None]:
    """Around a page: say, once, what others did since this session's last run.

    A run that ends in another one may never reach the browser, so the next one says it again.
    """
    pending: list[str] = st.session_state.setdefault(_PENDING, [])
    if opened is not None:
        pending += news(opened.project)
    for said in pending:
        st.toast(escape(said), icon=":material/group:", duration="infinite")
    with suppress(StopException):  # a page that has nothing more to draw
        yield
    pending.clear()


def news(project: Project) -> list[str]:
    """A sentence for each conflict since the last call in this session, oldest first."""
    seen: dict[str, tuple[str, int]] = st.session_state.setdefault(_SEEN, {})
    born, last = project.rows("SELECT min(made)::VARCHAR, max(number) FROM log")[0]
    key = str(project.path)
    before, number = seen.get(key, (born, last))
    seen[key] = (born, last)
    if before != born:
        said = deletion_said(project.path.parent, project.path.stem)
        return [f"{said or 'Your project was deleted'}; this is a new one in its place"]
    if number == last:
        return []
    person = current_person()
    mine = "" if person is None else person.session
    others = [e for e in log_entries(project, after=number) if e.session != mine]
    return [said for entry in reversed(others) for said in _told(project, entry, mine)]


def _told(project: Project, entry: LogEntry, mine: str) -> Iterator[str]:
    what, by = entry.what, f"by {entry.who} at {entry.made:%H:%M} UTC"
    if entry.action == RENAME:
        yield f"The project “{what['before']}” was renamed to “{what['name']}” {by}"
    elif entry.action == SAVE and what.get("replaced"):
        yield f"The selection “{what['name']}” was replaced {by}"
    elif entry.action == RENAME_SELECTION:
        yield f"The selection “{what['before']}” was renamed to “{what['name']}” {by}"
    elif entry.action == DELETE:
        yield f"The selection “{what['name']}” was deleted {by}"
    elif entry.action in _UNDONE and (lost := _lost_rows(project, entry, mine)):
        rows = plural(len(lost)) if len(lost) > 1 else f"Row {lost[0]:,}"
        yield f"{rows}, where you had chosen otherwise: {_UNDONE[entry.action]} {by}"


def _lost_rows(project: Project, entry: LogEntry, mine: str) -> list[int]:
    """Rows of the entry that this session had last set to something else."""
    found = project.values(
        "SELECT row FROM (SELECT unnest((what -> 'rows')::INTEGER[]) AS row, number, action "
        "FROM log WHERE session = ? AND number < ? AND action IN (SELECT unnest(?))) "
        "GROUP BY row HAVING arg_max(action, number) <> ? ORDER BY row",
        mine,
        entry.number,
        list(PIN_ACTIONS.values()),
        entry.action,
    )
    return sorted(set(found) & set(entry.what["rows"]))
