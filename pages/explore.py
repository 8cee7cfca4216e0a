"""Explore: the pool as a map, coloured by what you ask, down to the single conversation."""

import numpy as np
import streamlit as st

from deita_core.project.browse import search_rows
from studio.charts.map_chart import clear_outline, map_chart
from studio.explore.colouring import COLOURINGS, colouring
from studio.rows.table import row_table, show_conversation
from studio.shell import state
from studio.shell.resources import arrays, current, hover_texts, info

opened = current()
found = info(opened)

st.title("Explore")
if not found.imported:
    st.info("The pool is empty: load a file on the Pool page first.", icon=":material/database:")
    st.page_link("pages/pool.py", label="Go to Pool", icon=":material/database:")
    st.stop()

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

matches = np.asarray(search_rows(opened.project, text), np.int64) if text else None
mapped = ~np.isnan(pool.xy[:, 0])
rows = matches if matches is not None else np.arange(len(pool))
said = f"**{len(rows):,}** of {len(pool):,} conversations contain “{text}”" if text else ""

if mapped.any():
    codes, groups = colouring(opened, how)
    event = map_chart(
        pool.xy,
        codes,
        groups,
        key=state.EXPLORE_MAP,
        version=f"{opened.key}-{found.mapped}-{len(pool)}",
        highlight=matches if matches is not None and len(matches) <= 5000 else None,
        hover_texts=hover_texts(opened),
    )
    if event.has_outline:
        inside = event.rows_inside(pool.xy, codes)
        rows = inside if matches is None else np.intersect1d(inside, matches)
        said = f"**{len(rows):,}** of {len(pool):,} conversations are inside your outline"
        said += f" and contain “{text}”" if text else ""
    if event.clicked is not None and not event.has_outline:
        with st.container(border=True):
            show_conversation(opened, event.clicked, key="explore_clicked")
else:
    st.info(
        "There is no map yet: it is drawn once the conversations are embedded.",
        icon=":material/scatter_plot:",
    )

with st.container(horizontal=True, vertical_alignment="center"):
    st.markdown(said or "Draw a lasso or a box on the map, or search, to see fewer rows.")
    if said and mapped.any() and event.has_outline:
        st.button(
            "Clear the outline",
            on_click=clear_outline,
            args=(state.EXPLORE_MAP,),
            icon=":material/close:",
        )
row_table(opened, rows, key="explore_rows")
