"""What the selection on the page has that a saved one lacks, and the other way round."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from deita_core.project.selections import SavedSelection, selection_rows
from deita_core.selection.outcome import Outcome
from pages.parts import words
from pages.parts.resources import Opened
from pages.parts.row_table import row_table

_MOST_REASONS = 2000


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
    for row in rows[:_MOST_REASONS].tolist():
        reason[row] = result.why(row)
    row_table(
        opened,
        rows,
        key=f"difference_rows_{selection.selection}",
        aggregation=result.rule.aggregation,
        extra={"which": side, "now": reason},
    )
