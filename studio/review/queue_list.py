"""The queues of a project: how far each one is, and which one is open."""

from __future__ import annotations

import math

import streamlit as st

from deita_core.project.ledger import decisions_version
from deita_core.project.queues import (
    Queue,
    QueueProgress,
    progress,
    queues,
    queues_version,
)
from deita_core.review.queue_rule import KIND_WORDS, QueueRule
from studio.review.new_queue import new_queue_button
from studio.shell import state
from studio.shell.resources import Opened
from studio.shell.text import escape, plural

ALL = "all"


def queues_said(opened: Opened) -> str:
    """How many queues there are, for the side column; "" for none."""
    found = len(_queues(opened))
    return plural(found, "queue", "queues") if found else ""


def as_reviewed(opened: Opened) -> tuple[str, int, int, int]:
    """The project as it is at one version of its rows, queues and decisions, for `hash_funcs`."""
    project = opened.project
    versions = queues_version(project), decisions_version(project)
    return opened.key, project.data_version(), *versions


@st.cache_data(show_spinner=False, max_entries=8, hash_funcs={Opened: as_reviewed})
def _queues(opened: Opened) -> list[Queue]:
    return queues(opened.project)


def chosen_queue(opened: Opened) -> Queue | None:
    """Draw the choice of a queue, which stands in the address; None while all are listed."""
    found = {str(one.queue): one for one in _queues(opened)}
    if (wanted := st.session_state.pop(state.NEXT_QUEUE, None)) in found:
        st.session_state[state.REVIEW_QUEUE] = wanted
    names = {ALL: "All queues"} | {key: one.name for key, one in found.items()}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        chosen = state.bound_choice(
            "Queue", names, key=state.REVIEW_QUEUE, kind="list", show_label=False
        )
        new_queue_button(opened)
    return found.get(chosen)


def no_queue_yet(opened: Opened) -> bool:
    """True, with a word on what a queue is and how to make one, where there is none."""
    if _queues(opened):
        return False
    st.info(
        "A queue is a list of rows that people read one by one and decide about: keep, drop or "
        "unsure, scores from 1 to 6, a label. Several reviewers can work on it at once, and no "
        "row is handed to more of them than it asks for. Make one by a rule here, or of any view "
        "on the Explore page.",
        icon=":material/rate_review:",
    )
    new_queue_button(opened)
    return True


def queue_list(opened: Opened) -> None:
    """Every queue with its progress and the pace of its reviewers; a button opens it."""
    for queue in _queues(opened):
        with st.container(border=True):
            with st.container(horizontal=True, vertical_alignment="center"):
                st.markdown(
                    f"**{escape(queue.name)}** · {escape(asked_of(queue))}", width="stretch"
                )
                st.button(
                    "Open",
                    key=f"queue_open_{queue.queue}",
                    icon=":material/play_arrow:",
                    on_click=open_queue,
                    args=(queue.queue,),
                )
            found = progress(opened.project, queue.queue)
            st.progress(found.done / max(found.rows, 1), f"{found.sentence()}")
            if pace := pace_said(found):
                st.caption(pace)
            st.caption(f"{escape(origin_of(queue, _queues(opened)))}.")


def open_queue(queue: int, view: str | None = None) -> None:
    """Go to a queue, in a view of it or as the page stands; for callbacks."""
    st.session_state[state.NEXT_QUEUE] = str(queue)
    if view is not None:
        st.session_state[state.REVIEW_VIEW] = view


def asked_of(queue: Queue) -> str:
    """What reviewers are asked, as in "verdict, quality; blind"."""
    return f"{', '.join(queue.asks)}{'; blind' if queue.blind else ''}"


def origin_of(queue: Queue, known: list[Queue]) -> str:
    """Which rows a queue has, when it was made, and by whom."""
    names = {one.queue: one.name for one in known}
    if queue.adjudicates is not None:
        rows = f"rows on which the reviewers of {names.get(queue.adjudicates, 'a queue')} differ"
    elif queue.rule:
        rule = QueueRule.from_json(queue.rule)
        rows = KIND_WORDS[rule.kind]
        if rule.per_cluster is not None:
            rows += f", at most {rule.per_cluster:,} of each cluster"
    else:
        rows = "rows of a view"
    made = f"made {queue.made:%Y-%m-%d %H:%M} UTC by {queue.author}"
    return f"{rows[0].upper()}{rows[1:]}; {made}"


def pace_said(found: QueueProgress) -> str:
    """Each reviewer's rows and pace, escaped; "" while nobody reviews."""
    said = []
    for one in found.reviewers:
        pace = f" at {one.per_hour:,.0f} rows an hour" if math.isfinite(one.per_hour) else ""
        said.append(f"{escape(one.reviewer)} {plural(one.rows)}{pace}")
    return " · ".join(said)
