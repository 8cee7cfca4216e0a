"""What the verdicts of a queue do to the selection: a rule, its effect said first, and one undo."""

from __future__ import annotations

import numpy as np
import streamlit as st

from deita_core.people import may
from deita_core.project.ledger import undo
from deita_core.project.queue_state import applied_verdicts
from deita_core.project.queues import Queue, apply_verdicts, queues
from deita_core.review.answers import ACTING_RULES, RULE_WORDS, Answers, Effect, effect_of
from studio.review.answered import explore_button
from studio.review.queue_list import open_queue
from studio.select.cache import current_pins
from studio.shell.person import closed_to_role, reviewer_name, told
from studio.shell.resources import Opened, say
from studio.shell.text import escape, plural


def verdicts_form(opened: Opened, queue: Queue, given: Answers) -> None:
    """Choose the rule, read what it would do, do it, and take it back."""
    st.subheader("What the verdicts do", anchor=False)
    if queue.adjudicates is not None:
        _of_another(opened, queue)
        return
    rule = st.segmented_control(
        "A row is decided by",
        ACTING_RULES,
        default="adjudicated" if np.isfinite(given.adjudicated).any() else "majority",
        format_func=str.capitalize,
        required=True,
        key="verdicts_rule",
        help="; ".join(f"{name}: {words}" for name, words in RULE_WORDS.items()),
    )
    effect = effect_of(given, str(rule))
    same, turned = _beside_pins(opened, effect)
    decided = len(effect.pinned) + len(effect.excluded)
    said = f"**{effect.sentence()}**."
    if same:
        said += f" So already: {plural(same)}."
    if turned:
        said += f" Of {plural(turned)} the pin becomes an exclusion, or the other way round."
    st.markdown(said)
    with st.container(horizontal=True):
        if not closed_to_role("curator", "Pinning and excluding by the verdicts"):
            st.button(
                f"Pin {len(effect.pinned):,} and exclude {len(effect.excluded):,}",
                key="verdicts_apply",
                icon=":material/done_all:",
                type="primary",
                disabled=same == decided,
                on_click=told(_apply),
                args=(opened, queue.queue, str(rule)),
            )
        _undo_button(opened, queue)
        label = "See the undecided in Explore"
        explore_button(effect.undecided.tolist(), key="verdicts_undecided", label=label)


def _beside_pins(opened: Opened, effect: Effect) -> tuple[int, int]:
    """How many rows are what the rule makes them already, and how many are the opposite."""
    kinds = {pin.row: pin.kind for pin in current_pins(opened)}
    wanted = dict.fromkeys(effect.pinned.tolist(), "pinned")
    wanted |= dict.fromkeys(effect.excluded.tolist(), "excluded")
    there = [(kinds[row], kind) for row, kind in wanted.items() if row in kinds]
    same = sum(now == then for now, then in there)
    return same, len(there) - same


def _apply(opened: Opened, queue: int, rule: str) -> None:
    effect = apply_verdicts(opened.project, queue, rule, author=reviewer_name())
    say(
        f"{plural(len(effect.pinned))} pinned and {len(effect.excluded):,} excluded by {rule}. "
        "The Select page counts them in."
    )


def _undo_button(opened: Opened, queue: Queue) -> None:
    done = applied_verdicts(opened.project, queue.queue)
    if done is None or not may("curator"):
        return
    st.button(
        f"Undo: take {plural(done.standing)} back",
        key="verdicts_undo",
        icon=":material/undo:",
        help=f"Applied by {escape(done.rule)}, {done.made:%Y-%m-%d %H:%M} UTC, by "
        f"{escape(done.who)}. Rows that somebody changed since stay as they are.",
        on_click=told(_undo),
        args=(opened, done.entry),
    )


def _undo(opened: Opened, entry: int) -> None:
    done = undo(opened.project, entry, author=reviewer_name())
    say(f"{plural(done.lines)} are again what they were before.")


def _of_another(opened: Opened, queue: Queue) -> None:
    """An adjudicator's queue acts through the one whose rows it settles."""
    other = next((one for one in queues(opened.project) if one.queue == queue.adjudicates), None)
    if other is None:
        return
    st.markdown(
        f"The verdicts of this queue settle **{escape(other.name)}**: act on them there, by the "
        "rule “adjudicated”."
    )
    st.button(
        "Open it",
        key="verdicts_other",
        icon=":material/play_arrow:",
        on_click=open_queue,
        args=(other.queue,),
    )
