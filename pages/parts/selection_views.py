"""The rows of a selection by what became of them, to read, to pin and to exclude."""

from __future__ import annotations

from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from deita_core.selection.outcome import Outcome
from deita_core.selection.status import KEPT, NEAR_DUPLICATE, STATUSES
from pages.parts import state
from pages.parts.focus import focused
from pages.parts.pins import pin_buttons
from pages.parts.resources import Opened
from pages.parts.row_table import rows_table
from pages.parts.selecting import rows_with
from pages.parts.why_view import explain_row

# Buttons for more rows at once would send as many numbers along.
_MOST_AT_ONCE = 20_000


def rows_view(opened: Opened, result: Outcome, inside: NDArray[np.int64] | None) -> None:
    """The rows of one status, those inside the outline, those that a search finds."""
    counts = {s.code: result.trace.count(s.code) for s in STATUSES}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        choice = st.segmented_control(
            "Show",
            [s.code for s in STATUSES if counts[s.code]],
            default=KEPT if counts[KEPT] else None,
            format_func=lambda code: f"{STATUSES[code].label} · {counts[code]:,}",
            key="rows_status",
        )
        text = st.text_input(
            "Search in the text",
            type="search",
            placeholder="any row, e.g. sourdough",
            key=state.SELECT_SEARCH,
            persist_state="session",
        )
    rows = _in_order(result, choice if not text else None)
    if text:
        rows = rows[np.isin(rows, rows_with(opened, text))]
        st.caption(f"Rows of any kind that contain “{text}”.")
    if inside is not None:
        rows = rows[np.isin(rows, inside)]
        with st.container(horizontal=True, vertical_alignment="center"):
            st.caption("Only rows inside your outline on the map.", width="content")
            if 0 < len(rows) <= _MOST_AT_ONCE:
                pin_buttons(opened, rows.tolist(), key="pins_outline")
    chosen = rows_table(
        opened,
        rows,
        key=f"select_rows_{choice}",
        aggregation=result.rule.aggregation,
        extra=_columns(result, None if text else choice),
        many=True,
    )
    if len(chosen.rows) > 1:
        with st.container(horizontal=True):
            pin_buttons(opened, chosen.rows, key="pins_table")
    row = focused(opened, "table", chosen.table, chosen.rows)
    if row is not None:
        with st.container(border=True):
            explain_row(opened, result, row, key="table")


def _in_order(result: Outcome, choice: int | None) -> NDArray[np.int64]:
    """Kept rows as they were kept; others by rank, those without one last."""
    if choice == KEPT:
        kept = result.kept
        return kept[result.trace.status[kept] == KEPT]
    rank = result.trace.rank
    rows = np.arange(len(rank)) if choice is None else np.flatnonzero(result.trace.status == choice)
    ordered: NDArray[np.int64] = rows[
        np.argsort(np.where(rank[rows] > 0, rank[rows], np.iinfo(np.int32).max), kind="stable")
    ]
    return ordered


def _columns(result: Outcome, choice: int | None) -> dict[str, NDArray[Any]]:
    rank = result.trace.rank
    extra: dict[str, NDArray[Any]] = {"rank": np.where(rank > 0, rank, -1)}
    if choice == NEAR_DUPLICATE:
        extra["similarity"] = np.round(result.trace.similarity, 3)
        extra["too close to row"] = result.trace.blocker
    if choice is None:
        labels = np.array([s.label for s in STATUSES], object)
        extra["what became of it"] = labels[result.trace.status]
    return extra
