"""What the searches of this page found in a row: places to mark, and an excerpt around the first.

The bar of filters and the fields of search say which queries hold. They stay until the page is
drawn anew, so that a fragment that draws a conversation alone still knows them.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import streamlit as st

from deita_core.conversation import Conversation
from deita_core.filtering.search import Hit, hits, merged
from deita_core.project.browse import stored_rows
from studio.shell import state
from studio.shell.resources import Opened

# Characters of an excerpt, and of what stands before its hit.
_LENGTH: Final = 160
_BEFORE: Final = 40


def search_for(*queries: str) -> None:
    """These queries hold on this page, too."""
    known = st.session_state.get(state.MARKED, ())
    st.session_state[state.MARKED] = tuple(dict.fromkeys((*known, *queries)))


def hits_in(conversation: Conversation) -> list[Hit]:
    """Where the queries of this page hit a conversation, in reading order and without overlaps."""
    found = [one for query in _queries() for one in hits(query, conversation)]
    return merged(sorted(set(found), key=lambda hit: (hit.message, hit.start, hit.end)))


def excerpts(opened: Opened, rows: Sequence[int]) -> list[str | None] | None:
    """Of each row the text around its first hit, marked «so»; None where nothing is searched for.

    A row is None, too, where the queries do not hit it.
    """
    if not _queries():
        return None
    return [excerpt(one.conversation) for one in stored_rows(opened.project, rows)]


def excerpt(conversation: Conversation) -> str | None:
    """The text around the first hit, on one line."""
    found = hits_in(conversation)
    if not found:
        return None
    first = found[0]
    text = conversation.messages[first.message].content
    start = max(0, first.start - _BEFORE)
    if start and (blank := text.find(" ", start, first.start)) >= 0:
        start = blank + 1  # not in the middle of a word
    shown = []
    at = start
    for hit in found:
        if hit.message != first.message or hit.end > start + _LENGTH:
            break
        shown += [text[at : hit.start], "«", text[hit.start : hit.end], "»"]
        at = hit.end
    if not shown:  # a hit longer than an excerpt
        shown, at = [text[start : first.start], "«"], first.start
    end = start + _LENGTH
    shown.append(text[at:end])
    line = " ".join("".join(shown).split())
    return f"{'… ' if start else ''}{line}{' …' if end < len(text) else ''}"


def _queries() -> tuple[str, ...]:
    known: tuple[str, ...] = st.session_state.get(state.MARKED, ())
    return known
