"""Compare: two sets of rows side by side, and how much of a selection survives other choices."""

import streamlit as st

from studio.compare.kept import measures_view, stability_view
from studio.compare.sets import chosen_sets, compared, evol_scores_of
from studio.compare.views import (
    distributions_view,
    map_view,
    rows_view,
    shares_view,
)
from studio.shell import state
from studio.shell.resources import current, stop_without_rows
from studio.shell.text import escape

opened = current()

st.title("Compare")
stop_without_rows(opened)
pair = chosen_sets(opened)
if pair is None:
    st.stop()
scores = evol_scores_of(opened, pair)
found = compared(opened, pair, scores)
st.markdown(f"#### {escape(found.sentence())}.")

left, right = st.columns(2, gap="medium")
with left:
    inside = map_view(opened, pair, found)
with right:
    views = {
        "rows": ("Rows", lambda: rows_view(opened, pair, found, inside)),
        "numbers": ("Distributions", lambda: distributions_view(opened, found, scores)),
        "shares": ("Shares", lambda: shares_view(found)),
        "measures": ("Measures", lambda: measures_view(opened, pair, found, scores)),
        "stability": ("Stability", lambda: stability_view(opened, pair)),
    }
    labels = {key: label for key, (label, _) in views.items()}
    view = state.bound_choice("View", labels, key=state.COMPARE_VIEW, show_label=False)
    with st.container(height=620, border=False, autoscroll=False):
        views[view][1]()
