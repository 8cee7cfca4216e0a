"""Score: complexity and quality of every turn, and the embeddings behind diversity."""

import streamlit as st

from pages.parts import score_files, state
from pages.parts.agreement_view import agreement_view
from pages.parts.resources import current, info
from pages.parts.run_form import run_form
from pages.parts.run_view import run_view
from pages.parts.score_distributions import score_distributions
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

RUN, MODELS, AGREEMENT, FILES = "Run a model", "Models", "Agreement", score_files.NAME
view = st.segmented_control(
    "Show",
    ["Scores", RUN, MODELS, AGREEMENT, FILES],
    default="Scores" if found.imported > found.unscored else RUN,
    required=True,
    key=state.SCORE_VIEW,
    bind="query-params",
    label_visibility="collapsed",
)
if view == RUN:
    run_form(opened, found)
elif view == MODELS:
    models_view(opened, found)
    model_card()
elif view == AGREEMENT:
    agreement_view(opened)
elif view == FILES:
    score_files.score_files(opened, found)
else:
    score_distributions(opened)
