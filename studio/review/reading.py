"""Reading a queue: who reviews, and the card on which they do."""

from __future__ import annotations

import streamlit as st

from deita_core.project.queues import Queue
from studio.review.card import review_card
from studio.shell import state
from studio.shell.person import closed_to_role, reviewer_name
from studio.shell.resources import Opened


def read_queue(opened: Opened, queue: Queue) -> None:
    """Draw the card with the rows to decide about; before it, ask for a name that is not known."""
    if closed_to_role("reviewer", "Reviewing"):
        return
    if name := reviewer_name():
        review_card(opened, queue, name)
        return
    st.text_input(
        "Your name, under which your decisions count",
        key="reviewer_typed",
        max_chars=100,
        on_change=_name,
    )


def _name() -> None:
    st.session_state[state.AUTHOR] = st.session_state["reviewer_typed"].strip()
