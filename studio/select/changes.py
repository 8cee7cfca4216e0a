"""Rows that differ, with why: since the last change of the rule, and from a saved selection."""

from __future__ import annotations

import numpy as np
import streamlit as st

from deita_core.project.selections import SavedSelection, selection_rows
from deita_core.selection.analysis.changes import Changes
from deita_core.selection.outcome import Outcome
from studio.rows.table import row_table, rows_table
from studio.select.rows import row_in_focus
from studio.shell.resources import Opened
from studio.shell.text import plural

_MOST_REASONS = 5000
_MOST_DIFFERENCES = 2000


def changes_view(opened: Opened, found: Changes | None, result: Outcome) -> None:
    """A table of the rows that entered or left, with the reason of each."""
    if found is None or not len(found):
        st.caption("The last change of the rule, if there was one, moved no row.")
        return
    st.markdown(f"{found.sentence()} with the last change of the rule.")
    sets = {"left": found.left, "entered": found.entered}
    chosen_set = st.segmented_control(
        "Rows that",
        [name for name, rows in sets.items() if len(rows)],
        format_func=lambda name: f"{name} · {len(sets[name]):,}",
        default="left" if len(found.left) else "entered",
        required=True,
        key="changes_side",
        label_visibility="collapsed",
    )
    rows = sets[chosen_set]
    reasons = np.full(len(result.trace.status), "", object)
    for row in rows[:_MOST_REASONS].tolist():
        reasons[row] = found.reason(row)
    chosen = rows_table(
        opened,
        rows,
        key=f"changes_{chosen_set}",
        aggregation=result.rule.aggregation,
        extra={"why": reasons},
    )
    row_in_focus(opened, result, "changes", chosen.table, chosen.rows)


def difference_view(opened: Opened, selection: SavedSelection, result: Outcome) -> None:
    """How many rows differ, and on request which, each with its status now."""
    saved = np.asarray(selection_rows(opened.project, selection.selection)[0], np.int64)
    more = result.kept[~np.isin(result.kept, saved)]
    fewer = saved[~np.isin(saved, result.kept)]
    rows = np.concatenate([fewer, more])
    if not len(rows):
        st.caption("The selection above has the same rows.")
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        st.caption(
            f"The selection above has {plural(len(more))} more that this one lacks, and lacks "
            f"{len(fewer):,} of this one.",
            width="content",
        )
        if not st.toggle("Show them", key=f"difference-{selection.selection}"):
            return
    which = np.full(len(result.trace.status), "", object)
    which[fewer], which[more] = "only in the saved one", "only in the one above"
    reasons = np.full(len(which), "", object)
    for row in rows[:_MOST_DIFFERENCES].tolist():
        reasons[row] = result.why(row)
    row_table(
        opened,
        rows,
        key=f"difference_rows_{selection.selection}",
        aggregation=result.rule.aggregation,
        extra={"which": which, "now": reasons},
    )
