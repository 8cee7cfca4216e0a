"""Saved selections: save the present one, show, load, rename, delete."""

from __future__ import annotations

from collections.abc import Callable
from itertools import chain, count

import streamlit as st

from deita_core.jobs.compare_sets import read_stability
from deita_core.jobs.kinds.select_rows import save_outcome
from deita_core.people import current_person, may
from deita_core.project.measured import kept_stability
from deita_core.project.selections import (
    SavedSelection,
    delete_selection,
    duplicate_selection,
    make_current,
    rename_selection,
    selections,
    set_notes,
)
from deita_core.selection.analysis.stability import stability_sentence
from deita_core.selection.outcome import Outcome
from deita_core.selection.rule import SelectionRule
from studio.select.history import load_with_pins
from studio.select.rows import difference_view
from studio.shell import state
from studio.shell.person import reviewer_name, told
from studio.shell.resources import Opened, errors_shown, say
from studio.shell.text import escape, plural


def save_button(opened: Opened, result: Outcome) -> None:
    """Offer to keep the selection under a name."""
    if may("curator") and st.button(
        "Save this selection", type="primary", icon=":material/bookmark_add:"
    ):
        _ask_name(opened, result)


@state.dialog("Save selection")
def _ask_name(opened: Opened, result: Outcome) -> None:
    st.caption(f"{escape(result.sentence())}.")
    taken = {s.name: s for s in selections(opened.project)}
    base = f"{len(result.kept):,} at {result.rule.threshold:.2f}"
    numbered = (f"{base} ({number})" for number in count(2))
    suggestion = next(name for name in chain([base], numbered) if name not in taken)
    name = st.text_input("Name", suggestion, max_chars=100, key="save_as").strip()
    notes = st.text_area("Notes", placeholder="What it is for, what you noticed")
    author = _author()
    known = taken.get(name)
    replaces = None if known is None else _replace(known)
    if st.button("Save", type="primary", disabled=not name):
        # What another session saved since this dialog was drawn is told by the core.
        with errors_shown():
            save_outcome(
                opened.project, result, name, notes=notes, author=author, replaces=replaces
            )
            st.session_state[state.AUTHOR] = author
            say(f"Saved “{name}”: {len(result.kept):,} conversations.")
            st.rerun()


def _author() -> str:
    """A field for the name; of who logged in, the login has it."""
    person = current_person()
    if person is not None and person.email:
        return person.name
    return st.text_input("Author", reviewer_name(), max_chars=100).strip()


def _replace(known: SavedSelection) -> int | None:
    """The number of the selection that is to be replaced, if that is ticked.

    The tick is of this one: had another session replaced it meanwhile, it would be gone.
    """
    by = f", saved {f'by {known.author} ' if known.author else ''}at {known.made:%H:%M} UTC"
    st.caption("There is one of this name already: choose another name, or replace it.")
    label = f"Replace “{escape(known.name)}”{escape(by)}"
    return known.selection if st.checkbox(label, key=f"replace-{known.selection}") else None


def saved_selections(opened: Opened, result: Outcome) -> None:
    """Every saved selection: what it is, how the present one differs, and what to do with it."""
    saved = selections(opened.project)
    if not saved:
        st.caption("Nothing saved yet.")
    for selection in saved:
        with st.container(border=True):
            _one(opened, selection, result)


def _one(opened: Opened, selection: SavedSelection, result: Outcome) -> None:
    rule = SelectionRule.from_json(selection.rule)
    size = plural(selection.rows, "conversation", "conversations")
    by = f" · {escape(selection.author)}" if selection.author else ""
    title = f"**{escape(selection.name)}** · {size} · {selection.made:%Y-%m-%d %H:%M} UTC{by}"
    with st.container(horizontal=True, vertical_alignment="center"):
        st.markdown(title, width="content")
        if selection.current:
            st.badge("current", icon=":material/check_circle:", color="green")
    st.caption(f"{escape(selection.sentence)}.")
    st.caption(f"Rule: {escape(rule.describe())}.")
    if selection.notes:
        st.markdown(escape(selection.notes))
    difference_view(opened, selection, result)
    _stability(opened, selection)
    with st.container(horizontal=True):
        _button("Load its rule", "restore", selection, load_with_pins, opened, rule)
        _button("Stability", "balance", selection, _open_stability, selection)
        if not may("curator"):
            return
        if not selection.current:
            _button("Make current", "check_circle", selection, _make_current, opened, selection)
        _button("Duplicate", "content_copy", selection, _duplicate, opened, selection)
        if st.button("Edit", icon=":material/edit:", key=f"edit-{selection.selection}"):
            _ask_new_name(opened, selection)
        if st.button("Delete", icon=":material/delete:", key=f"delete-{selection.selection}"):
            _ask_delete(opened, selection)


def _stability(opened: Opened, selection: SavedSelection) -> None:
    """What is kept of how much of it survives other choices; Compare has it line by line."""
    kept = kept_stability(opened.project, selection.selection)
    if kept is not None:
        said = stability_sentence(read_stability(kept.found))
        st.caption(f"Stability: {escape(said)} (as of {kept.made:%Y-%m-%d %H:%M} UTC).")


def _open_stability(selection: SavedSelection) -> None:
    key = str(selection.selection)
    st.session_state[state.COMPARE_A] = key
    if st.session_state.get(state.COMPARE_B) in (None, key):
        st.session_state[state.COMPARE_B] = "pool"
    st.session_state[state.COMPARE_VIEW] = "stability"
    st.session_state[state.WANTED_PAGE] = "compare"


def _button(
    label: str, icon: str, selection: SavedSelection, do: Callable[..., None], *given: object
) -> None:
    key = f"{label}-{selection.selection}"
    st.button(label, icon=f":material/{icon}:", key=key, on_click=do, args=given)


@told
def _make_current(opened: Opened, selection: SavedSelection) -> None:
    make_current(opened.project, selection.selection)
    say(f"“{selection.name}” is the current selection.")


@told
def _duplicate(opened: Opened, selection: SavedSelection) -> None:
    duplicate_selection(opened.project, selection.selection, reviewer_name())
    say(f"Copied “{selection.name}”.")


@state.dialog("Name and notes")
def _ask_new_name(opened: Opened, selection: SavedSelection) -> None:
    name = st.text_input("Name", selection.name, max_chars=100)
    notes = st.text_area("Notes", selection.notes)
    if st.button("Save", type="primary", disabled=not name.strip(), key="save_name"):
        with errors_shown():
            rename_selection(opened.project, selection.selection, name)
            set_notes(opened.project, selection.selection, notes)
            st.rerun()


@state.dialog("Delete selection")
def _ask_delete(opened: Opened, selection: SavedSelection) -> None:
    st.markdown(
        f"Delete **{escape(selection.name)}**? Its rule and list of rows go; the conversations and "
        f"exported files stay."
    )
    if st.button("Delete", type="primary", icon=":material/delete:"):
        with errors_shown():
            delete_selection(opened.project, selection.selection)
            say(f"Deleted “{selection.name}”.")
            st.rerun()
