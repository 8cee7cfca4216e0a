"""Deita Studio: choose the conversations worth fine-tuning on. Run it with `make app`."""

from pathlib import Path

import streamlit as st

from studio.charts.map_chart import ensure_plotly
from studio.shell import state
from studio.shell.jobs_panel import jobs_panel
from studio.shell.navigation import first_run_of_server, pages_with_state
from studio.shell.projects import prepare_sample_if_alone, project_picker

HERE = Path(__file__).parent
# A picture of our own: a Material icon here would be fetched from the network by the browser.
st.set_page_config(page_title="Deita Studio", page_icon=HERE / "assets" / "icon.png", layout="wide")
st.logo(HERE / "assets" / "logo.svg", size="large")

ensure_plotly(HERE / "static")
prepare_sample_if_alone()
with st.sidebar:
    opened = project_picker()
pages = pages_with_state(opened)
page = st.navigation(pages, position="sidebar")
if first_run_of_server():
    st.rerun()
wanted = st.session_state.pop(state.WANTED_PAGE, None)
for candidate in pages:
    if wanted and candidate.url_path == wanted and candidate != page:
        st.switch_page(candidate, query_params=st.query_params.to_dict())
if opened is not None:
    with st.sidebar:
        jobs_panel(opened)
if notice := st.session_state.pop(state.NOTICE, None):
    st.toast(notice)
page.run()
