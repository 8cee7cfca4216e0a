"""Train: scorers of one's own from ranked chains, reviews or a file, and how good they are."""

import streamlit as st

from studio.shell import state
from studio.shell.resources import current, info
from studio.train.form import train_form
from studio.train.running import running_view
from studio.train.scorers import scorers_view, show_finished

opened = current()

st.title("Train")
found = info(opened)
running_view(opened)
show_finished(opened)

views = {"scorers": "Your scorers", "new": "Train a scorer"}
view = state.bound_choice("Show", views, key=state.TRAIN_VIEW, show_label=False)
if view == "new":
    train_form(opened)
else:
    scorers_view(opened, found)
