"""What a selection looks like: its rows, why a row is in or out, and the random baseline."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from deita_core.selection.measures import Comparison, Measures
from deita_core.selection.outcome import Outcome
from deita_core.selection.status import KEPT, NEAR_DUPLICATE, STATUSES
from pages.parts.conversation_view import RowFacts
from pages.parts.resources import Opened
from pages.parts.row_table import row_table, show_conversation


def rows_view(opened: Opened, result: Outcome, inside: NDArray[np.int64] | None) -> None:
    """The rows of one status, or those inside the outline; with their why below."""
    status, rank = result.trace.status, result.trace.rank
    counts = {s.code: result.trace.count(s.code) for s in STATUSES}
    choice = st.segmented_control(
        "Show",
        [s.code for s in STATUSES if counts[s.code]],
        default=KEPT if counts[KEPT] else None,
        format_func=lambda code: f"{STATUSES[code].label} · {counts[code]:,}",
        key="rows_status",
    )
    rows = np.arange(len(status)) if choice is None else np.flatnonzero(status == choice)
    if inside is not None:
        rows = np.intersect1d(rows, inside)
        st.caption("Only rows inside your outline on the map.")
    if choice == KEPT:
        place = np.full(len(status), len(status), np.int64)
        place[result.kept] = np.arange(len(result.kept))
        rows = rows[np.argsort(place[rows])]
    else:
        rows = rows[np.argsort(np.where(rank[rows] > 0, rank[rows], np.iinfo(np.int32).max))]
    extra: dict[str, NDArray[Any]] = {"rank": np.where(rank > 0, rank, -1)}
    if choice == NEAR_DUPLICATE:
        extra["similarity"] = np.round(result.trace.similarity, 3)
        extra["too close to row"] = result.trace.blocker
    if choice is None:
        extra["what became of it"] = np.array([s.label for s in STATUSES], object)[status]
    row = row_table(
        opened,
        rows,
        key=f"select_rows_{choice}",
        aggregation=result.rule.aggregation,
        extra=extra,
        with_conversation=False,
    )
    if row is not None:
        with st.container(border=True):
            explain_row(opened, result, row, key="select_row")


def explain_row(opened: Opened, result: Outcome, row: int, *, key: str) -> None:
    """A row with its why; beside it the kept row that blocks it, when one does."""
    facts = RowFacts(status=int(result.trace.status[row]), reason=result.why(row))
    how = result.rule.aggregation
    blocker = int(result.trace.blocker[row])
    if blocker < 0:
        show_conversation(opened, row, key=key, aggregation=how, facts=facts)
        return
    left, right = st.columns(2)
    with left:
        show_conversation(opened, row, key=key, aggregation=how, facts=facts)
    with right:
        other = RowFacts(status=int(result.trace.status[blocker]), reason=result.why(blocker))
        show_conversation(opened, blocker, key=f"{key}_blocker", aggregation=how, facts=other)


def comparison_view(found: Comparison) -> None:
    """Selection, random selection of the same size, and pool, figure by figure."""
    st.caption(
        "A random selection of as many of the same candidates (seeded, so it stays the same). "
        "Similarity to the nearest other row: lower is more diverse."
    )
    columns = {
        "this selection": found.selection,
        "random": found.random,
        "whole pool": found.pool,
    }
    table = pd.DataFrame({name: _figures(m) for name, m in columns.items()})
    st.table(table, alt="The selection beside a random one and the pool")
    left, right = st.columns(2)
    left.caption("Languages")
    left.table(_shares(columns, "languages"), alt="Shares of languages")
    right.caption("Files")
    right.table(_shares(columns, "sources"), alt="Shares of files")


def _figures(m: Measures) -> dict[str, str]:
    nearest = "" if m.nearest_similarity is None else f"{m.nearest_similarity:.3f}"
    return {
        "rows": f"{m.rows:,}",
        "mean complexity": f"{m.complexity:.2f}",
        "mean quality": f"{m.quality:.2f}",
        "mean evol score": f"{m.evol_score:.2f}",
        "mean turns": f"{m.turns:.2f}",
        "mean tokens": f"{m.tokens:,.0f}",
        "tokens in all": f"{m.tokens_total:,}",
        "similarity to the nearest row": nearest,
    }


def _shares(columns: dict[str, Measures], what: str) -> pd.DataFrame:
    shares = {
        name: {share.name: f"{100 * share.share:.1f} %" for share in getattr(m, what)}
        for name, m in columns.items()
    }
    return pd.DataFrame(shares).fillna("0 %").head(12)
