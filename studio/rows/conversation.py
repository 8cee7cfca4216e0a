"""One conversation, drawn safely: its turns with their scores, as formatted or plain text.

Also the words in which two texts differ, marked in both.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import groupby, pairwise
from typing import Literal

import streamlit as st

from deita_core.conversation import Conversation, Message
from deita_core.filtering.search import Hit
from deita_core.jobs.evolved_rows import lineage_sentence
from deita_core.similarity.words import words as words_of
from studio.charts.colours import STATUS_STYLES
from studio.shell.text import (
    Spans,
    escape,
    escape_badge,
    is_right_to_left,
    markdown_right_to_left,
    marked_html,
    marks_in,
    plain_right_to_left,
    plural,
    safe_markdown,
)

MOST_WORDS = 1500
_WORD = re.compile(r"\S+|\n+")


def marked_differences(one: str, other: str) -> tuple[str, str]:
    """Both texts as Markdown, with the words marked that the other one lacks at that place.

    Everything in the texts is taken literally. Of each only the first 1,500 words are compared,
    because the time grows with the square; the rest is left out and said to be.
    """
    left, right = _words(one), _words(other)
    matcher = SequenceMatcher(None, left, right, autojunk=False)
    marks_left, marks_right = [True] * len(left), [True] * len(right)
    for a, b, size in matcher.get_matching_blocks():
        marks_left[a : a + size] = marks_right[b : b + size] = [False] * size
    return _markdown(left, marks_left, one), _markdown(right, marks_right, other)


def marked_run(text: str, run: str, around: int = 60) -> str:
    """A text as Markdown with the first place marked where these words stand in a row.

    run: words as `similarity.words` gives them, blanks between them. Only `around` words before
    and after the place are shown; without such a place as many from the beginning, none marked.
    """
    tokens = ["\n" if one.isspace() else one for one in _WORD.findall(text)]
    found = [(word, place) for place, token in enumerate(tokens) for word in words_of(token)]
    spelled, wanted = [word for word, _ in found], run.split()
    starts = (at for at in range(len(spelled)) if spelled[at : at + len(wanted)] == wanted)
    start = next(starts, None) if wanted else None
    first, last = 0, -1
    if start is not None:
        first, last = found[start][1], found[start + len(wanted) - 1][1]
    marked = [first <= place <= last for place in range(len(tokens))]
    begin, end = max(0, first - around), last + 1 + around
    shown = _markdown(tokens[begin:end], marked[begin:end], "")
    return f"{'… ' if begin else ''}{shown}{' …' if end < len(tokens) else ''}"


def plain_text(conversation: Conversation) -> str:
    """All messages, each after the name of its role, as two rows are compared."""
    return "\n".join(
        f"{message.role.replace('_', ' ').capitalize()}:\n{message.content}"
        for message in conversation.messages
    )


def _words(text: str) -> list[str]:
    words = _WORD.findall(text)[:MOST_WORDS]
    return ["\n" if word.isspace() else word for word in words]


def _markdown(words: list[str], marked: list[bool], text: str) -> str:
    lines = [""]
    pairs = zip(words, marked, strict=True)
    for (ends_line, mark), run in groupby(pairs, key=lambda pair: (pair[0] == "\n", pair[1])):
        if ends_line:
            lines.append("")
        else:
            said = escape(" ".join(word for word, _ in run))
            lines[-1] += f" :orange-background[{said}]" if mark else f" {said}"
    if len(_WORD.findall(text)) > MOST_WORDS:
        lines.append(f"*(only the first {MOST_WORDS:,} words are compared)*")
    return "\n\n".join(line.strip() for line in lines if line.strip())


TURNS_PER_PAGE = 10
MOST_CHARACTERS = 20_000
_MOST_TURNS_NAMED = 12
_PLAIN = "white-space: pre-wrap; overflow-wrap: anywhere"
_VIEWS = ("Formatted", "Plain", "Original record")
# Of each role, its name and picture.
_ROLES = {
    "system": ("System", ":material/settings:"),
    "user": ("User", ":material/person:"),
    "assistant": ("Assistant", ":material/smart_toy:"),
    "function_call": ("Function call", ":material/function:"),
    "tool": ("Tool result", ":material/build:"),
}


@dataclass(frozen=True, slots=True)
class TurnScore:
    """Scores of one turn, 1 to 6, or None with the reason why there is none."""

    complexity: float | None = None
    quality: float | None = None
    complexity_reason: str | None = None
    quality_reason: str | None = None


@dataclass(frozen=True, slots=True)
class RowHeader:
    """What is known about the row as a whole; what is None is not shown.

    status: code of `deita_core.selection.STATUSES`. reason: why the selection treated it so, in
    a sentence. flags: quality flags, as stored.
    """

    status: int | None = None
    reason: str | None = None
    evol_score: float | None = None
    language: str | None = None
    flags: tuple[str, ...] = ()


def conversation_view(
    conversation: Conversation,
    *,
    key: str,
    scores: Sequence[TurnScore] | None = (),
    facts: RowHeader | None = None,
    original: str | None = None,
    hits: Sequence[Hit] = (),
) -> None:
    """Draw the conversation; `key` keeps the chosen view and page apart from other viewers.

    scores: by turn, in the order of `conversation.turns`; shorter or empty when not scored yet,
    None where they stay hidden.
    original: the record as it was in the file, as text.
    hits: what a search found, in reading order and apart from each other; they are marked.
    """
    views = _VIEWS if original is not None else _VIEWS[:2]
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if facts is not None:
            _facts(facts)
        view = st.segmented_control(
            "View", views, default=views[0], required=True, key=f"{key}_view",
            label_visibility="collapsed", width="content",
        )  # fmt: skip
    if facts is not None and facts.reason:
        st.markdown(escape(facts.reason))
    if original is not None and (lineage := lineage_sentence(original)):
        st.caption(escape(lineage))
    if view == _VIEWS[2] and original is not None:
        _original(original)
        return
    prelude, turns = split_turns(conversation.messages)
    spans: dict[int, list[tuple[int, int]]] = defaultdict(list)
    for hit in hits:
        spans[hit.message].append((hit.start, hit.end))
    if hits:
        st.caption(hits_told(hits, prelude, turns))
    first = _first_turn(len(turns), key)
    if first == 0:
        for number, message in enumerate(prelude):
            _message(message, view == "Plain", spans[number])
        if conversation.tools:
            with st.expander("Tools the assistant could call"):
                _original(conversation.tools)
    for index in range(first, min(first + TURNS_PER_PAGE, len(turns))):
        if scores is None:
            st.caption(f"**Turn {index + 1} of {len(turns)}**")
        else:
            score = scores[index] if index < len(scores) else None
            st.caption(turn_heading(index, len(turns), score))
        before = len(prelude) + sum(map(len, turns[:index]))
        for number, message in enumerate(turns[index], before):
            _message(message, view == "Plain", spans[number])
        if conversation.turns[index].response is None:
            st.caption("No response.")


def split_turns(
    messages: Sequence[Message],
) -> tuple[tuple[Message, ...], tuple[tuple[Message, ...], ...]]:
    """The messages before the first user message, and those of each turn, none left out.

    The turns line up with `Conversation.turns`: each user message opens one.
    """
    starts = [i for i, message in enumerate(messages) if message.role == "user"]
    bounds = [*starts, len(messages)]
    turns = tuple(tuple(messages[a:b]) for a, b in pairwise(bounds))
    return tuple(messages[: bounds[0]]), turns


def hits_told(
    hits: Sequence[Hit], prelude: Sequence[Message], turns: Sequence[Sequence[Message]]
) -> str:
    """How many hits there are, and of a long chat in which turns: "3 hits, in turns 1 and 12"."""
    count = plural(len(hits), "hit", "hits")
    if len(turns) <= TURNS_PER_PAGE:
        return f"{count} of the search marked."
    turn_of = [0] * len(prelude) + [n for n, turn in enumerate(turns, 1) for _ in turn]
    found = sorted({turn_of[hit.message] for hit in hits} - {0})
    if not found:
        return f"{count} of the search, before the first turn."
    listed = ", ".join(map(str, found[:_MOST_TURNS_NAMED]))
    more = f" and {len(found) - _MOST_TURNS_NAMED} more" if len(found) > _MOST_TURNS_NAMED else ""
    return f"{count} of the search, in turn{'s' if len(found) > 1 else ''} {listed}{more}."


def turn_heading(index: int, count: int, score: TurnScore | None) -> str:
    """One line of Markdown above a turn: its number and scores, or why they are missing."""
    title = f"**Turn {index + 1} of {count}**"
    if score is None:
        return f"{title} · not scored yet"
    parts = [title, _score("complexity", score.complexity, score.complexity_reason)]
    parts.append(_score("quality", score.quality, score.quality_reason))
    if score.complexity is not None and score.quality is not None:
        parts.append(f"product {score.complexity * score.quality:.2f}")
    return " · ".join(parts)


def _score(name: str, value: float | None, reason: str | None) -> str:
    if value is not None:
        return f"{name} {value:.2f}"
    return f"no {name}: {escape(reason or 'no reason was recorded')}"


def _facts(facts: RowHeader) -> None:
    if facts.status is not None:
        style = STATUS_STYLES[facts.status]
        st.badge(style.label, color=style.badge)
    if facts.evol_score is not None:
        st.badge(f"evol score {facts.evol_score:.2f}", color="primary")
    if facts.language:
        st.badge(escape_badge(facts.language), color="gray")
    for flag in facts.flags:
        st.badge(escape_badge(flag.replace("_", " ")), icon=":material/flag:", color="yellow")


def page_chosen(count: int, size: int, *, key: str) -> int:
    """Draw the choice of a page of `size` lines, when there are several; its 0-based number."""
    pages = -(-count // size)
    # Its own key for each number of pages, or it would stand on one that is gone.
    return 0 if pages < 2 else int(st.pagination(pages, key=f"{key}_page_of_{pages}")) - 1


def _first_turn(turns: int, key: str) -> int:
    """Index of the first turn to draw; long chats come in pages."""
    first = page_chosen(turns, TURNS_PER_PAGE, key=key) * TURNS_PER_PAGE
    if turns > TURNS_PER_PAGE:
        st.caption(f"Turns {first + 1} to {min(first + TURNS_PER_PAGE, turns)} of {turns}")
    return first


def _message(message: Message, plain: bool, spans: Spans = ()) -> None:
    name, avatar = _ROLES[message.role]
    with st.chat_message(name, avatar=avatar):
        st.markdown(f":small[**{name}**]")
        if message.reasoning is not None:
            with st.expander("Reasoning (neither scored nor embedded)"):
                _text(message.reasoning[:MOST_CHARACTERS], plain)
        text = message.content[:MOST_CHARACTERS]
        shown = [(a, min(b, len(text))) for a, b in spans if a < len(text)]
        if not text.strip():
            st.caption("(empty)")
        elif message.role in ("function_call", "tool") and not plain and not shown:
            _original(text)
        elif message.role in ("function_call", "tool"):
            _text(text, True, shown)
        else:
            _text(text, plain, shown)
        if len(message.content) > MOST_CHARACTERS:
            st.caption(
                f"The first {MOST_CHARACTERS:,} of {len(message.content):,} characters; "
                "the original record has all of them."
            )


def _text(text: str, plain: bool, spans: Spans = ()) -> None:
    if plain and spans:
        # As `st.text` looks, which cannot mark anything.
        st.html(f'<div dir="auto" style="{_PLAIN}">{marked_html(text, spans)}</div>')
        return
    rtl = is_right_to_left(text)
    alignment: Literal["left", "right"] = "right" if rtl else "left"
    if plain:
        shown = plain_right_to_left(text) if rtl else text
        st.text(shown, width="stretch", text_alignment=alignment)
    else:
        shown = safe_markdown(text, spans)
        hidden = marks_in(shown) < len(spans)
        shown = markdown_right_to_left(shown) if rtl else shown
        st.markdown(shown, width="stretch", text_alignment=alignment, anchors=False)
        if hidden:
            st.caption("A hit in code or in an address cannot be marked here; Plain marks it.")


def _original(record: str) -> None:
    language: str | None = None
    with suppress(ValueError):
        record = json.dumps(json.loads(record), ensure_ascii=False, indent=2)
        language = "json"
    # Colouring a huge record stalls the browser; its text alone does not.
    large = len(record) > 5 * MOST_CHARACTERS
    shown: Literal["content"] | int = 600 if large else "content"
    st.code(record, language=None if large else language, wrap_lines=True, height=shown)
