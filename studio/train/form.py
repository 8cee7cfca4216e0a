"""Train a scorer: what it is to score, labels, method; before it runs, what that comes to."""

from __future__ import annotations

from itertools import chain, count

import numpy as np
import streamlit as st

from deita_core.errors import DeitaError
from deita_core.jobs.kinds.train import TrainSpec
from deita_core.jobs.trained import trained_scorers
from deita_core.scoring.protocol import DIMENSIONS, Dimension
from deita_core.training.labels import LabelledTurn
from deita_core.training.split import split_turns
from studio.charts.charts import count_by_group
from studio.charts.colours import OTHER, PLAIN, MapGroup
from studio.charts.small_charts import Panel, small_charts
from studio.shell import state
from studio.shell.person import closed_to_role, told
from studio.shell.resources import Opened
from studio.shell.text import escape, plural
from studio.train.method import MethodChoice, method_choice
from studio.train.sources import LabelChoice, label_choice, sentence_of

_DIMENSIONS = {
    "complexity": "How hard the instruction is to carry out.",
    "quality": "How good the response to the instruction is.",
}
_GROUPS = (MapGroup("learnt from", PLAIN), MapGroup("held out", OTHER))
_HALF_POINTS = (0.75, 6.25)


def train_form(opened: Opened) -> None:
    """Draw the choices on the left, and on the right what they come to, with the start."""
    if closed_to_role("curator", "Training a scorer"):
        return
    left, right = st.columns([3, 2], gap="large")
    with left:
        names = {one: one.capitalize() for one in DIMENSIONS}
        dimension = state.bound_choice("It is to score", names, key=state.TRAIN_DIMENSION)
        st.caption(_DIMENSIONS[dimension])
        labels = label_choice(opened, dimension)
        if labels.error:
            st.error(escape(labels.error))
        method = method_choice()
        if method.error:
            st.error(escape(method.error))
    with right, st.container(border=True):
        _before(opened, dimension, labels, method)


def _before(
    opened: Opened, dimension: Dimension, labels: LabelChoice, method: MethodChoice
) -> None:
    """What the training will be, said before it runs."""
    st.markdown("**Before it runs**")
    if labels.found is None:
        st.caption("Choose labels: here stands how many there are, and how they are split.")
        return
    turns = labels.found.labels.turns
    st.markdown(sentence_of(labels.found))
    share, seed = _split_settings()
    try:
        learnt, held_out = split_turns(turns, share, seed)
    except DeitaError as error:
        st.error(escape(str(error)))
        return
    _split_shown(learnt, held_out)
    st.markdown(method.sentence(learnt))
    name, busy = _name(opened, dimension, method), opened.runner.busy
    st.button(
        "Train",
        type="primary",
        icon=":material/model_training:",
        disabled=busy or not method.complete or not name,
        key="train_start",
        on_click=_start,
        args=(opened, dimension, labels, method, name, share, seed),
    )
    if busy:
        st.caption("Something is running: wait for it, or cancel it.")


def _split_settings() -> tuple[float, int]:
    with st.popover("Split", icon=":material/call_split:"):
        percent = st.slider(
            "Held out",
            min_value=5,
            max_value=50,
            value=20,
            step=5,
            format="%d %%",
            key="train_held_out",
            persist_state="session",
            help="Of the groups. Variants of one seed stay together, so that the report is about "
            "instructions which the scorer never saw.",
        )
        seed = st.number_input(
            "Seed", min_value=0, value=1, step=1, key="train_seed", persist_state="session"
        )
    return percent / 100, int(seed)


def _split_shown(learnt: list[LabelledTurn], held_out: list[LabelledTurn]) -> None:
    first, second = (
        f"**{plural(len(part), 'turn', 'turns')}** of "
        f"{plural(len({turn.group for turn in part}), 'group', 'groups')}"
        for part in (learnt, held_out)
    )
    st.markdown(f"Learnt from: {first}. Held out, never seen: {second}.")
    scores = np.array([turn.score for turn in (*learnt, *held_out)])
    codes = np.repeat([0, 1], [len(learnt), len(held_out)])
    bars = count_by_group(scores, codes, 2, bins=11, extent=_HALF_POINTS)
    alt = "How many labels there are of each score, learnt from and held out"
    title, note = "Labels by score", "learnt from, and on top of them held out in grey"
    small_charts([Panel(title, alt, note, bars)], _GROUPS, key="train_spread")


def _name(opened: Opened, dimension: Dimension, method: MethodChoice) -> str:
    taken = {one.name for one in trained_scorers(opened.project)}
    base = f"{dimension}-{method.method}"
    names = chain([base], (f"{base}-{number}" for number in count(2)))
    free = next(name for name in names if name not in taken)
    # A key of its own for each suggestion: what was typed for another scorer is not taken over.
    return st.text_input("Name", free, max_chars=60, key=f"train_name_{free}").strip()


@told
def _start(
    opened: Opened,
    dimension: Dimension,
    labels: LabelChoice,
    method: MethodChoice,
    name: str,
    share: float,
    seed: int,
) -> None:
    """Queue the training, and turn to where its report will stand."""
    spec = TrainSpec(
        name=name,
        dimension=dimension,
        method=method.method,
        labels=labels.labels,
        run=labels.run,
        file=labels.file,
        queue=labels.queue,
        scale=labels.scale,
        held_out=share,
        seed=seed,
        llm=method.llm,
    )
    opened.runner.submit([spec])
    st.session_state[state.IN_TRAINING] = (opened.key, name)
    st.session_state[state.TRAIN_VIEW] = "scorers"
