"""Reading the log of who did what. It is written by `Project.transaction`, and by nothing else."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Literal, get_args

from deita_core.files import cell_text
from deita_core.project.store import Project

LogFormat = Literal["csv", "jsonl"]
LOG_FORMATS: tuple[LogFormat, ...] = get_args(LogFormat)
_COLUMNS = ("number", "made", "who", "role", "session", "action", "what")


@dataclass(frozen=True, slots=True)
class LogEntry:
    """Something that somebody did, or was refused.

    number: from 1, without gaps. made: UTC. who: name and e-mail address, or the local user's name.
    role: that they had then. session: the browser session or the process.
    """

    what: Mapping[str, Any]
    number: int
    made: datetime
    who: str
    role: str
    session: str
    action: str

    def details(self) -> str:
        """ "name first, rows 6000"; of a long list its length."""
        said = (f"{key} {_short(value)}" for key, value in self.what.items() if value is not None)
        return ", ".join(said)


def _short(value: object) -> str:
    if isinstance(value, list):
        return ", ".join(map(str, value)) if len(value) <= 5 else f"({len(value):,} of them)"
    return str(value)


def log_entries(
    project: Project,
    *,
    who: str | None = None,
    action: str | None = None,
    after: int = 0,
    limit: int | None = None,
    offset: int = 0,
) -> list[LogEntry]:
    """Entries, newest first; of one person, of one action, with a number above `after`."""
    found = project.rows(
        "SELECT what, number, made, who, role, session, action FROM log "
        "WHERE (? IS NULL OR who = ?) AND (? IS NULL OR action = ?) AND number > ? "
        "ORDER BY number DESC LIMIT ? OFFSET ?",
        *(who, who, action, action, after, limit, offset),
    )
    return [LogEntry(json.loads(what), *rest) for what, *rest in found]


def log_length(project: Project, *, who: str | None = None, action: str | None = None) -> int:
    """How many entries there are of this person and action."""
    return project.number(
        "SELECT count(*) FROM log WHERE (? IS NULL OR who = ?) AND (? IS NULL OR action = ?)",
        *(who, who, action, action),
    )


def log_names(project: Project, column: Literal["who", "action"]) -> list[str]:
    """Everybody, or every action, in the log."""
    return project.values(f"SELECT DISTINCT {column} FROM log ORDER BY 1")  # noqa: S608 - only names of ours go in


def log_text(project: Project, format: LogFormat) -> str:
    """The whole log, oldest first, as CSV with a header or as JSON Lines."""
    records = []
    for entry in reversed(log_entries(project)):
        made = f"{entry.made.isoformat(timespec='milliseconds')}Z"
        records.append({**dict.fromkeys(_COLUMNS), **asdict(entry), "made": made})
    if format == "jsonl":
        return "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records)
    text = io.StringIO()
    lines = csv.writer(text, lineterminator="\n")
    lines.writerow(_COLUMNS)
    for record in records:
        record["what"] = json.dumps(record["what"], ensure_ascii=False)
        lines.writerow(cell_text(str(value)) for value in record.values())
    return text.getvalue()
