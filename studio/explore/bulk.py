"""What can be done with all rows in view at once: tag, pin, exclude, restore, send to review.

Each asks first, with the count. All of it is one entry of the ledger, so one button takes it back.
Nothing is copied or deleted: a tag is a fact about a row.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Final, Literal

import numpy as np
import streamlit as st

from deita_core.people import may
from deita_core.project.ledger import Receipt, tag_rows, tagged_rows, tags, undo
from deita_core.project.pins import PinKind, pins, set_pins
from studio.explore.spread import Rows
from studio.review.new_queue import new_queue_dialog
from studio.shell import state
from studio.shell.person import reviewer_name, told
from studio.shell.resources import Opened, arrays, errors_shown, say
from studio.shell.text import escape, plural

_Action = Literal["tag", "untag", "pin", "exclude", "restore", "review"]
_ACTIONS: Final[dict[_Action, str]] = {
    "tag": ":material/label: Tag",
    "untag": ":material/label_off: Take a tag off",
    "pin": ":material/keep: Pin",
    "exclude": ":material/block: Exclude",
    "restore": ":material/undo: Restore",
    "review": ":material/rate_review: Send to review",
}


@dataclass(frozen=True, slots=True)
class Done:
    """What was last done to many rows at once in this session, and the entry that it is."""

    project: str
    entry: int
    said: str


def bulk_bar(opened: Opened, rows: Rows, said: str) -> None:
    """Draw the menu of what can be done with these rows, and what takes the last of it back.

    said: the view in Markdown, "**412** of 52,002 conversations are inside your outline"; empty
    where nothing narrows it. Nothing is drawn for those who may only read.
    """
    if not may("reviewer"):
        return
    allowed = [one for one in _ACTIONS if one != "review" or may("curator")]
    with st.container(horizontal=True, vertical_alignment="center"):
        asked = st.menu_button(
            f"With {'all ' if len(rows) > 1 else ''}{plural(len(rows))}",
            allowed,
            format_func=_ACTIONS.__getitem__,
            key="bulk",
            icon=":material/checklist:",
            disabled=not len(rows),
            help="Tag, pin, exclude or restore the rows in view, or send them to review.",
        )
        _last_done(opened)
    if asked == "review":
        new_queue_dialog(opened, rows.tolist())
    elif asked:
        bulk_dialog(opened, asked, rows, said)


def bulk_dialog(opened: Opened, action: _Action, rows: Rows, said: str) -> None:
    """Ask whether to do this with so many rows; the button in the dialog does it."""
    words = {"tag": "Tag", "untag": "Take a tag off", "restore": "Restore"}
    title = f"{words.get(action, action.capitalize())} {plural(len(rows))}"
    ask = {"tag": _ask_tag, "untag": _ask_untag}.get(action)

    def body() -> None:
        whole = f"All {len(arrays(opened)):,} conversations: nothing narrows the view."
        st.markdown(f"{said}." if said else whole)
        with errors_shown():
            if ask is not None:
                ask(opened, rows)
            else:
                _ask_pin(opened, action, rows)

    state.dialog(title)(body)()


def _ask_tag(opened: Opened, rows: Rows) -> None:
    known = {one.tag: one.rows for one in tags(opened.project)}
    tag = st.selectbox(
        "Tag",
        list(known),
        index=None,
        format_func=escape,
        accept_new_options=True,
        placeholder="Choose a tag, or type a new one",
        key="bulk_tag",
    )
    tag = (tag or "").strip()
    if not tag:
        st.button("Tag", type="primary", disabled=True, key="bulk_do")
        return
    has = _having(opened, tag, rows)
    new = len(rows) - has
    if has:
        st.caption(f"{plural(has)} of them {'has' if has == 1 else 'have'} it already.")
    label = f"Tag {plural(new)} with “{escape(tag)}”"
    said = f"Tagged {plural(new)} with “{tag}”"
    do = partial(tag_rows, opened.project, rows.tolist(), tag, author=reviewer_name())
    _do(opened, label, said, new, do)


def _ask_untag(opened: Opened, rows: Rows) -> None:
    inside = np.zeros(len(arrays(opened)), np.bool_)
    inside[rows] = True
    found = Counter(tag for row, tag in tagged_rows(opened.project) if inside[row])
    if not found:
        st.caption("None of these rows has a tag.")
        return
    ranked = sorted(found, key=lambda tag: (-found[tag], tag))
    tag = st.selectbox(
        "Tag",
        ranked,
        format_func=lambda tag: escape(f"{tag} · {plural(found[tag])}"),
        key="bulk_untag",
    )
    count = found[tag]
    label = f"Take “{escape(tag)}” off {plural(count)}"
    said = f"Took “{tag}” off {plural(count)}"
    who = reviewer_name()
    do = partial(tag_rows, opened.project, rows.tolist(), tag, remove=True, author=who)
    _do(opened, label, said, count, do)


@dataclass(frozen=True, slots=True)
class _ByHand:
    """kind: what rows become. verb, past: of the button, and of what it did."""

    kind: PinKind | None
    verb: str
    past: str
    meaning: str


_BY_HAND: Final[dict[_Action, _ByHand]] = {
    "pin": _ByHand(
        "pinned", "Pin", "Pinned", "A pinned row is always selected, whatever the rule says."
    ),
    "exclude": _ByHand(
        "excluded", "Exclude", "Excluded", "An excluded row is never selected. It is not deleted."
    ),
    "restore": _ByHand(
        None, "Restore", "Restored", "What was pinned or excluded is neither afterwards. Tags stay."
    ),
}


def _ask_pin(opened: Opened, action: _Action, rows: Rows) -> None:
    how = _BY_HAND[action]
    held = {one.row: one.kind for one in pins(opened.project)}
    # Rows that are so already keep their note.
    wanted = [row for row in rows.tolist() if held.get(row) != how.kind]
    st.caption(how.meaning)
    present = Counter(held[row] for row in wanted if row in held)
    if present:
        those = " and ".join(f"{count:,} {kind}" for kind, count in sorted(present.items()))
        st.caption(f"Of these rows {those} now.")
    if not wanted:
        st.caption(f"All are {how.kind} already." if how.kind else "None is pinned or excluded.")
    count = plural(len(wanted))
    do = partial(set_pins, opened.project, wanted, how.kind, author=reviewer_name())
    _do(opened, f"{how.verb} {count}", f"{how.past} {count}", len(wanted), do)


def _having(opened: Opened, tag: str, rows: Rows) -> int:
    with_it = [row for row, one in tagged_rows(opened.project) if one == tag]
    return int(np.count_nonzero(np.isin(with_it, rows)))


def _do(opened: Opened, label: str, said: str, count: int, do: Callable[[], Receipt]) -> None:
    """The button of a dialog; what it did can be taken back on the page."""
    if not st.button(label, type="primary", key="bulk_do", disabled=not count):
        return
    done = do()
    if done.entry:
        st.session_state[state.BULK] = Done(opened.key, done.entry, said)
        st.rerun()
    st.caption("Nothing is left to do: somebody else has done it meanwhile.")


def _last_done(opened: Opened) -> None:
    last = st.session_state.get(state.BULK)
    if not isinstance(last, Done) or last.project != opened.key:
        return
    st.markdown(f":material/check: {escape(last.said)}.", width="content")
    st.button(
        "Undo",
        key="bulk_undo",
        icon=":material/undo:",
        on_click=told(_undo),
        args=(opened, last),
    )
    st.button(
        "",
        key="bulk_dismiss",
        icon=":material/close:",
        type="tertiary",
        help="Close this message; nothing changes",
        on_click=st.session_state.pop,
        args=(state.BULK, None),
    )


def _undo(opened: Opened, last: Done) -> None:
    back = undo(opened.project, last.entry, author=reviewer_name())
    st.session_state.pop(state.BULK, None)
    say(f"Undone for {plural(back.lines)}: {last.said[:1].lower()}{last.said[1:]}.")
