"""Review: people decide about rows, one by one, and what follows from it."""

import streamlit as st

from deita_core.project.ledger import ledger_length
from studio.review.agreement import agreement_view
from studio.review.calibration import calibration_view
from studio.review.decisions import decisions_view
from studio.review.progress import progress_view
from studio.review.queue_list import chosen_queue, no_queue_yet, queue_list
from studio.review.reading import read_queue
from studio.shell import state
from studio.shell.resources import current, stop_without_rows

opened = current()

st.title("Review")
stop_without_rows(opened)
if no_queue_yet(opened):
    if ledger_length(opened.project):
        decisions_view(opened, None)
    st.stop()
queue = chosen_queue(opened)
if queue is None:
    views = {
        "queues": ("Queues", lambda: queue_list(opened)),
        "decisions": ("Decisions", lambda: decisions_view(opened, None)),
    }
else:
    views = {
        "review": ("Review", lambda: read_queue(opened, queue)),
        "progress": ("Progress", lambda: progress_view(opened, queue)),
        "agreement": ("Agreement", lambda: agreement_view(opened, queue)),
        "calibration": ("Calibration", lambda: calibration_view(opened, queue)),
        "decisions": ("Decisions", lambda: decisions_view(opened, queue)),
    }
labels = {key: label for key, (label, _) in views.items()}
view = state.bound_choice("View", labels, key=state.REVIEW_VIEW, show_label=False)
views[view][1]()
