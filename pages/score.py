"""Score: complexity and quality of every turn, and the embeddings behind diversity."""

import streamlit as st

from studio.score.agreement import agreement_view, score_distributions
from studio.score.files import score_files
from studio.score.run_form import run_form
from studio.score.runs import (
    model_card,
    progress_sentence,
    run_buttons,
    run_view,
    unfamiliar_notice,
)
from studio.score.scorer_table import models_view
from studio.shell import state
from studio.shell.resources import current, stop_without_rows

opened = current()

st.title("Score")
found = stop_without_rows(opened)

st.markdown(progress_sentence(opened, found))
run_view(opened)
run_buttons(opened, found)
unfamiliar_notice(opened)

views = {
    "scores": "Scores",
    "run": "Run a model",
    "models": "Models",
    "agreement": "Agreement",
    "files": "Import and export",
}
view = state.bound_choice(
    "Show",
    views,
    key=state.SCORE_VIEW,
    default="scores" if found.imported > found.unscored else "run",
    show_label=False,
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
    score_distributions(opened)
