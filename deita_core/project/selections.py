"""Queries on saved selections: a rule with its parameters, and the rows it gave."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import ProjectError
from deita_core.project.store import Project, count_up, next_number, now

if TYPE_CHECKING:
    import duckdb

_COUNTER = "selections_version"


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
) -> int:
    """Save rows (k,) in the order kept, with their evol scores (k,); returns its number.

    Raises ProjectError when the name is empty or taken and `replace` is False.
    """
    import pyarrow as pa

    name = name.strip()
    if not name or len(name) > 100:
        raise ProjectError(f"a selection's name has 1 to 100 characters, got {len(name)}")
    taken = next((s for s in selections(project) if s.name == name), None)
    if taken and not replace:
        raise ProjectError(
            f"there is a selection {name!r} already: choose another name, or replace it"
        )
    ranked = pa.table({"rank": np.arange(1, len(rows) + 1), "row": rows, "score": scores})
    with _changing(project) as cursor:
        if taken:
            _delete(cursor, taken.selection)
        number = next_number(cursor, "selections", "selection")
        cursor.execute(
            "INSERT INTO selections VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            [number, name, rule, sentence, notes, author, now(), bool(taken and taken.current)],
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
    """A selection by name; ProjectError that lists the names there are."""
    known = {selection.name: selection for selection in selections(project)}
    if name not in known:
        names = ", ".join(map(repr, known)) or "none yet"
        raise ProjectError(f"there is no selection {name!r} (there are: {names}): save it first")
    return known[name]


def selection_rows(project: Project, selection: int) -> tuple[list[int], list[float]]:
    """Rows and evol scores of a selection, in the order kept."""
    found = project.rows(
        "SELECT row, score FROM selection_rows WHERE selection = ? ORDER BY rank", selection
    )
    return [row for row, _ in found], [score for _, score in found]


def write_selection(project: Project, selection: int, out: Path) -> int:
    """Write a selection's rows with all that an export needs as Parquet; returns their number.

    In the order kept: rank (from 1), id, messages, tools, original, source, position, language,
    flags, evol_score, and the means over the turns of complexity and quality.
    """
    return project.write_parquet(
        """
        SELECT k.rank, c.id, c.messages, c.tools, c.original, s.name AS source, c.position,
               c.language, c.flags, k.score AS evol_score, m.complexity, m.quality
        FROM selection_rows k JOIN conversations c USING (row) JOIN sources s USING (source)
        LEFT JOIN (
            SELECT t.row, avg(t.score) FILTER (r.role = 'complexity') AS complexity,
                   avg(t.score) FILTER (r.role = 'quality') AS quality
            FROM scores t JOIN models r ON r.model = t.scorer
            WHERE r.active GROUP BY 1) m USING (row)
        WHERE k.selection = ? ORDER BY k.rank
        """,
        out,
        selection,
    )


def rename_selection(project: Project, selection: int, name: str) -> None:
    """Give a selection another name; ProjectError when it is empty or taken."""
    name = name.strip()
    if not name or any(s.name == name and s.selection != selection for s in selections(project)):
        raise ProjectError(f"{name!r} is empty or taken: choose another name")
    with _changing(project) as cursor:
        cursor.execute("UPDATE selections SET name = ? WHERE selection = ?", [name, selection])


def duplicate_selection(project: Project, selection: int, author: str = "") -> int:
    """Copy a selection with its rows, as "NAME (copy)" or "NAME (copy 2)"; returns its number."""
    names = {s.selection: s.name for s in selections(project)}
    base = names[selection][:88]
    copies = (f"{base} (copy{f' {number}' if number > 1 else ''})" for number in count(1))
    name = next(one for one in copies if one not in names.values())
    with _changing(project) as cursor:
        new = next_number(cursor, "selections", "selection")
        cursor.execute(
            "INSERT INTO selections SELECT ?, ?, rule, sentence, notes, ?, ?, false "
            "FROM selections WHERE selection = ?",
            [new, name, author, now(), selection],
        )
        cursor.execute(
            "INSERT INTO selection_rows SELECT ?, rank, row, score FROM selection_rows "
            "WHERE selection = ?",
            [new, selection],
        )
    return new


def make_current(project: Project, selection: int | None) -> None:
    """Mark a selection as the one that the project stands by; None: none is."""
    with _changing(project) as cursor:
        cursor.execute("UPDATE selections SET current = (selection = ?)", [selection or -1])


def set_notes(project: Project, selection: int, notes: str) -> None:
    """Replace the notes of a selection."""
    with _changing(project) as cursor:
        cursor.execute("UPDATE selections SET notes = ? WHERE selection = ?", [notes, selection])


def delete_selection(project: Project, selection: int) -> None:
    """Delete a saved selection; the conversations stay."""
    with _changing(project) as cursor:
        _delete(cursor, selection)


def selections_version(project: Project) -> int:
    """A number that grows with every change of them: saving one does not read the pool again."""
    return project.counter(_COUNTER)


@contextmanager
def _changing(project: Project) -> Iterator[duckdb.DuckDBPyConnection]:
    with project.transaction(changes_data=False) as cursor:
        yield cursor
        count_up(cursor, _COUNTER)


def _delete(cursor: duckdb.DuckDBPyConnection, selection: int) -> None:
    cursor.execute("DELETE FROM selection_rows WHERE selection = ?", [selection])
    cursor.execute("DELETE FROM selections WHERE selection = ?", [selection])
