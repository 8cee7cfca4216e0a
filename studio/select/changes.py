"""What the last change of the rule did: the rows that entered and those that left, with why.

What the selection on the page has that a saved one lacks, and the other way round.
"""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from deita_core.project.selections import SavedSelection, selection_rows
from deita_core.selection.analysis.changes import Changes
from deita_core.selection.outcome import Outcome
from studio.rows.table import row_table, rows_table
from studio.select.rows import explain_row, focused
from studio.shell import words
from studio.shell.resources import Opened

_MOST_REASONS = 5000


def changes_view(opened: Opened, found: Changes | None, result: Outcome) -> None:
    """A table of the rows that changed sides, with the reason of each."""
    if found is None or not len(found):
        st.caption("The last change of the rule, if there was one, moved no row.")
        return
    st.markdown(f"{found.sentence()} with the last change of the rule.")
    sides = {"left": len(found.left), "entered": len(found.entered)}
    side = st.segmented_control(
        "Rows that",
        [name for name, count in sides.items() if count],
        format_func=lambda name: f"{name} · {sides[name]:,}",
        default="left" if sides["left"] else "entered",
        required=True,
        key="changes_side",
        label_visibility="collapsed",
    )
    rows = found.left if side == "left" else found.entered
    reasons = np.full(len(result.trace.status), "", object)
    wanted = set(rows[:_MOST_REASONS].tolist())
    for change in found:
        if change.row in wanted:
            reasons[change.row] = change.reason
    chosen = rows_table(
        opened,
        rows,
        key=f"changes_{side}",
        aggregation=result.rule.aggregation,
        extra={"why": reasons},
    )
    row = focused(opened, "changes", chosen.table, chosen.rows)
    if row is not None:
        with st.container(border=True):
            explain_row(opened, result, row, key="changes")


_MOST_DIFFERENCES = 2000


def difference_view(opened: Opened, selection: SavedSelection, result: Outcome) -> None:
    """How many rows differ, and on request which, each with what became of it now."""
    saved = np.asarray(selection_rows(opened.project, selection.selection)[0], np.int64)
    more = result.kept[~np.isin(result.kept, saved)]
    fewer = saved[~np.isin(saved, result.kept)]
    if not len(more) and not len(fewer):
        st.caption("The selection above has the same rows.")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            f"The selection above has {words.rows(len(more))} more that this one lacks, and lacks "
            f"{len(fewer):,} of this one.",
            width="content",
        )
        shown = st.toggle("Show them", key=f"difference-{selection.selection}")
    if shown:
        _table(opened, selection, result, np.concatenate([fewer, more]), len(fewer))


def _table(
    opened: Opened,
    selection: SavedSelection,
    result: Outcome,
    rows: NDArray[np.int64],
    fewer: int,
) -> None:
    side = np.full(len(result.trace.status), "", object)
    side[rows[:fewer]], side[rows[fewer:]] = "only in the saved one", "only in the one above"
    reason = np.full(len(side), "", object)
    for row in rows[:_MOST_DIFFERENCES].tolist():
        reason[row] = result.why(row)
    row_table(
        opened,
        rows,
        key=f"difference_rows_{selection.selection}",
        aggregation=result.rule.aggregation,
        extra={"which": side, "now": reason},
    )
