"""Reading a queue: one row at a time, decided by key or click, and the last decision taken back."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import streamlit as st

from deita_core.project.ledger import tags_of, undo
from deita_core.project.queues import Queue, answer, claim, progress, verdicts_of_others
from deita_core.project.review_rows import RowToReview, rows_to_review
from deita_core.review.decision import HIGHEST, LOWEST, VERDICTS, Ask, Decision, Kind
from studio.review.queue_list import pace_said
from studio.rows.conversation import conversation_view
from studio.rows.table import show_conversation
from studio.shell import state
from studio.shell.person import closed_to_role, reviewer_name, told
from studio.shell.resources import Opened, errors_shown
from studio.shell.text import escape

_AHEAD: Final = 20
_KEYS: Final = {"keep": "K", "unsure": "U", "drop": "D"}
_ICONS: Final = {"keep": "check", "unsure": "question_mark", "drop": "close"}


@dataclass
class Reading:
    """Where a reviewer is in a queue, in this session.

    entries: of the ledger with their rows, the last one last. later: rows put off. back: a row
    that they went back to; it is shown until it is answered whole again.
    """

    entries: list[tuple[int, int]] = field(default_factory=list)
    later: list[int] = field(default_factory=list)
    back: int | None = None


def read_queue(opened: Opened, queue: Queue) -> None:
    """Draw the progress, the row to decide about, and the buttons to decide with."""
    with st.container(horizontal=True, vertical_alignment="center"):
        found = progress(opened.project, queue.queue)
        st.progress(found.done / max(found.rows, 1), found.sentence())
    if pace := pace_said(found):
        st.caption(pace)
    if queue.guidelines:
        with st.expander("Guidelines", expanded=not found.answers):
            st.markdown(queue.guidelines)
    if closed_to_role("reviewer", "Reviewing"):
        return
    name = _named()
    if not name:
        return
    reading = _reading(opened, queue, name)
    with errors_shown():
        row = _next(opened, queue, name, reading)
        if row is None:
            st.success("Nothing is left for you in this queue.", icon=":material/done_all:")
            _take_back(opened, name, reading)
            _after(opened, queue, name, reading)
            return
        _decide(opened, queue, name, reading, row)
        _after(opened, queue, name, reading)
        _text(opened, queue, row)


def _named() -> str:
    """The reviewer's name; asks for it where it is not known."""
    if name := reviewer_name():
        return name
    st.text_input(
        "Your name, under which your decisions count",
        key="reviewer_typed",
        max_chars=100,
        on_change=_name,
    )
    return ""


def _name() -> None:
    st.session_state[state.AUTHOR] = st.session_state["reviewer_typed"].strip()


def _reading(opened: Opened, queue: Queue, name: str) -> Reading:
    kept: dict[tuple[str, int, str], Reading] = st.session_state.setdefault(state.READING, {})
    return kept.setdefault((opened.key, queue.queue, name), Reading())


def _next(opened: Opened, queue: Queue, name: str, reading: Reading) -> RowToReview | None:
    """The row to show; what was put off comes again when nothing else is left."""
    if reading.back is not None:
        (row,) = rows_to_review(opened.project, queue.queue, [reading.back], name)
        if not _whole(queue, row):
            return row
        reading.back = None
    claimed = claim(opened.project, queue.queue, name, _AHEAD + len(reading.later))
    if claimed and not set(claimed) - set(reading.later):
        reading.later.clear()
    left = [row for row in claimed if row not in reading.later]
    return rows_to_review(opened.project, queue.queue, left[:1], name)[0] if left else None


def _whole(queue: Queue, row: RowToReview) -> bool:
    return {said.slot for said in row.own} >= set(queue.asks)


# deciding


def _decide(opened: Opened, queue: Queue, name: str, reading: Reading, row: RowToReview) -> None:
    own = {said.slot: said.value or said.kind for said in row.own}
    why = f"review_note_{queue.queue}_{row.row}"
    with st.container(horizontal=True, vertical_alignment="bottom", border=True):
        if "verdict" in queue.asks:
            for verdict in VERDICTS[::-1]:
                st.button(
                    verdict.capitalize(),
                    icon=f":material/{_ICONS[verdict]}:",
                    shortcut=_KEYS[verdict],
                    type="primary" if own.get("verdict") == verdict else "secondary",
                    key=f"review_{verdict}",
                    on_click=_answer,
                    args=(opened, queue, name, reading, row, verdict, "", why),
                )
        for ask in queue.asks:
            if ask != "verdict":
                _choice(opened, queue, name, reading, row, ask, own.get(ask), why)
        st.text_input("Why (optional)", key=why, max_chars=2000, placeholder="goes with the answer")
        st.button(
            "Later",
            icon=":material/skip_next:",
            shortcut="L",
            key="review_later",
            help="Shows another row; this one comes again at the end",
            on_click=_put_off,
            args=(reading, row.row),
        )
        _take_back(opened, name, reading)


def _choice(
    opened: Opened,
    queue: Queue,
    name: str,
    reading: Reading,
    row: RowToReview,
    ask: Ask,
    chosen: str | None,
    why: str,
) -> None:
    """A score or label; choosing is deciding."""
    known = queue.labels if ask == "label" else tuple(map(str, range(LOWEST, HIGHEST + 1)))
    key = f"review_{ask}_{queue.queue}_{row.row}_{len(reading.entries)}"
    st.segmented_control(
        ask.capitalize(),
        known,
        default=chosen,
        key=key,
        format_func=escape,
        on_change=_chosen,
        args=(opened, queue, name, reading, row, ask, key, why),
    )


def _chosen(
    opened: Opened,
    queue: Queue,
    name: str,
    reading: Reading,
    row: RowToReview,
    kind: Kind,
    key: str,
    why: str,
) -> None:
    value = st.session_state[key]
    if value is None:
        kind, value = "withdraw", kind
    _answer(opened, queue, name, reading, row, kind, value, why)


@told
def _answer(
    opened: Opened,
    queue: Queue,
    name: str,
    reading: Reading,
    row: RowToReview,
    kind: Kind,
    value: str,
    why: str,
) -> None:
    note = st.session_state.get(why, "").strip()
    said = Decision(row.row, kind, value, note, row.version)
    receipt = answer(opened.project, queue.queue, [said], reviewer=name)
    if receipt.entry:
        reading.entries.append((receipt.entry, row.row))


def _put_off(reading: Reading, row: int) -> None:
    reading.later.append(row)
    reading.back = None


def _take_back(opened: Opened, name: str, reading: Reading) -> None:
    st.button(
        "Undo",
        icon=":material/undo:",
        shortcut="Z",
        key="review_undo",
        disabled=not reading.entries,
        on_click=_undo,
        args=(opened, name, reading),
    )


@told
def _undo(opened: Opened, name: str, reading: Reading) -> None:
    entry, row = reading.entries[-1]
    undo(opened.project, entry, author=name)
    reading.entries.pop()
    reading.back = row


# what is shown


def _text(opened: Opened, queue: Queue, row: RowToReview) -> None:
    if tags := tags_of(opened.project, row.row):
        st.caption("Tags: " + escape(", ".join(tags)))
    if row.version:
        st.caption(f"Corrected text, version {row.version}.")
    if not queue.blind and not row.version:
        show_conversation(opened, row.row, key=f"review_{row.row}")
        return
    st.markdown(f"**Row {row.row}** · {escape(row.source)}")
    conversation_view(row.text, key=f"review_{row.row}", scores=None)


def _after(opened: Opened, queue: Queue, name: str, reading: Reading) -> None:
    """What one said last and, when the row is answered whole, what others say of it."""
    if not reading.entries:
        return
    row = reading.entries[-1][1]
    (said,) = rows_to_review(opened.project, queue.queue, [row], name)
    own = ", ".join(one.sentence() for one in said.own)
    others = [
        f"{one.why}: {one.kind} {one.value}".strip()
        for one in verdicts_of_others(opened.project, queue.queue, row, name)
    ]
    text = f"Last: row {row}, {own or 'nothing'}" + "".join(f"; {one}" for one in others)
    st.caption(escape(text))
