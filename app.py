"""Deita Studio: choose the conversations worth fine-tuning on. Run it with `make app`."""

import streamlit as st

from pages.parts import state
from pages.parts.jobs_panel import jobs_panel
from pages.parts.navigation import steps
from pages.parts.project_picker import apply_pending_choice, project_picker
from pages.parts.welcome import prepare_sample_if_alone

st.set_page_config(page_title="Deita Studio", page_icon=":material/filter_alt:", layout="wide")

apply_pending_choice()
prepare_sample_if_alone()
with st.sidebar:
    opened = project_picker()
page = st.navigation(steps(opened), position="sidebar")
if opened is not None:
    with st.sidebar:
        jobs_panel(opened)
if notice := st.session_state.pop(state.NOTICE, None):
    st.toast(notice)
page.run()
