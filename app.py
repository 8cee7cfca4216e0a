"""Deita Studio: choose the conversations worth fine-tuning on. Run it with `make app`."""

import os
from pathlib import Path

import streamlit as st
from streamlit.navigation.page import StreamlitPage

from deita_core.files import PRIVATE_UMASK
from studio.charts.map_chart import ensure_plotly
from studio.review.queue_list import queues_said
from studio.shell import state
from studio.shell.conflicts import news_said
from studio.shell.jobs_panel import jobs_panel
from studio.shell.person import let_in, who_and_logout
from studio.shell.projects import page_shown, prepare_sample_if_alone, project_picker
from studio.shell.resources import Opened, errors_shown, first_run_of_server, info
from studio.shell.text import escape, plural
from studio.train.scorers import scorers_said

os.umask(PRIVATE_UMASK)  # of the whole server: what it writes is nobody else's to read
HERE = Path(__file__).parent
# A picture of our own: a Material icon here would be fetched from the network by the browser.
st.set_page_config(page_title="Deita Studio", page_icon=HERE / "assets" / "icon.png", layout="wide")
st.logo(HERE / "assets" / "logo.svg", size="large")


def pages_with_state(opened: Opened | None) -> list[StreamlitPage]:
    """The pages in the order of the work; titles carry how far the project has come."""
    pool = score = select = review = train = ""
    found = None
    if opened is not None:
        with errors_shown():  # the file may be broken
            found = info(opened)
    if found is not None:
        pool = plural(found.imported) if found.imported else "empty"
        tried = found.imported - found.unscored
        score = f"{100 * tried // found.imported} %" if found.imported else ""
        select = f"{found.selections} saved" if found.selections else ""
        review = queues_said(opened)
        train = scorers_said(opened)
    pages = (
        ("pool", pool, ":material/database:", "Load files and see what is in them."),
        ("score", score, ":material/speed:", "Complexity and quality of each turn."),
        ("explore", "", ":material/scatter_plot:", "The pool as a map."),
        ("select", select, ":material/filter_alt:", "Threshold, budget, result."),
        ("review", review, ":material/rate_review:", "People decide, row by row."),
        ("compare", "", ":material/compare_arrows:", "Two selections side by side."),
        ("evolve", "", ":material/genetics:", "Seeds made harder or better, and ranked."),
        (
            "train",
            train,
            ":material/model_training:",
            "Scorers of your own, and how good they are.",
        ),
        ("export", "", ":material/download:", "Write a selection for a trainer."),
    )
    return [
        st.Page(
            f"pages/{name}.py",
            title=f"{name.capitalize()} · {facts}" if facts else name.capitalize(),
            icon=icon,
            url_path=name,
            default=name == "pool",
            help=help,
        )
        for name, facts, icon, help in pages
    ]


ensure_plotly(HERE / "static")
st.session_state.pop(state.DIALOG, None)  # this run closes a dialog that does not open anew
if not let_in():
    st.navigation(pages_with_state(None), position="hidden")
    st.stop()
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
with st.sidebar, errors_shown():
    if opened is not None:
        jobs_panel(opened)
    who_and_logout()
if notice := st.session_state.pop(state.NOTICE, None):
    st.toast(escape(notice))
if problem := st.session_state.pop(state.PROBLEM, None):
    st.error(escape(problem))
st.session_state[state.MARKED] = ()  # each page says anew what it searches for
with news_said(opened), page_shown(opened):
    page.run()
