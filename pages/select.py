"""Select: set budget and threshold, and see at once what is in, what falls out, and why."""

from contextlib import suppress

import numpy as np
import streamlit as st

from deita_core.errors import DeitaError, SelectionError
from studio.charts.colours import STATUS_STYLES
from studio.charts.map_chart import MapEvent
from studio.filters.masks import settled_rule
from studio.rows.pane import map_and_pane, split_control
from studio.select.baseline import baseline_view, status_distributions
from studio.select.cache import changes_between, outcome
from studio.select.history import history_of, undo_buttons
from studio.select.rows import changes_view, clicked_row, pins_view, rows_view
from studio.select.rule_form import rule_form
from studio.select.saved import save_button, saved_selections
from studio.select.threshold import frontier_view, graph_notice
from studio.shell import state
from studio.shell.resources import arrays, current, info, pool_map, stop_without
from studio.shell.text import escape

opened = current()
found = info(opened)

VIEWS = {
    "rows": "Rows",
    "histograms": "Histograms",
    "frontier": "Frontier",
    "random": "Beside random",
    "change": "Last change",
    "pins": "By hand",
    "saved": "Saved",
}
MAP, PANE = 380, 715  # pixels; with what stands above, a window 1,000 high; others are fitted
BESIDE = ".st-key-select_pane, .st-key-select_reader"

with st.container(horizontal=True, vertical_alignment="center"):
    st.title("Select", width="content")
    if not found.scored or not found.embedded:
        missing = "Selecting needs scores and embeddings: they are made after a file is loaded."
        stop_without(missing, "pending", page="score", page_icon="speed")
    view = state.bound_choice("View", VIEWS, key=state.SELECT_VIEW, show_label=False)

sentence, details = st.container(), st.container()
with sentence:
    with st.container(horizontal=True, vertical_alignment="center"):
        said = st.container()
        split = split_control(state.SELECT_SPLIT)
    with st.container(horizontal=True, vertical_alignment="center", gap="xsmall"):
        buttons = st.container(horizontal=True, width="content", gap="xsmall")
        chips = st.container()
        st.page_link("pages/export.py", label="Export", icon=":material/download:")
left, right = map_and_pane(split)
with left:
    rule = rule_form(opened, chips, details)
if rule is None:
    st.stop()
history = history_of(opened)
try:
    rule = settled_rule(opened, rule)
    with sentence:
        result = outcome(opened, rule)
except DeitaError as error:
    said.error(escape(str(error)))
    with buttons:
        undo_buttons(opened)
    graph_notice(opened, rule)
    st.stop()
history.remember(rule)
before, changed = history.before, None
if before is not None:
    with suppress(SelectionError):  # the pool may have changed since
        changed = changes_between(opened, before, rule)
said.markdown(f"#### {escape(result.sentence())}.")
with buttons:
    save_button(opened, result)
    undo_buttons(opened)

status = result.trace.status.astype(np.uint8)
event, inside = MapEvent(), None
with left:
    graph_notice(opened, rule)
    if found.mapped:
        styled = (status, STATUS_STYLES)
        event = pool_map(opened, styled, key=state.SELECT_MAP, height=MAP, beside=BESIDE)
        inside = event.rows_inside(arrays(opened).xy, status) if event.has_outline else None
    else:
        st.info("The map is drawn once the embeddings are there.", icon=":material/scatter_plot:")
    if changed is not None:
        st.caption(f"Since the last change: {changed.sentence()}.")
others = {
    "histograms": lambda: status_distributions(opened, result),
    "frontier": lambda: frontier_view(opened, rule),
    "random": lambda: baseline_view(opened, result),
    "change": lambda: changes_view(opened, changed, result),
    "pins": lambda: pins_view(opened),
    "saved": lambda: saved_selections(opened, result),
}
with right:
    if view == "rows":
        rows_view(opened, result, inside, event.clicked, PANE - 100)
    else:
        with st.container(height=PANE, border=False, key="select_pane", autoscroll=False):
            clicked_row(opened, result, event.clicked)
            others[view]()
