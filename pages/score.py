"""Score: complexity and quality of every turn, and the embeddings behind diversity."""

import streamlit as st

from pages.parts import state, words
from pages.parts.agreement_view import agreement_view
from pages.parts.resources import current, info
from pages.parts.run_form import run_form
from pages.parts.run_view import run_view
from pages.parts.score_distributions import score_distributions
from pages.parts.score_files import score_files
from pages.parts.score_runs import model_card, run_buttons, sentence
from pages.parts.scorer_table import models_view

opened = current()
found = info(opened)

st.title("Score")
if not found.imported:
    st.info("The pool is empty: load a file on the Pool page first.", icon=":material/database:")
    st.page_link("pages/pool.py", label="Go to Pool", icon=":material/database:")
    st.stop()

st.markdown(sentence(opened, found))
run_view(opened)
run_buttons(opened, found)

names = {
    "scores": "Scores",
    "run": "Run a model",
    "models": "Models",
    "agreement": "Agreement",
    "files": "Import and export",
}
view = st.segmented_control(
    "Show",
    list(names),
    format_func=lambda name: names[name],
    default="scores" if found.imported > found.unscored else "run",
    required=True,
    key=state.SCORE_VIEW,
    bind="query-params",
    label_visibility="collapsed",
)
if view == "run":
    run_form(opened, found)
elif view == "models":
    models_view(opened, found)
    model_card()
elif view == "agreement":
    agreement_view(opened)
elif view == "files":
    score_files(opened, found)
else:
    score_distributions(opened, words.share(found.scored, found.imported))
