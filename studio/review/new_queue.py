"""The dialog that makes a queue: of given rows or by a rule, and what its reviewers are asked."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain, count
from typing import Final

import streamlit as st

from deita_core.jobs.review import rows_of_rule
from deita_core.people import may
from deita_core.project.queues import make_queue, queues
from deita_core.project.selections import selections
from deita_core.review.decision import ASKS, Dimension
from deita_core.review.queue_rule import KIND_WORDS, QUEUE_KINDS, QueueKind, QueueRule
from deita_core.scoring.protocol import DIMENSIONS
from studio.shell import state
from studio.shell.person import reviewer_name
from studio.shell.resources import Opened, arrays, errors_shown, say
from studio.shell.text import plural

_SIZE = 200
_LOOK_AT_SELECTION: Final = ("top", "boundary")
_DRAWN: Final = ("random", "flagged")
_ASK_WORDS: Final = {
    "verdict": "verdict (keep, drop, unsure)",
    "complexity": "complexity (1 to 6)",
    "quality": "quality (1 to 6)",
    "label": "a label of your own",
}


def new_queue_button(opened: Opened, label: str = "New queue") -> None:
    """Offer to make a queue by a rule, to those who may."""
    if may("curator") and st.button(
        label, icon=":material/playlist_add:", type="primary", key="queue_new"
    ):
        new_queue_dialog(opened, None)


@state.dialog("New queue", width="medium")
def new_queue_dialog(opened: Opened, rows: Sequence[int] | None) -> None:
    """Ask for everything that a queue is made of, and make it.

    rows: the rows to review, in their order; None asks for a rule that finds them. The Review page
    shows the new queue next. What cannot be is said in the dialog, and nothing is made.
    """
    name = st.text_input(
        "Name", free_name(opened, "Review"), max_chars=100, key="queue_name"
    ).strip()
    rule, selection = None, None
    if rows is None:
        rule, selection = _rule(opened)
    else:
        st.markdown(f"{plural(len(rows))} of this view, in its order.")
    asks, labels = _asked()
    guidelines = st.text_area(
        "Guidelines",
        key="queue_guidelines",
        placeholder="What reviewers read first, in Markdown: what to keep, what to drop, and why",
    )
    left, right = st.columns(2, vertical_alignment="bottom")
    reviewers = left.number_input(
        "Reviewers of each row",
        1,
        20,
        1,
        key="queue_reviewers",
        help="With two or more you see how far people agree.",
    )
    blind = right.checkbox(
        "Blind: scores stay hidden until one has decided", value=True, key="queue_blind"
    )
    if not st.button("Make the queue", type="primary", key="queue_make", disabled=not name):
        return
    with errors_shown(), st.spinner("Choosing the rows"):
        if rule is not None:
            rows = rows_of_rule(opened.project, rule, selection=selection).tolist()
        number = make_queue(
            opened.project,
            name,
            rows or (),
            rule="" if rule is None else rule.to_json(),
            guidelines=guidelines.strip(),
            labels=labels,
            asks=asks,
            reviewers=int(reviewers),
            blind=blind,
            author=reviewer_name(),
        )
        st.session_state[state.NEXT_QUEUE] = str(number)
        say(f"“{name}” is a queue of {plural(len(rows or ()))} on the Review page.")
        st.rerun()


def free_name(opened: Opened, name: str) -> str:
    """The name, or with the first number behind it under which there is no queue yet."""
    taken = {queue.name for queue in queues(opened.project)}
    names = chain([name], (f"{name} {number}" for number in count(2)))
    return next(one for one in names if one not in taken)


def _rule(opened: Opened) -> tuple[QueueRule, str | None]:
    """The rule, and the saved selection that it looks at."""
    kinds = [kind for kind in QUEUE_KINDS if kind != "rows"]
    chosen = st.selectbox(
        "Which rows", kinds, format_func=lambda kind: KIND_WORDS[kind], key="queue_rule"
    )
    kind: QueueKind = chosen or "random"
    left, middle, right = st.columns(3, vertical_alignment="bottom")
    size = left.number_input("How many at most", 1, None, _SIZE, key="queue_size")
    per_cluster = middle.number_input(
        "Of each cluster at most", 1, None, None, key="queue_per_cluster", placeholder="any number"
    )
    dimension: Dimension = "quality"
    flags: tuple[str, ...] = ()
    seed, selection = 0, None
    with right:
        if kind in _DRAWN:
            seed = int(st.number_input("Seed", 0, None, 0, key="queue_seed"))
        elif kind == "disagree":
            dimension = st.selectbox("Scorers of", DIMENSIONS[::-1], key="queue_dimension")
        elif kind in _LOOK_AT_SELECTION:
            selection = _selection(opened)
    if kind == "flagged":
        known = arrays(opened).flag_names
        flags = tuple(st.multiselect("Flags", known, key="queue_flags", placeholder="any flag"))
    most = None if per_cluster is None else int(per_cluster)
    return QueueRule(kind, int(size), seed, dimension, flags, most), selection


def _selection(opened: Opened) -> str | None:
    """The saved selection that the rule looks at; None where none was saved."""
    saved = selections(opened.project)
    if not saved:
        st.caption("Save a selection on the Select page first.")
        return None
    names = [one.name for one in saved]
    at = next((place for place, one in enumerate(saved) if one.current), 0)
    return st.selectbox("Selection", names, index=at, key="queue_selection")


def _asked() -> tuple[list[str], list[str]]:
    """What each row asks for, and the labels of the queue."""
    asks = st.pills(
        "What is asked",
        ASKS,
        selection_mode="multi",
        default=["verdict"],
        format_func=_ASK_WORDS.__getitem__,
        key="queue_asks",
    )
    labels: list[str] = []
    if "label" in asks:
        given = st.text_input(
            "Labels, with commas between them",
            key="queue_labels",
            placeholder="e.g. correct, half right, wrong",
        )
        labels = list(dict.fromkeys(filter(None, map(str.strip, given.split(",")))))
    return [ask for ask in ASKS if ask in asks], labels
