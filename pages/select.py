"""Select: set budget and threshold, and see at once what is in, what falls out, and why."""

import numpy as np
import streamlit as st

from deita_core.errors import SelectionError
from pages.parts import state
from pages.parts.distributions import distributions
from pages.parts.map_chart import map_chart
from pages.parts.map_groups import status_groups
from pages.parts.resources import arrays, current, hover_texts, info
from pages.parts.rule_form import rule_form
from pages.parts.selecting import comparison, outcome
from pages.parts.selection_views import comparison_view, explain_row, rows_view
from pages.parts.selections_panel import save_form, saved_selections

opened = current()
found = info(opened)

st.title("Select")
if not found.scored or not found.embedded:
    st.info(
        "Selecting needs scores and embeddings: they are made after a file is loaded.",
        icon=":material/pending:",
    )
    st.page_link("pages/score.py", label="Go to Score", icon=":material/speed:")
    st.stop()

sentence = st.container()
rule = rule_form(opened)
if rule is None:
    st.stop()
with sentence:
    try:
        result = outcome(opened, rule)
    except SelectionError as error:
        st.error(str(error))
        st.stop()
    st.markdown(f"#### {result.sentence()}.")
    save_form(opened, result)

pool = arrays(opened)
status = result.trace.status.astype(np.uint8)
groups = status_groups()
chosen: int | None = None

left, right = st.columns([3, 2])
with left:
    if found.mapped:
        event = map_chart(
            pool.xy,
            status,
            groups,
            key=state.SELECT_MAP,
            version=f"{opened.key}-{found.mapped}-{len(pool)}",
            hover_texts=hover_texts(opened),
            height=560,
        )
        chosen = event.clicked
    else:
        event = None
        st.info("The map is drawn once the embeddings are there.", icon=":material/scatter_plot:")
with right:
    distributions(opened, result)

inside = event.rows_inside(pool.xy, status) if event is not None and event.has_outline else None
if chosen is not None:
    with st.container(border=True):
        explain_row(opened, result, chosen, key="select_clicked")

rows_tab, comparison_tab, saved_tab = st.tabs(
    ["Rows", "Beside a random selection", f"Saved selections · {found.selections}"],
    on_change="rerun",
    key="select_tab",
)
if rows_tab.open:
    with rows_tab:
        rows_view(opened, result, inside)
if comparison_tab.open:
    with comparison_tab:
        comparison_view(comparison(opened, rule))
if saved_tab.open:
    with saved_tab:
        saved_selections(opened)
