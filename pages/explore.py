"""Explore: the pool as a map, coloured by what you ask, down to the single conversation."""

import numpy as np
import streamlit as st

from deita_core.errors import FilterError
from deita_core.filtering.filter import Filter, Search
from studio.charts.colours import greyed
from studio.charts.map_chart import MapEvent, clear_outline
from studio.explore.bulk import bulk_bar
from studio.explore.colouring import COLOURINGS, colouring, legend_filter
from studio.explore.contamination import contamination_view
from studio.explore.distributions import distributions_view
from studio.explore.duplicates import duplicates_view
from studio.filters.bar import filter_bar
from studio.filters.found import search_for
from studio.filters.masks import mask_of
from studio.filters.meaning import closest_first
from studio.rows.clusters import clusters_view
from studio.rows.pane import in_order, map_and_pane, order_control, rows_pane, split_control
from studio.shell import state
from studio.shell.resources import arrays, current, pool_map, stop_without_rows
from studio.shell.text import escape

# More rings would hide what they stand around.
_MOST_RINGED = 5000
PANE = 770  # pixels; with what stands above it, a window 1,000 high; the map fits it to others
BESIDE = ".st-key-explore_rows_pane, .st-key-explore_rows_reader, .st-key-explore_pane"
VIEWS = {
    "rows": ("Rows", None),
    "clusters": ("Clusters", clusters_view),
    "distributions": ("Distributions", distributions_view),
    "duplicates": ("Near-duplicates", duplicates_view),
    "contamination": ("Contamination", contamination_view),
}

opened = current()

with st.container(horizontal=True, vertical_alignment="center"):
    st.title("Explore", width="content")
    found = stop_without_rows(opened)
    labels = {key: label for key, (label, _) in VIEWS.items()}
    view = state.bound_choice("View", labels, key=state.EXPLORE_VIEW, show_label=False)
    text = st.text_input(
        "Search in the text",
        type="search",
        placeholder="Search in the text, e.g. sourdough",
        key=state.SEARCH,
        persist_state="session",
        label_visibility="collapsed",
    )

pool = arrays(opened)
with st.container(horizontal=True, vertical_alignment="center"):
    passing = filter_bar(opened)
    split = split_control(state.EXPLORE_SPLIT)
mask, conditions, ringed = np.ones(len(pool), np.bool_), [], None
if passing is not None:
    mask = passing.copy()
    conditions.append("pass the filter")
if text:
    try:
        mask &= mask_of(opened, Filter(parts=(Search(query=text),)).to_text())
        conditions.append(f"contain “{escape(text)}”")
        search_for(text)
        ringed = np.flatnonzero(mask) if np.count_nonzero(mask) <= _MOST_RINGED else None
    except FilterError as error:
        st.error(escape(str(error)))
rows, event = np.flatnonzero(mask), MapEvent()

left, right = map_and_pane(split)
with left:
    names = {name: f"Coloured by {name}" for name in COLOURINGS}
    names["evol"] = "Coloured by evol score"
    how = state.bound_choice("Colour by", names, key=state.COLOUR, kind="list", show_label=False)
    if np.isfinite(pool.xy[:, 0]).any():
        coloured = colouring(opened, how)
        if passing is not None:
            coloured = greyed(coloured, passing)
        pick = legend_filter(opened, how, coloured)
        event = pool_map(
            opened,
            coloured,
            key=state.EXPLORE_MAP,
            highlight=ringed,
            beside=BESIDE,
            on_pick=pick,
        )
        if event.has_outline:
            inside = event.rows_inside(pool.xy, coloured[0])
            rows = inside[mask[inside]]
            conditions.insert(0, "are inside your outline")
    else:
        st.info(
            "There is no map yet: it is drawn once the conversations are embedded.",
            icon=":material/scatter_plot:",
        )

said = f"**{len(rows):,}** of {len(pool):,} conversations {' and '.join(conditions)}"
with right:
    with st.container(horizontal=True, vertical_alignment="center"):
        bulk_bar(opened, rows, said if conditions else "")
        near, order = None, ""
        if view == "rows":
            near = closest_first(opened, rows) if passing is not None else None
            order = order_control(closest=near is not None)
    if conditions:
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(said, width="stretch")
            if event.has_outline:
                st.button(
                    "Clear the outline",
                    on_click=clear_outline,
                    args=(state.EXPLORE_MAP,),
                    icon=":material/close:",
                    type="tertiary",
                )
    height, (_, draw) = PANE - 52 if conditions else PANE, VIEWS[view]
    if draw is None:
        by_closeness, extra = (near[0], {"closeness": near[1]}) if near else (rows, {})
        ordered = in_order(opened, by_closeness, order)
        clicked = event.clicked
        rows_pane(opened, ordered, key="explore_rows", clicked=clicked, height=height, extra=extra)
    else:
        with st.container(height=height, border=False, key="explore_pane", autoscroll=False):
            draw(opened, rows)
