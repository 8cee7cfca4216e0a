"""Near-duplicates of a project: their groups, dropping all but one of each, and taking that back.

Dropping is excluding by hand: a note says why, nothing is deleted, and a rule takes it over like
any other exclusion.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import ProjectError
from deita_core.project.graphs import load_graph
from deita_core.project.models import active_model
from deita_core.project.pins import pins, set_pins
from deita_core.project.pool import load_pool_table
from deita_core.project.store import Project, now
from deita_core.project.vectors import embedded_rows
from deita_core.selection.evol import from_highest
from deita_core.selection.filters import rule_scores
from deita_core.selection.pool_table import PoolTable
from deita_core.selection.rule import SelectionRule
from deita_core.similarity.duplicates import By, DuplicateGroups, groups_by_meaning

TEXT_DUPLICATES: Final = "text_duplicates"
_NOTE: Final = "near-duplicate above "


@dataclass(frozen=True, slots=True)
class Dropped:
    """What `drop_duplicates` did: rows excluded, and the note that each of them has."""

    rows: tuple[int, ...]
    note: str


def visiting_order(project: Project, table: PoolTable | None = None) -> NDArray[np.int64]:
    """The rows, best first: pinned ones, then by evol score (as the paper adds it up), ties and
    rows without a score by number. Excluded rows are left out.

    table: the pool as it is now, for whoever has it at hand.
    """
    table = load_pool_table(project) if table is None else table
    order = from_highest(rule_scores(SelectionRule(), table))
    by_hand = pins(project)
    pinned, excluded = np.zeros(len(order), np.bool_), np.zeros(len(order), np.bool_)
    pinned[[one.row for one in by_hand if one.kind == "pinned"]] = True
    excluded[[one.row for one in by_hand if one.kind == "excluded"]] = True
    order = order[~excluded[order]]
    return np.concatenate([order[pinned[order]], order[~pinned[order]]])


def duplicates_by_meaning(
    project: Project, threshold: float, order: NDArray[np.int64] | None = None
) -> DuplicateGroups:
    """Groups at this similarity, off the similarity graph.

    order: the rows to look at, best first; None: all, by `visiting_order`.
    Raises ProjectError when there is no graph, SelectionError for a threshold below its floor.
    """
    graph = load_graph(project)
    if graph is None:
        raise ProjectError(
            "near-duplicates by meaning are read off the similarity graph, and there is none: make "
            "it first (`graph` on the command line)"
        )
    rows = embedded_rows(project, active_model(project, "embedding"))
    if order is None:
        order = visiting_order(project)
    return groups_by_meaning(graph, rows, order, threshold)


def set_text_duplicates(project: Project, groups: Any, threshold: float, rows: int) -> None:
    """Replace the groups by text. groups: an Arrow table of row, keeper, similarity.

    rows: how many the pool had.
    """
    said = {"threshold": threshold, "rows": rows}
    what = {"rows": len(groups), "threshold": threshold}
    with project.transaction("curator", "find near-duplicates by text", what) as cursor:
        cursor.execute("DELETE FROM text_duplicates")
        cursor.register("found", groups)
        cursor.execute("INSERT INTO text_duplicates SELECT row, keeper, similarity FROM found")
        given = [TEXT_DUPLICATES, json.dumps(said)]
        cursor.execute("INSERT OR REPLACE INTO meta VALUES (?, ?)", given)


def duplicates_by_text(project: Project, threshold: float | None = None) -> DuplicateGroups | None:
    """The groups that were found by text; None when there are none of the pool as it is.

    threshold: only those that were found at it; None: at whichever.
    """
    said = project.values("SELECT value FROM meta WHERE key = ?", TEXT_DUPLICATES)
    rows = project.number("SELECT count(*) FROM conversations")
    made = json.loads(said[0]) if said else {}
    if made.get("rows") != rows or threshold not in (None, made["threshold"]):
        return None
    keeper, similarity = np.arange(rows, dtype=np.int32), np.ones(rows)
    found = project.arrays("SELECT row, keeper, similarity FROM text_duplicates")
    keeper[found["row"]], similarity[found["row"]] = found["keeper"], found["similarity"]
    return DuplicateGroups(keeper, similarity)


def text_threshold(project: Project) -> float | None:
    """At which share of common words the groups by text were found; None before they were."""
    said = project.values("SELECT value FROM meta WHERE key = ?", TEXT_DUPLICATES)
    return float(json.loads(said[0])["threshold"]) if said else None


def droppable(project: Project, groups: DuplicateGroups) -> tuple[int, ...]:
    """The rows that `drop_duplicates` would exclude."""
    by_hand = {one.row: one.kind for one in pins(project)}
    return tuple(
        row
        for row in groups.dropped.tolist()
        if row not in by_hand and by_hand.get(int(groups.keeper[row])) != "excluded"
    )


def drop_duplicates(
    project: Project, groups: DuplicateGroups, threshold: float, by: By, *, author: str = ""
) -> Dropped:
    """Exclude all rows of each group but the one that is kept, in one step.

    Left as they are: rows that were pinned or excluded by hand, and groups whose kept row was
    excluded since. threshold, by: what the note says. author: as `set_pins` takes it.
    """
    rows = droppable(project, groups)
    note = f"{_NOTE}{threshold:g} by {by}, {now():%Y-%m-%d %H:%M:%S} UTC"
    set_pins(project, rows, "excluded", note=note, author=author)
    return Dropped(rows, note)


def last_dropped(project: Project) -> Dropped | None:
    """What the last `drop_duplicates` excluded and still is; None when there is nothing."""
    dropped = [one for one in pins(project) if one.note.startswith(_NOTE)]
    dropped = [one for one in dropped if one.kind == "excluded"]
    if not dropped:
        return None
    last = max(dropped, key=lambda one: one.made).note
    return Dropped(tuple(one.row for one in dropped if one.note == last), last)


def restore_duplicates(project: Project, *, author: str = "") -> Dropped:
    """Take the last `drop_duplicates` back: its rows are neither pinned nor excluded then.

    Rows that were chosen otherwise since stay so. Raises ProjectError when there is none to take
    back.
    """
    last = last_dropped(project)
    if last is None:
        raise ProjectError("no near-duplicates are dropped, so there is nothing to take back")
    set_pins(project, last.rows, None, author=author)
    return last


@dataclass(frozen=True, slots=True)
class Copies:
    """A row and its exact copies, which were left out when their files were imported.

    copies: how many. files: the names of the files that held them.
    """

    row: int
    copies: int
    files: tuple[str, ...]


def copies_left_out(project: Project) -> list[Copies]:
    """Rows that had exact copies (of roles, texts and tools); those with most copies first."""
    found = project.rows(
        """
        SELECT c.row, count(*), list(DISTINCT s.name ORDER BY s.name)
        FROM duplicates d JOIN conversations c USING (id) JOIN sources s ON s.source = d.source
        GROUP BY 1 ORDER BY 2 DESC, 1
        """
    )
    return [Copies(row, copies, tuple(files)) for row, copies, files in found]
