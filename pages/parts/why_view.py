"""One row: what became of it, what would change that, and the row that blocks it beside it."""

from __future__ import annotations

import numpy as np
import streamlit as st

from deita_core.conversation import Conversation
from deita_core.geometry.neighbours import similar_rows
from deita_core.project.browse import stored_row
from deita_core.selection.flip import flip_point
from deita_core.selection.outcome import Outcome
from deita_core.selection.status import STATUSES
from pages.parts.conversation_view import RowFacts
from pages.parts.focus import close_button
from pages.parts.pins import pin_buttons
from pages.parts.resources import Opened
from pages.parts.row_table import row_table, show_conversation
from pages.parts.selecting import pool_input
from pages.parts.word_differences import marked_differences

_LIKE_THIS = 20


def explain_row(opened: Opened, result: Outcome, row: int, *, key: str) -> None:
    """The row with its why, its flip point and what can be done; its blocker beside it.

    key: the place of the page, as `focused` knows it.
    """
    with st.container(horizontal=True, vertical_alignment="center"):
        pin_buttons(opened, [row], key=f"{key}_pins")
        like_this = st.toggle("Rows like this", key=f"{key}_like")
        blocker = int(result.trace.blocker[row])
        compare = blocker >= 0 and st.toggle("Mark differences", key=f"{key}_compare", value=True)
        close_button(opened, key)
    sentence = st.container()
    sentence.markdown(f"**{_capital(result.why(row))}.**")
    _conversations(opened, result, row, key=key, like_this=like_this, compare=compare)
    # Last: the first row that is asked about in a large pool takes seconds, the next ones none.
    with sentence, st.spinner("Looking for what would change its side"):
        flip = flip_point(result.rule, pool_input(opened), row, result)
    sentence.markdown(f"It would change sides: {flip.sentence()}.")


def _conversations(
    opened: Opened, result: Outcome, row: int, *, key: str, like_this: bool, compare: bool
) -> None:
    blocker = int(result.trace.blocker[row])
    if like_this:
        _neighbours(opened, result, row, key=f"{key}_neighbours")
    if compare:
        _side_by_side(opened, row, blocker, float(result.trace.similarity[row]))
        return
    columns = st.columns(2) if blocker >= 0 else [st.container()]
    for column, shown in zip(columns, (row, blocker), strict=False):
        reason = None if shown == row else result.why(shown)
        facts = RowFacts(status=int(result.trace.status[shown]), reason=reason)
        how = result.rule.aggregation
        with column:
            show_conversation(opened, shown, key=f"{key}_{shown}", aggregation=how, facts=facts)


def _side_by_side(opened: Opened, row: int, blocker: int, similarity: float) -> None:
    texts = [_text(stored_row(opened.project, shown).conversation) for shown in (row, blocker)]
    names = (f"Row {row:,}", f"Row {blocker:,}, which blocks it (similarity {similarity:.3f})")
    for column, name, text in zip(st.columns(2), names, marked_differences(*texts), strict=True):
        with column.container(border=True):
            st.caption(name)
            st.markdown(text, anchors=False)


def _text(conversation: Conversation) -> str:
    return "\n".join(
        f"{message.role.replace('_', ' ').capitalize()}:\n{message.content}"
        for message in conversation.messages
    )


def _neighbours(opened: Opened, result: Outcome, row: int, *, key: str) -> None:
    table = pool_input(opened)
    place = int(table.place[row])
    if place < 0:
        st.caption("This row has no embedding, so no other row is known to be like it.")
        return
    places, similarity = similar_rows(table.vectors, place, _LIKE_THIS, graph=table.graph)
    rows = table.vector_rows[places].astype(np.int64)
    column = np.full(len(result.trace.status), np.nan)
    column[rows] = np.round(similarity, 3)
    labels = np.array([s.label for s in STATUSES], object)[result.trace.status]
    extra = {"similarity": column, "what became of it": labels}
    row_table(opened, rows, key=key, aggregation=result.rule.aggregation, extra=extra)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
