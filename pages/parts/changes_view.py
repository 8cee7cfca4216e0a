"""What the last change of the rule did: the rows that entered and those that left, with why."""

from __future__ import annotations

import numpy as np
import streamlit as st

from deita_core.selection.changes import Changes
from deita_core.selection.outcome import Outcome
from pages.parts.focus import focused
from pages.parts.resources import Opened
from pages.parts.row_table import rows_table
from pages.parts.why_view import explain_row

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
