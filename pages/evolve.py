"""Evolve: seeds made harder or better by a chat model, ranked together; labels for scorers."""

import streamlit as st

from studio.evolve.chains import chains_view
from studio.evolve.new_run import new_run
from studio.evolve.runs import chosen_run, eliminated_view, run_header, use_view
from studio.shell import state
from studio.shell.resources import current, stop_without_rows

opened = current()

st.title("Evolve")
stop_without_rows(opened)
run = chosen_run(opened)
if run is None:
    new_run(opened)
    st.stop()
run_header(opened, run)
views = {
    "chains": ("Chains", lambda: chains_view(opened, run)),
    "eliminated": ("Eliminated", lambda: eliminated_view(opened, run)),
    "use": ("Use it", lambda: use_view(opened, run)),
}
labels = {key: label for key, (label, _) in views.items()}
view = state.bound_choice("View", labels, key=state.EVOLVE_VIEW, show_label=False)
views[view][1]()
