"""Explore: the pool as a map, coloured by what you ask, down to the single conversation."""

import numpy as np
import streamlit as st

from deita_core.errors import FilterError
from deita_core.filtering.filter import Filter, Search
from studio.charts.colours import greyed
from studio.charts.map_chart import clear_outline
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
from studio.rows.table import row_table, show_conversation
from studio.shell import state
from studio.shell.resources import arrays, current, pool_map, stop_without_rows
from studio.shell.text import escape

# More rings would hide what they stand around.
_MOST_RINGED = 5000

opened = current()

st.title("Explore")
found = stop_without_rows(opened)

pool = arrays(opened)
with st.container(horizontal=True, vertical_alignment="bottom"):
    names = {name: name for name in COLOURINGS} | {"evol": "evol score"}
    how = state.bound_choice("Colour by", names, key=state.COLOUR)
    text = st.text_input(
        "Search in the text",
        type="search",
        placeholder="e.g. sourdough",
        key=state.SEARCH,
        persist_state="session",
    )

passing = filter_bar(opened)
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
rows = np.flatnonzero(mask)

mapped = ~np.isnan(pool.xy[:, 0])
if mapped.any():
    coloured = colouring(opened, how)
    if passing is not None:
        coloured = greyed(coloured, passing)
    pick = legend_filter(opened, how, coloured)
    event = pool_map(opened, coloured, key=state.EXPLORE_MAP, highlight=ringed, on_pick=pick)
    if event.has_outline:
        inside = event.rows_inside(pool.xy, coloured[0])
        rows = inside[mask[inside]]
        conditions.insert(0, "are inside your outline")
    if event.clicked is not None and not event.has_outline:
        with st.container(border=True):
            show_conversation(opened, event.clicked, key="explore_clicked", like=True)
else:
    st.info(
        "There is no map yet: it is drawn once the conversations are embedded.",
        icon=":material/scatter_plot:",
    )

rows = closest_first(opened, rows)
said = f"**{len(rows):,}** of {len(pool):,} conversations {' and '.join(conditions)}"
with st.container(horizontal=True, vertical_alignment="center"):
    hint = "Filter, search, or draw a lasso or a box on the map, to see fewer rows."
    st.markdown(said if conditions else hint)
    if mapped.any() and event.has_outline:
        st.button(
            "Clear the outline",
            on_click=clear_outline,
            args=(state.EXPLORE_MAP,),
            icon=":material/close:",
        )
bulk_bar(opened, rows, said if conditions else "")
views = {
    "rows": ("Rows", lambda: row_table(opened, rows, key="explore_rows", like=True)),
    "clusters": ("Clusters", lambda: clusters_view(opened, rows)),
    "distributions": ("Distributions", lambda: distributions_view(opened, rows)),
    "duplicates": ("Near-duplicates", lambda: duplicates_view(opened, rows)),
    "contamination": ("Contamination", lambda: contamination_view(opened, rows)),
}
labels = {key: label for key, (label, _) in views.items()}
view = state.bound_choice("View", labels, key=state.EXPLORE_VIEW, show_label=False)
views[view][1]()
