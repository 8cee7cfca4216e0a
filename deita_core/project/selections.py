"""Queries on saved selections: a rule with its parameters, and the rows it gave."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np
from numpy.typing import NDArray

from deita_core import people
from deita_core.errors import ProjectError
from deita_core.project.store import Project, check_name, count_up, none_such, now

if TYPE_CHECKING:
    import duckdb

_COUNTER = "selections_version"
# Actions of the log that others look for.
SAVE, RENAME_SELECTION = "save a selection", "rename a selection"
DELETE = "delete a selection"
_DONE = {SAVE: "was saved", RENAME_SELECTION: "was renamed", DELETE: "was deleted"}


@dataclass(frozen=True, slots=True)
class SavedSelection:
    """rule: JSON of its SelectionRule. sentence: says the result. current: the one that the
    project stands by; at most one is."""

    selection: int
    name: str
    rule: str
    sentence: str
    notes: str
    author: str
    made: datetime
    rows: int
    current: bool = False


def save_selection(
    project: Project,
    name: str,
    rule: str,
    sentence: str,
    rows: NDArray[np.int64],
    scores: NDArray[np.float64],
    *,
    notes: str = "",
    author: str = "",
    replace: bool = False,
    replaces: int | None = None,
) -> int:
    """Save rows (k,) in the order kept, with their evol scores (k,); returns its number.

    replace: whichever selection has the name. replaces: only the selection of this number, so
    that what somebody else saved meanwhile stays. author: of who logged in, it is their own name
    whatever is given here. Raises ProjectError when the name is empty, or taken and not to be
    replaced; it says by whom.
    """
    import pyarrow as pa

    name = check_name(name, "selection")
    ranked = pa.table({"rank": np.arange(1, len(rows) + 1), "row": rows, "score": scores})
    what: dict[str, Any] = {"name": name, "rows": len(rows)}
    with _changing(project, SAVE, what) as cursor:
        taken = _named(cursor, name)
        if taken and not replace and taken[0] != replaces:
            raise ProjectError(_taken(cursor, *taken))
        # A number is never given twice: the log tells one selection from another by it.
        what["selection"] = number = count_up(cursor, "selection")
        current = False
        if taken:
            what["replaced"], _, current = taken
            _delete(cursor, taken[0])
        cursor.execute(
            "INSERT INTO selections VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [number, name, rule, sentence, notes, people.author(author), now(), current],
        )
        cursor.register("ranked", ranked)
        cursor.execute(
            "INSERT INTO selection_rows SELECT ?, rank, row, score FROM ranked", [number]
        )
    return number


def selections(project: Project) -> list[SavedSelection]:
    """Every saved selection, newest first."""
    found = project.rows(
        """
        SELECT s.selection, s.name, s.rule, s.sentence, s.notes, s.author, s.made,
               (SELECT count(*) FROM selection_rows r WHERE r.selection = s.selection),
               s.current
        FROM selections s ORDER BY s.made DESC, s.selection DESC
        """
    )
    return [SavedSelection(*row) for row in found]


def find_selection(project: Project, name: str) -> SavedSelection:
    """A selection by name; ProjectError that lists the names there are, or says who deleted it."""
    known = {selection.name: selection for selection in selections(project)}
    if name not in known:
        if gone := _last_said(project.cursor(), (DELETE,), "name", name):
            raise ProjectError(f"the selection {name!r} {gone}: choose another one")
        raise ProjectError(none_such("selection", name, known, "save it first"))
    return known[name]


def selection_rows(project: Project, selection: int) -> tuple[list[int], list[float]]:
    """Rows and evol scores of a selection, in the order kept."""
    found = project.rows(
        "SELECT row, score FROM selection_rows WHERE selection = ? ORDER BY rank", selection
    )
    return [row for row, _ in found], [score for _, score in found]


# Verdicts and other answers of a queue, edits, tags, pins: what stands of them, by row.
_DECIDED: Final = """
LEFT JOIN (
    SELECT row, count(*) FILTER (kind = 'keep') AS keep, count(*) FILTER (kind = 'drop') AS drop,
           count(*) FILTER (kind = 'unsure') AS unsure,
           list_sort(list(DISTINCT author)) AS reviewers
    FROM standing WHERE NOT shared AND slot <> 'note' AND kind <> 'withdraw'
    GROUP BY row) a USING (row)
LEFT JOIN (SELECT row, version, value, author FROM standing WHERE slot = 'edit') e USING (row)
LEFT JOIN (SELECT row, list_sort(list(value)) AS tags FROM standing WHERE kind = 'tag'
           GROUP BY row) g USING (row)
LEFT JOIN (SELECT row, kind FROM pins) p USING (row)
"""
_DECISIONS: Final = """
, e.value AS edited, coalesce(e.version, 0) AS version, e.author AS edited_by, p.kind AS choice,
coalesce(g.tags, []) AS tags, coalesce(a.keep, 0) AS keep, coalesce(a.drop, 0) AS drop,
coalesce(a.unsure, 0) AS unsure, coalesce(a.reviewers, []) AS reviewers
"""


def write_selection(
    project: Project, selection: int, out: Path, *, with_decisions: bool = False
) -> int:
    """Write a selection's rows with all that an export needs as Parquet; returns their number.

    In the order kept: rank (from 1), id, messages, tools, original, source, position, language,
    flags, evol_score, and the means over the turns of complexity and quality. with_decisions:
    also the newest text where there is an edit (edited), version, edited_by, choice, tags, the
    numbers of keep, drop and unsure, and reviewers.
    """
    more, joined = (_DECISIONS, _DECIDED) if with_decisions else ("", "")
    return project.write_parquet(
        f"""
        SELECT k.rank, c.id, c.messages, c.tools, c.original, s.name AS source, c.position,
               c.language, c.flags, k.score AS evol_score, m.complexity, m.quality {more}
        FROM selection_rows k JOIN conversations c USING (row) JOIN sources s USING (source)
        LEFT JOIN (
            SELECT t.row, avg(t.score) FILTER (r.role = 'complexity') AS complexity,
                   avg(t.score) FILTER (r.role = 'quality') AS quality
            FROM scores t JOIN models r ON r.model = t.scorer
            WHERE r.active GROUP BY 1) m USING (row)
        {joined}
        WHERE k.selection = ? ORDER BY k.rank
        """,  # noqa: S608 - only text of ours goes in
        out,
        selection,
    )


def selection_bytes(project: Project, selection: int) -> int:
    """About as many bytes as the rows of a selection take in a file."""
    return project.number(
        "SELECT sum(strlen(c.messages) + strlen(c.original)) FROM selection_rows k "
        "JOIN conversations c USING (row) WHERE k.selection = ?",
        selection,
    )


def rename_selection(project: Project, selection: int, name: str) -> None:
    """Give a selection another name; ProjectError when it is empty or taken, or it was deleted."""
    name = check_name(name, "selection")
    what: dict[str, Any] = {"selection": selection, "name": name}
    with _changing(project, RENAME_SELECTION, what) as cursor:
        what["before"] = _name_of(cursor, selection)
        taken = _named(cursor, name)
        if taken and taken[0] != selection:
            raise ProjectError(_taken(cursor, *taken))
        cursor.execute("UPDATE selections SET name = ? WHERE selection = ?", [name, selection])


def duplicate_selection(project: Project, selection: int, author: str = "") -> int:
    """Copy a selection with its rows, as "NAME (copy)" or "NAME (copy 2)"; returns its number.

    Raises ProjectError when it was deleted.
    """
    what: dict[str, Any] = {"from": selection}
    with _changing(project, SAVE, what) as cursor:
        base = _name_of(cursor, selection)[:88]
        copies = (f"{base} (copy{f' {number}' if number > 1 else ''})" for number in count(1))
        what["name"] = name = next(one for one in copies if _named(cursor, one) is None)
        what["selection"] = new = count_up(cursor, "selection")
        cursor.execute(
            "INSERT INTO selections SELECT ?, ?, rule, sentence, notes, ?, ?, false "
            "FROM selections WHERE selection = ?",
            [new, name, people.author(author), now(), selection],
        )
        cursor.execute(
            "INSERT INTO selection_rows SELECT ?, rank, row, score FROM selection_rows "
            "WHERE selection = ?",
            [new, selection],
        )
    return new


def make_current(project: Project, selection: int | None) -> None:
    """Mark a selection as the one that the project stands by; None: none is."""
    what: dict[str, Any] = {"selection": selection}
    with _changing(project, "make a selection current", what) as cursor:
        what["name"] = None if selection is None else _name_of(cursor, selection)
        cursor.execute("UPDATE selections SET current = (selection = ?)", [selection or -1])


def set_notes(project: Project, selection: int, notes: str) -> None:
    """Replace the notes of a selection; ProjectError when it was deleted."""
    what: dict[str, Any] = {"selection": selection}
    with _changing(project, "note on a selection", what) as cursor:
        what["name"] = _name_of(cursor, selection)
        cursor.execute("UPDATE selections SET notes = ? WHERE selection = ?", [notes, selection])


def delete_selection(project: Project, selection: int) -> None:
    """Delete a saved selection; the conversations stay. ProjectError when it is gone already."""
    what: dict[str, Any] = {"selection": selection}
    with _changing(project, DELETE, what) as cursor:
        what["name"] = _name_of(cursor, selection)
        _delete(cursor, selection)


def selections_version(project: Project) -> int:
    """A number that grows with every change of them: saving one does not read the pool again."""
    return project.counter(_COUNTER)


@contextmanager
def _changing(
    project: Project, action: str, what: Mapping[str, Any]
) -> Iterator[duckdb.DuckDBPyConnection]:
    with project.transaction("curator", action, what, changes_data=False) as cursor:
        yield cursor
        count_up(cursor, _COUNTER)


def _named(cursor: duckdb.DuckDBPyConnection, name: str) -> tuple[int, str, bool] | None:
    """Number, name and whether it is current, of the selection of this name."""
    query = "SELECT selection, name, current FROM selections WHERE name = ?"
    return next(iter(cursor.execute(query, [name]).fetchall()), None)


def _taken(cursor: duckdb.DuckDBPyConnection, selection: int, name: str, current: bool) -> str:
    said = _last_said(cursor, (SAVE, RENAME_SELECTION), "selection", selection)
    return (
        f"there is a selection {name!r} already, it {said or 'is older'}: choose another name, "
        "or replace it"
    )


def _name_of(cursor: duckdb.DuckDBPyConnection, selection: int) -> str:
    found = cursor.execute("SELECT name FROM selections WHERE selection = ?", [selection])
    names = [str(row[0]) for row in found.fetchall()]
    if not names:
        gone = _last_said(cursor, (DELETE,), "selection", selection)
        gone = gone or _last_said(cursor, (SAVE,), "replaced", selection)
        raise ProjectError(f"this selection {gone or 'is not there'}: choose another one")
    return names[0]


def _last_said(
    cursor: duckdb.DuckDBPyConnection, actions: Sequence[str], key: str, value: str | int
) -> str:
    """What was done last to a selection, by whom and when; empty where the log has nothing."""
    found = cursor.execute(
        "SELECT who, made, action FROM log WHERE action IN (SELECT unnest(?)) "
        "AND what ->> ? = ? ORDER BY number DESC LIMIT 1",
        [list(actions), key, str(value)],
    ).fetchall()
    if not found:
        return ""
    who, made, action = found[0]
    verb = "was replaced" if key == "replaced" else _DONE[action]
    return f"{verb} by {who} at {made:%H:%M} UTC on {made:%Y-%m-%d}"


def _delete(cursor: duckdb.DuckDBPyConnection, selection: int) -> None:
    for table in ("selection_rows", "stabilities", "selections"):
        cursor.execute(f"DELETE FROM {table} WHERE selection = ?", [selection])  # noqa: S608 - only names of ours go in
