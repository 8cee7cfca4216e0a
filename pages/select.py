"""Select: set budget and threshold, and see at once what is in, what falls out, and why."""

from contextlib import suppress

import numpy as np
import streamlit as st

from deita_core.errors import DeitaError, SelectionError
from studio.charts.colours import STATUS_STYLES
from studio.filters.masks import settled_rule
from studio.select.baseline import baseline_line, baseline_view, status_distributions
from studio.select.cache import changes_between, outcome
from studio.select.history import history_of, undo_buttons
from studio.select.rows import changes_view, pins_view, row_in_focus, rows_view
from studio.select.rule_form import rule_form
from studio.select.saved import save_button, saved_selections
from studio.select.threshold import frontier_view, graph_notice
from studio.shell import state
from studio.shell.resources import arrays, current, info, pool_map, stop_without
from studio.shell.text import escape

opened = current()
found = info(opened)

st.title("Select")
if not found.scored or not found.embedded:
    missing = "Selecting needs scores and embeddings: they are made after a file is loaded."
    stop_without(missing, "pending", page="score", page_icon="speed")

sentence = st.container()
rule = rule_form(opened)
if rule is None:
    st.stop()
history = history_of(opened)
try:
    rule = settled_rule(opened, rule)
    with sentence:
        result = outcome(opened, rule)
except DeitaError as error:
    sentence.error(escape(str(error)))
    undo_buttons(opened)
    graph_notice(opened, rule)
    st.stop()
history.remember(rule)
before, changed = history.before, None
if before is not None:
    with suppress(SelectionError):  # the pool may have changed since
        changed = changes_between(opened, before, rule)
with sentence:
    st.markdown(f"#### {escape(result.sentence())}.")
    with st.container(horizontal=True, vertical_alignment="center"):
        save_button(opened, result)
        undo_buttons(opened)
        if changed is not None:
            st.caption(f"Since the last change: {changed.sentence()}.", width="content")
        st.space("stretch")
        st.page_link("pages/export.py", label="Export a saved one", icon=":material/download:")
graph_notice(opened, rule)

status = result.trace.status.astype(np.uint8)
left, right = st.columns([3, 2])
event = None
with left:
    if found.mapped:
        event = pool_map(opened, (status, STATUS_STYLES), key=state.SELECT_MAP, height=560)
    else:
        st.info("The map is drawn once the embeddings are there.", icon=":material/scatter_plot:")
with right:
    status_distributions(opened, result)
    baseline_line(opened, result)

inside = None
if event is not None:
    inside = event.rows_inside(arrays(opened).xy, status) if event.has_outline else None
    clicked = () if event.clicked is None else (event.clicked,)
    row_in_focus(opened, result, "map", "map", clicked)

views = {
    "rows": ("Rows", lambda: rows_view(opened, result, inside)),
    "frontier": ("Frontier", lambda: frontier_view(opened, rule)),
    "random": ("Beside a random selection", lambda: baseline_view(opened, result)),
    "change": ("Last change", lambda: changes_view(opened, changed, result)),
    "pins": ("Pinned and excluded", lambda: pins_view(opened)),
    "saved": ("Saved selections", lambda: saved_selections(opened, result)),
}
labels = {key: label for key, (label, _) in views.items()}
view = state.bound_choice("View", labels, key=state.SELECT_VIEW, show_label=False)
views[view][1]()
