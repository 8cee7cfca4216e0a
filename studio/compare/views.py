"""What two sets are shown by: map, rows, distributions, shares, measures; and stability."""

from __future__ import annotations

import math
from typing import TypeVar

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from deita_core.filtering.columns import SELECTED
from deita_core.filtering.filter import Filter, OneOf
from deita_core.people import may
from deita_core.project.ledger import tag_rows
from deita_core.selection.analysis.compare import (
    RowSet,
    SetComparison,
    numeric_columns,
)
from deita_core.selection.analysis.measures import distribution
from deita_core.selection.status import KEPT
from studio.charts.charts import middles
from studio.charts.colours import CATEGORIES, OTHER, STATUS_STYLES, MapGroup
from studio.charts.map_chart import clear_outline
from studio.charts.small_charts import Line, Panel, small_charts
from studio.compare.sets import Pair, Side
from studio.filters.current import open_in_explore
from studio.rows.table import rows_table, show_conversation
from studio.select.cache import outcome
from studio.shell import state
from studio.shell.person import reviewer_name, told
from studio.shell.resources import Opened, arrays, errors_shown, info, pool_map
from studio.shell.text import escape, plural

Result = TypeVar("Result")
Rows = NDArray[np.int64]

_A, _B = CATEGORIES[0], CATEGORIES[1]
_NEITHER, _BOTH, _ONLY_A, _ONLY_B = range(4)
_MOST_SHARES = 60
_LONGEST_TAG = 100


def map_view(opened: Opened, pair: Pair, found: SetComparison) -> Rows | None:
    """The map with both sets, and the row clicked on it; the rows inside the outline, if any."""
    if not info(opened).mapped:
        st.info("The map is drawn once the embeddings are there.", icon=":material/scatter_plot:")
        return None
    codes = np.full(found.pool, _NEITHER, np.uint8)
    codes[found.both], codes[found.only_a], codes[found.only_b] = _BOTH, _ONLY_A, _ONLY_B
    groups = (
        MapGroup("in neither", OTHER, 0.25),
        MapGroup("in both", STATUS_STYLES[KEPT].shade, 0.9),
        MapGroup("only in A", _A, 0.9),
        MapGroup("only in B", _B, 0.9),
    )
    event = pool_map(opened, (codes, groups), key=state.COMPARE_MAP, height=600)
    if event.clicked is not None and not event.has_outline:
        with st.container(border=True):
            _explained(opened, pair, event.clicked, key="compare_clicked")
    return event.rows_inside(arrays(opened).xy, codes) if event.has_outline else None


def rows_view(opened: Opened, pair: Pair, found: SetComparison, inside: Rows | None) -> None:
    """The rows of one part, those inside the outline alone; the one chosen, with its reasons."""
    parts = {"only A": found.only_a, "only B": found.only_b, "both": found.both}
    if inside is not None:
        parts = {name: rows[np.isin(rows, inside)] for name, rows in parts.items()}
    whole = dict(zip(parts, (found.only_a, found.only_b, found.both), strict=True))

    def label(name: str) -> str:
        of = f" of {len(whole[name]):,}" if inside is not None else ""
        return f"{name} · {len(parts[name]):,}{of}"

    with st.container(horizontal=True, vertical_alignment="center"):
        part = st.segmented_control(
            "Show",
            list(parts),
            default=next((name for name, rows in parts.items() if len(rows)), "both"),
            format_func=label,
            required=True,
            key="compare_part",
            label_visibility="collapsed",
        )
        if inside is not None:
            st.button(
                "Clear the outline",
                icon=":material/close:",
                on_click=clear_outline,
                args=(state.COMPARE_MAP,),
            )
        rows = parts[str(part)]
        text = _part_as_filter(pair, str(part), found.pool)
        if not text and len(rows) and may("reviewer"):
            _tag_form(opened, rows, f"{part} of {found.a.name} and {found.b.name}")
        if text:
            st.button(
                "Open in Explore",
                icon=":material/travel_explore:",
                key="compare_explore",
                help="The same rows as a filter, which can be saved there as a view.",
                on_click=open_in_explore,
                args=(text,),
            )
    extra = {"rank in A": _ranks(found.a, found.pool), "rank in B": _ranks(found.b, found.pool)}
    for row in rows_table(opened, rows, key=f"compare_rows_{part}", extra=extra).rows:
        with st.container(border=True):
            _explained(opened, pair, row, key="compare_conversation")


def _part_as_filter(pair: Pair, part: str, pool: int) -> str:
    """The rows of a part as the short text of a filter; empty where a filter cannot name them.

    So it is with random rows, and with a file.
    """
    parts: list[OneOf] = []
    for side, other in zip(pair, ("only B", "only A"), strict=True):
        if side.saved is not None:
            held = "no" if part == other else "yes"
            parts.append(OneOf(column=f"{SELECTED}{side.saved.name}", names=(held,)))
        elif len(side.rows.rows) < pool or part == other:
            return ""
    return Filter(parts=tuple(parts)).to_text()


def _tag_form(opened: Opened, rows: Rows, name: str) -> None:
    """Random rows and those of a file are told apart by nothing that a filter knows: give them a
    tag, and open that."""
    with st.popover("Open in Explore", icon=":material/travel_explore:"):
        st.caption("No filter knows these rows yet. A tag on each makes them one.")
        st.text_input("Tag", name[:_LONGEST_TAG], max_chars=_LONGEST_TAG, key="compare_tag")
        st.button(
            f"Tag {plural(len(rows))} and open them",
            key="compare_tag_rows",
            icon=":material/label:",
            on_click=told(_tag_and_explore),
            args=(opened, rows),
        )


def _tag_and_explore(opened: Opened, rows: Rows) -> None:
    tag = str(st.session_state["compare_tag"]).strip()
    tag_rows(opened.project, rows.tolist(), tag, why="compared", author=reviewer_name())
    open_in_explore(Filter(parts=(OneOf(column="tag", names=(tag,)),)).to_text())


def _explained(opened: Opened, pair: Pair, row: int, *, key: str) -> None:
    """The conversation, below what each saved selection's rule does with it today."""
    for side in {side.rows.name: side for side in pair if side.saved}.values():
        _why(opened, side, row)
    show_conversation(opened, row, key=key)


def _ranks(one: RowSet, pool: int) -> NDArray[np.object_]:
    """Places in the order of the set, from 1; None for a row that is not in it."""
    ranks = np.full(pool, None, np.object_)
    ranks[one.rows] = np.arange(1, len(one.rows) + 1)
    return ranks


def _why(opened: Opened, side: Side, row: int) -> None:
    """What the rule of a saved selection does with this row today."""
    if side.rule is not None:
        with errors_shown():
            why = outcome(opened, side.rule).why(row)
            st.markdown(f"By the rule of **{escape(side.rows.name)}**: {escape(why)}.")


def distributions_view(opened: Opened, found: SetComparison, scores: NDArray[np.float64]) -> None:
    """Every numeric column in both sets, the one that differs most first."""
    columns = numeric_columns(arrays(opened), scores)
    panels = []
    for one in found.numbers:
        spread = distribution(one.column, columns[one.column], found.a.rows, found.b.rows)
        if math.isnan(one.ks) or len(spread.edges) < 3:  # nothing there, or a single value
            continue
        x = middles(spread.edges)
        a, b = (n / max(1, int(n.sum())) for n in (spread.selection, spread.random))
        name = one.column.replace("_", " ")
        panels.append(
            Panel(
                name.capitalize(),
                f"Share of the rows by {name}, in A and in B",
                f"median {one.median_a:,.4g} in A, {one.median_b:,.4g} in B; "
                f"KS distance {one.ks:.2f}",
                lines=(Line("A", x, a, _A), Line("B", x, b, _B, dashed=True)),
                unit="share",
                extent=(float(spread.edges[0]), float(spread.edges[-1])),
                height=96,
            )
        )
    st.caption("Shares of the rows; B is dashed. The largest difference comes first.")
    small_charts(panels, key="compare-distributions")


def shares_view(found: SetComparison) -> None:
    """Languages, files, flags and clusters in both sets, the largest difference first."""
    shown = found.shares[:_MOST_SHARES]
    table = pd.DataFrame(
        {
            "of": [one.column for one in shown],
            "name": [one.name for one in shown],
            "share in A": [100 * one.share_a for one in shown],
            "share in B": [100 * one.share_b for one in shown],
            "difference": [100 * (one.share_a - one.share_b) for one in shown],
            "rows in A": [one.rows_a for one in shown],
            "rows in B": [one.rows_b for one in shown],
        }
    )
    percent = st.column_config.NumberColumn(format="%.1f %%")
    shares = dict.fromkeys(("share in A", "share in B", "difference"), percent)
    st.dataframe(table, hide_index=True, column_config=shares, alt="Shares of both sets")
    if (more := len(found.shares) - _MOST_SHARES) > 0:
        st.caption(f"{more:,} more differ less.")
