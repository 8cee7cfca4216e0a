"""The ledger: every decision, the newest first, with its conversation; to filter, keep, undo."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import pandas as pd
import streamlit as st

from deita_core.people import current_person, may
from deita_core.people import reviewer as reviewer_label
from deita_core.project.ledger import (
    LedgerLine,
    ledger_length,
    ledger_lines,
    ledger_names,
    undo,
)
from deita_core.project.ledger_text import LEDGER_FORMATS, ledger_text
from deita_core.project.queue_state import last_entry_of, standing_lines
from deita_core.project.queues import Queue, queues
from deita_core.review.decision import VERDICTS
from studio.review.answered import read_row, withheld
from studio.rows.conversation import page_chosen
from studio.rows.table import PAGE, lines_chosen
from studio.shell.person import reviewer_name, told
from studio.shell.resources import Opened, errors_shown, say
from studio.shell.text import escape, plural

# Decisions about a row as such; all others are a reviewer's own answer in a queue.
_SHARED: Final = ("tag", "untag", "pin", "exclude", "restore", "edit")
_LONGEST = 160


@dataclass(frozen=True, slots=True)
class _Wanted:
    """Which lines of the ledger are looked at; None: all."""

    queue: str | None
    author: str | None
    kind: str | None
    row: int | None

    def count(self, opened: Opened) -> int:
        return ledger_length(opened.project, **self._given())

    def lines(self, opened: Opened, limit: int | None = None, offset: int = 0) -> list[LedgerLine]:
        return ledger_lines(opened.project, **self._given(), limit=limit, offset=offset)

    def _given(self) -> dict[str, object]:
        return {"queue": self.queue, "author": self.author, "kind": self.kind, "row": self.row}


def decisions_view(opened: Opened, queue: Queue | None) -> None:
    """Draw the ledger of a queue, or of the whole project."""
    with errors_shown():
        _undo_last(opened, queue)
        wanted = _filters(opened, queue)
        count = wanted.count(opened)
        if not count:
            st.caption("No decision yet." if queue is None else "No decision in this queue yet.")
            return
        with st.container(horizontal=True, vertical_alignment="center"):
            st.markdown(f"**{plural(count, 'decision', 'decisions')}**, the newest first.")
            _downloads(opened, wanted)
            page = page_chosen(count, PAGE, key="decisions")
        _list(opened, wanted.lines(opened, PAGE, page * PAGE))


def _filters(opened: Opened, queue: Queue | None) -> _Wanted:
    number = None if queue is None else queue.queue
    with st.container(horizontal=True, vertical_alignment="bottom"):
        row = st.number_input(
            "Row", 0, None, None, key="decisions_row", placeholder="every row", width=160
        )
        author = st.selectbox(
            "Reviewer",
            ledger_names(opened.project, "author", number),
            index=None,
            key="decisions_author",
            placeholder="everybody",
        )
        kind = st.selectbox(
            "Kind",
            ledger_names(opened.project, "kind", number),
            index=None,
            key="decisions_kind",
            placeholder="every kind",
        )
    name = None if queue is None else queue.name
    return _Wanted(name, author, kind, None if row is None else int(row))


# the list


def _list(opened: Opened, lines: list[LedgerLine]) -> None:
    known = {one.name: one for one in queues(opened.project)}
    hidden = _hidden(opened, lines, known)
    if hidden:
        st.caption(
            "What others said of rows that wait for an answer of your own is hidden until then."
        )
    table = pd.DataFrame(
        {
            "when (UTC)": [line.made for line in lines],
            "whose": [line.author for line in lines],
            "row": [line.row for line in lines],
            "what": ["hidden" if line.number in hidden else what_of(line) for line in lines],
            "why": ["" if line.number in hidden else line.why[:_LONGEST] for line in lines],
            "queue": [line.queue or "" for line in lines],
            "entry": [line.entry for line in lines],
        }
    )
    columns = {
        "when (UTC)": st.column_config.DatetimeColumn(format="YYYY-MM-DD HH:mm:ss"),
        "what": st.column_config.TextColumn(width="medium"),
        "why": st.column_config.TextColumn(width="medium"),
        "entry": st.column_config.NumberColumn(
            format="%d", help="Lines that were decided in one go have one number"
        ),
    }
    key = f"decisions_{lines[0].number}_{lines[-1].number}_{len(lines)}"
    for place in lines_chosen(table, key=key, alt="Decisions, newest first", columns=columns):
        line = lines[place]
        with st.container(border=True):
            _undo_entry(opened, line)
            queue = known.get(line.queue or "")
            read_row(opened, line.row, key="decision_row", queue=queue, version=line.version)


def _hidden(opened: Opened, lines: list[LedgerLine], known: dict[str, Queue]) -> set[int]:
    """Numbers of the lines that say what others answered on rows that wait for who looks."""
    waiting, own = withheld(opened), reviewer_label(reviewer_name())
    return {
        line.number
        for line in lines
        if line.queue in known
        and line.kind not in _SHARED
        and line.author != own
        and (known[line.queue].queue, line.row) in waiting
    }


def what_of(line: LedgerLine) -> str:
    """ "keep", "quality 4", "tag: long", "corrected text, version 2"."""
    if line.kind == "edit":
        return f"corrected text, version {line.version}"
    if line.kind in (*VERDICTS, "pin", "exclude", "restore"):
        return line.kind
    said = f"{line.kind}: {line.value}" if line.kind in ("tag", "untag", "note", "label") else ""
    return (said or f"{line.kind} {line.value}")[:_LONGEST]


# taking back


def _undo_last(opened: Opened, queue: Queue | None) -> None:
    """Offer to take back what who looks decided last; again and again."""
    if not may("reviewer"):
        return
    own = reviewer_label(reviewer_name())
    last = last_entry_of(opened.project, own, None if queue is None else queue.queue)
    if last is None:
        return
    about = f"row {last.row}" if last.rows == 1 else plural(last.rows)
    with st.container(horizontal=True, vertical_alignment="center"):
        st.button(
            "Undo my last decision",
            key="decisions_undo_last",
            icon=":material/undo:",
            on_click=told(_undo),
            args=(opened, last.entry),
        )
        value = "" if last.kind == "edit" else f" {last.value[:_LONGEST]}"
        more = f" and {last.lines - last.rows:,} more" if last.lines > last.rows else ""
        st.caption(escape(f"Entry {last.entry}, {about}: {last.kind}{value.rstrip()}{more}"))


def _undo_entry(opened: Opened, line: LedgerLine) -> None:
    """Offer to take back the entry of a line, to whom the ledger allows it."""
    person = current_person()
    own = may("reviewer") and person is not None and person.label == line.who
    if not (own or may("curator")):
        return
    standing = standing_lines(opened.project, line.entry)
    if not standing:
        st.caption("Something else has taken its place since: nothing of it stands.")
        return
    st.button(
        f"Undo entry {line.entry}: {plural(standing, 'line', 'lines')}",
        key="decisions_undo",
        icon=":material/undo:",
        help="What stood before comes back, as new lines of the ledger; nothing is deleted.",
        on_click=told(_undo),
        args=(opened, line.entry),
    )


def _undo(opened: Opened, entry: int) -> None:
    done = undo(opened.project, entry, author=reviewer_name())
    say(f"Entry {entry} is taken back: {plural(done.lines, 'line', 'lines')} appended.")


# keeping


def _downloads(opened: Opened, wanted: _Wanted) -> None:
    closed = bool(withheld(opened)) and not may("curator")
    for format in LEDGER_FORMATS:
        st.download_button(
            format.upper(),
            data=lambda format=format: ledger_text(wanted.lines(opened)[::-1], format),
            file_name=f"{opened.project.path.stem}-decisions.{format}",
            icon=":material/download:",
            key=f"decisions_{format}",
            on_click="ignore",
            disabled=closed,
            help="Once you have answered every row that waits for you."
            if closed
            else "All of these decisions, the oldest first.",
        )
