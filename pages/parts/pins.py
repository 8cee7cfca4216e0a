"""Pins and exclusions by hand: to set them, to see them, to take them back."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st

from deita_core.project.browse import table_of
from deita_core.project.choices import ChoiceByHand, RowChoice, set_choice
from pages.parts import state, words
from pages.parts.resources import Opened, say
from pages.parts.selecting import choices_by_hand

_DONE = {"pinned": "Pinned", "excluded": "Excluded", None: "Took back"}


def pin_buttons(opened: Opened, rows: Sequence[int], *, key: str) -> None:
    """Pin or exclude these rows, or take that back; one row or many."""
    chosen = choices_by_hand(opened)
    present = {one.row: one.choice for one in chosen.all}
    kinds = {present.get(int(row)) for row in rows} if len(present) else {None}
    many = f" {len(rows):,} rows" if len(rows) > 1 else ""
    for label, choice, icon in (
        (f"Pin{many}", "pinned", "keep"),
        (f"Exclude{many}", "excluded", "block"),
        (f"Take back{many}", None, "undo"),
    ):
        if kinds == {choice} or (choice is None and not kinds - {None}):
            continue
        st.button(
            label,
            icon=f":material/{icon}:",
            key=f"{key}_{choice}",
            on_click=_set,
            args=(opened, [int(row) for row in rows], choice),
        )


def _set(opened: Opened, rows: Sequence[int], choice: ChoiceByHand | None) -> None:
    kept = {one.row: one.note for one in choices_by_hand(opened).all}
    author = str(st.session_state.get(state.AUTHOR, ""))
    by_note: dict[str, list[int]] = {}
    for row in rows:
        by_note.setdefault(kept.get(row, ""), []).append(row)
    for note, group in by_note.items():
        set_choice(opened.project, group, choice, note=note, author=author)
    say(f"{_DONE[choice]}: {words.rows(len(rows))}. Undo takes it back.")


def pins_view(opened: Opened) -> None:
    """Every pin and exclusion with its note; several can be chosen and changed at once."""
    chosen = choices_by_hand(opened).all
    if not chosen:
        st.caption(
            "Nothing is pinned or excluded. Choose rows in the table or on the map: a pinned row "
            "is always in and an excluded one never is, whatever the rule says."
        )
        return
    found = table_of(opened.project, [one.row for one in chosen])
    table = pd.DataFrame(
        {
            "row": [one.row for one in chosen],
            "by hand": [one.choice for one in chosen],
            "note": [one.note for one in chosen],
            "author": [one.author for one in chosen],
            "when (UTC)": [one.chosen for one in chosen],
            "first instruction": found["preview"],
        }
    )
    event = st.dataframe(
        table,
        hide_index=True,
        on_select="rerun",
        selection_mode="multi-row",
        key=f"pins_{len(chosen)}",
        alt="Pinned and excluded conversations",
    )
    picked = [chosen[i] for i in event.selection.rows if i < len(chosen)] or list(chosen)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        note = st.text_input(f"Note on {words.rows(len(picked))}", key="pin_note")
        st.button("Set the note", on_click=_note, args=(opened, picked), disabled=not note)
        pin_buttons(opened, [one.row for one in picked], key="pins_chosen")


def _note(opened: Opened, picked: Sequence[RowChoice]) -> None:
    note = str(st.session_state.get("pin_note", ""))
    kinds: tuple[ChoiceByHand, ...] = ("pinned", "excluded")
    for kind in kinds:
        rows = [one.row for one in picked if one.choice == kind]
        author = str(st.session_state.get(state.AUTHOR, ""))
        set_choice(opened.project, rows, kind, note=note, author=author)
    st.session_state["pin_note"] = ""
