"""Saved selections: save the present one, show, load, rename, delete."""

from __future__ import annotations

import streamlit as st

from deita_core.curate import save_outcome
from deita_core.errors import DeitaError
from deita_core.project.selections import (
    SavedSelection,
    delete_selection,
    rename_selection,
    selections,
)
from deita_core.selection.outcome import Outcome
from deita_core.selection.rule import SelectionRule
from pages.parts import words
from pages.parts.resources import Opened, say
from pages.parts.rule_form import load_rule
from pages.parts.safe_text import escape


def save_form(opened: Opened, result: Outcome) -> None:
    """Offer to keep the selection under a name."""
    with st.container(horizontal=True, vertical_alignment="center"):
        if st.button("Save this selection", type="primary", icon=":material/bookmark_add:"):
            _ask_name(opened, result)
        st.page_link("pages/export.py", label="Export a saved one", icon=":material/download:")


@st.dialog("Save selection")
def _ask_name(opened: Opened, result: Outcome) -> None:
    st.caption(f"{result.sentence()}.")
    taken = {s.name for s in selections(opened.project)}
    name = st.text_input("Name", _suggestion(result, taken), max_chars=100)
    notes = st.text_area("Notes", placeholder="What it is for, what you noticed")
    replace = name.strip() in taken and st.checkbox(f"Replace the selection “{name.strip()}”")
    blocked = not name.strip() or (name.strip() in taken and not replace)
    if name.strip() in taken and not replace:
        st.caption("There is one of this name already: choose another name, or replace it.")
    if st.button("Save", type="primary", disabled=blocked):
        try:
            save_outcome(opened.project, result, name, notes=notes, replace=replace)
        except DeitaError as error:
            st.error(str(error))
            return
        say(f"Saved “{name.strip()}”: {len(result.kept):,} conversations.")
        st.rerun()


def _suggestion(result: Outcome, taken: set[str]) -> str:
    base = f"{len(result.kept):,} at {result.rule.threshold:.2f}"
    name, number = base, 2
    while name in taken:
        name, number = f"{base} ({number})", number + 1
    return name


def saved_selections(opened: Opened) -> None:
    """Every saved selection with its sentence, its rule to load again, and its name to change."""
    saved = selections(opened.project)
    if not saved:
        st.caption("Nothing saved yet.")
    for selection in saved:
        with st.container(border=True):
            _one(opened, selection)


def _one(opened: Opened, selection: SavedSelection) -> None:
    rule = SelectionRule.from_json(selection.rule)
    size = words.rows(selection.rows, "conversation", "conversations")
    st.markdown(f"**{escape(selection.name)}** · {size} · {selection.made:%Y-%m-%d %H:%M} UTC")
    st.caption(f"{selection.sentence}.")
    st.caption(f"Rule: {rule.describe()}.")
    if selection.notes:
        st.markdown(escape(selection.notes))
    with st.container(horizontal=True):
        st.button(
            "Load its rule",
            icon=":material/restore:",
            key=f"load-{selection.selection}",
            on_click=load_rule,
            args=(rule,),
        )
        if st.button("Rename", icon=":material/edit:", key=f"rename-{selection.selection}"):
            _ask_new_name(opened, selection)
        if st.button("Delete", icon=":material/delete:", key=f"delete-{selection.selection}"):
            _ask_delete(opened, selection)


@st.dialog("Rename selection")
def _ask_new_name(opened: Opened, selection: SavedSelection) -> None:
    name = st.text_input("Name", selection.name, max_chars=100)
    if st.button("Rename", type="primary", disabled=not name.strip()):
        try:
            rename_selection(opened.project, selection.selection, name)
        except DeitaError as error:
            st.error(str(error))
            return
        st.rerun()


@st.dialog("Delete selection")
def _ask_delete(opened: Opened, selection: SavedSelection) -> None:
    st.markdown(
        f"Delete **{escape(selection.name)}**? Its rule and list of rows go; the conversations and "
        f"exported files stay."
    )
    if st.button("Delete", type="primary", icon=":material/delete:"):
        delete_selection(opened.project, selection.selection)
        say(f"Deleted “{selection.name}”.")
        st.rerun()
