"""Undo and redo: the rules that the Select page has shown, pins included."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace

import streamlit as st

from deita_core.people import may
from deita_core.project.pins import PinKind, pins, set_pins
from deita_core.selection.rule import SelectionRule
from studio.select.rule_form import load_rule
from studio.shell import state
from studio.shell.person import told
from studio.shell.resources import Opened, arrays

_MOST = 60


@dataclass
class RuleHistory:
    """Rules, oldest first; `at` is the one in force. Each session has its own.

    before: the rule that was in force before it, whichever way it came. notes: of pins and
    exclusions that undo took back, by row: note and author.
    """

    rules: list[SelectionRule] = field(default_factory=list)
    at: int = -1
    before: SelectionRule | None = None
    moved: bool = False
    notes: dict[int, tuple[str, str]] = field(default_factory=dict)

    def remember(self, rule: SelectionRule) -> None:
        """Put the rule in force at the end, unless it is there already or undo led to it."""
        if self.moved:  # what the controls make of a rule may differ from it in wording only
            self.rules[self.at], self.moved = rule, False
        elif self.at < 0 or self.rules[self.at] != rule:
            self.before = self.rules[self.at] if self.rules else None
            self.rules = [*self.rules[: self.at + 1], rule][-_MOST:]
            self.at = len(self.rules) - 1

    def move(self, by: int) -> tuple[SelectionRule, SelectionRule]:
        """Go so far forth, or back; the rule left and the rule reached."""
        self.before, self.moved = self.rules[self.at], True
        self.at += by
        return self.before, self.rules[self.at]


def history_of(opened: Opened) -> RuleHistory:
    """The history of this session on this project."""
    kept: dict[str, RuleHistory] = st.session_state.setdefault(state.HISTORY, {})
    return kept.setdefault(opened.key, RuleHistory())


def undo_buttons(opened: Opened) -> None:
    """Two buttons; also Alt+Z and Alt+Y (Ctrl+Z is for the text that one types)."""
    history = history_of(opened)
    for label, by, icon, shortcut, possible in (
        ("Undo", -1, "undo", "Alt+Z", history.at > 0),
        ("Redo", 1, "redo", "Alt+Y", history.at < len(history.rules) - 1),
    ):
        st.button(
            label,
            icon=f":material/{icon}:",
            shortcut=shortcut,
            disabled=not possible,
            on_click=_move,
            args=(opened, by),
            key=f"rule_{label.lower()}",
        )


@told
def _move(opened: Opened, by: int) -> None:
    history = history_of(opened)
    if not 0 <= history.at + by < len(history.rules):
        return
    before, after = history.move(by)
    load_rule(after)
    _restore_pins(opened, before, after)


@told
def load_with_pins(opened: Opened, rule: SelectionRule) -> None:
    """Set every control and the project's pins and exclusions to a rule; for a callback."""
    present = pins(opened.project)
    load_rule(rule)
    now = replace(SelectionRule(), pinned=present.pinned, excluded=present.excluded)
    _restore_pins(opened, now, rule)


def _restore_pins(opened: Opened, before: SelectionRule, after: SelectionRule) -> None:
    """Only what differs between the two rules is changed, so others' pins stay as they are.

    Who may not pin gets the rule without its pins.
    """
    if not may("reviewer"):
        return
    notes, project = history_of(opened).notes, opened.project
    kinds: tuple[tuple[PinKind, set[str], set[str]], ...] = (
        ("pinned", set(before.pinned), set(after.pinned)),
        ("excluded", set(before.excluded), set(after.excluded)),
    )
    gone = _rows(opened, {identity for _, old, new in kinds for identity in old - new})
    notes |= {one.row: (one.note, one.author) for one in pins(project) if one.row in gone}
    set_pins(project, gone, None)
    for kind, old, new in kinds:
        alike: dict[tuple[str, str], list[int]] = defaultdict(list)
        for row in _rows(opened, new - old):
            alike[notes.get(row, ("", ""))].append(row)
        for (note, author), rows in alike.items():
            set_pins(project, rows, kind, note=note, author=author)


def _rows(opened: Opened, ids: set[str]) -> list[int]:
    """The rows of those ids that are in the pool."""
    rows = arrays(opened).rows_of(tuple(ids))
    return rows[rows >= 0].tolist()
