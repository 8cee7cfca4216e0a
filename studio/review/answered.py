"""What the views of a queue share: its answers, what waits for who looks, one conversation.

Nobody sees what others said of a row, nor the scores of a blind queue, while the row may still be
handed to them: such rows are `withheld`.
"""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from deita_core.filtering.filter import Filter, Where
from deita_core.people import may
from deita_core.project.ledger import row_text
from deita_core.project.queue_state import waiting_for
from deita_core.project.queues import Queue, answers
from deita_core.review.answers import Answers
from studio.filters.current import open_in_explore
from studio.review.queue_list import as_reviewed
from studio.rows.conversation import conversation_view
from studio.rows.table import show_conversation
from studio.shell.person import reviewer_name
from studio.shell.resources import Opened
from studio.shell.text import escape, plural

# More would not fit into the line of SQL that names them in Explore.
_MOST_IN_FILTER = 200


@st.cache_resource(show_spinner=False, max_entries=8, hash_funcs={Opened: as_reviewed})
def answers_of(opened: Opened, queue: int) -> Answers:
    """The answers of a queue as of now."""
    return answers(opened.project, queue)


@st.cache_data(show_spinner=False, max_entries=8, hash_funcs={Opened: as_reviewed})
def _waiting(opened: Opened, name: str) -> frozenset[tuple[int, int]]:
    return waiting_for(opened.project, name)


def withheld(opened: Opened) -> frozenset[tuple[int, int]]:
    """Queue and row of everything that who looks may still be asked for; a viewer never is."""
    return _waiting(opened, reviewer_name()) if may("reviewer") else frozenset()


def withheld_rows(opened: Opened, queue: int) -> frozenset[int]:
    """The rows of one queue among them."""
    return frozenset(row for of, row in withheld(opened) if of == queue)


def read_row(
    opened: Opened, row: int, *, key: str, queue: Queue | None = None, version: int = 0
) -> None:
    """One conversation in a version of its text, without its scores where they stay hidden."""
    hidden = queue is not None and queue.blind and row in withheld_rows(opened, queue.queue)
    if not version and not hidden:
        show_conversation(opened, row, key=key)
        return
    said = f" · version {version} of its text" if version else ""
    st.markdown(f"**Row {row}**{said}")
    text = row_text(opened.project, row, version)[1]
    conversation_view(text, key=f"{key}_{version}", scores=None)


def explore_button(rows: Sequence[int], *, key: str, label: str = "Open in Explore") -> None:
    """Offer to see these rows on the Explore page, the first of them where they are many."""
    shown = list(map(int, rows[:_MOST_IN_FILTER]))
    if not shown:
        return
    listed = ", ".join(map(str, shown))
    text = Filter(parts=(Where(sql=f"row IN ({listed})"),)).to_text()
    few = f"The first {len(shown):,} of {plural(len(rows))}." if len(rows) > len(shown) else None
    st.button(
        label,
        icon=":material/travel_explore:",
        key=key,
        help=few or "The same rows as a filter, which can be saved there as a view.",
        on_click=open_in_explore,
        args=(text,),
    )


def words_withheld(count: int) -> str:
    """Why some rows are not shown, escaped."""
    verb = "waits" if count == 1 else "wait"
    return escape(f"{plural(count)} {verb} for an answer of your own and will be shown after it.")
