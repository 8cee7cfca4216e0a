"""Run a model: choose one for each dimension, try it on a few rows, then run it on the rest."""

from __future__ import annotations

import streamlit as st

from deita_core.project.summary import ProjectInfo
from deita_core.scoring.options import ModelOptions
from deita_core.steps import (
    Step,
    embed_step,
    graph_step,
    import_scores_step,
    map_step,
    pilot_steps,
    score_steps,
)
from pages.parts import words
from pages.parts.model_choice import EMBEDDING, Choice, model_choice
from pages.parts.pilot_view import Tried, pilot_view, tried
from pages.parts.resources import Opened
from pages.parts.safe_text import escape

PILOT_ROWS = 200
_DIMENSIONS = ("complexity", "quality", EMBEDDING)


def run_form(opened: Opened, found: ProjectInfo) -> None:
    """Draw the whole of it."""
    st.caption(
        "Choose what is to give the scores and the embeddings. Nothing runs before you say so, "
        "and what other models gave stays."
    )
    choices = []
    for place, dimension in zip(st.columns(3), _DIMENSIONS, strict=True):
        with place:
            choices.append(model_choice(opened, dimension))
    chosen = [choice for choice in choices if choice.runs]
    slow = [choice for choice in chosen if choice.kind.slow]
    pilots = [pilot for choice in slow if (pilot := tried(opened, choice)) is not None]
    price = _price() if slow else None
    blocked = any(choice.error for choice in choices) or not chosen
    _buttons(opened, found, chosen, pilots, blocked=blocked)
    if pilots:
        pilot_view(opened, pilots, price)


def _price() -> float | None:
    value = st.number_input(
        "Price of this machine per hour",
        min_value=0.0,
        value=None,
        step=0.5,
        placeholder="none: no cost is shown",
        key="price",
        persist_state="session",
        width=260,
        help="In any currency; with it the pilot tells what the rest costs.",
    )
    return None if not value else float(value)


def _buttons(
    opened: Opened, found: ProjectInfo, chosen: list[Choice], pilots: list[Tried], *, blocked: bool
) -> None:
    untried = [
        choice
        for choice in chosen
        if choice.kind.slow and choice not in [pilot.choice for pilot in pilots]
    ]
    activate = True
    if any(choice.dimension != EMBEDDING for choice in chosen):
        baseline = any(choice.kind.baseline for choice in chosen)
        activate = st.checkbox(
            "Use these scores for selection from now on",
            value=not baseline,
            key=f"activate_{baseline}",
            help="Otherwise they only stand beside the others; choose later under Models.",
        )
    busy = opened.runner.busy
    with st.container(horizontal=True, vertical_alignment="center"):
        if untried and st.button(
            f"Try on {min(PILOT_ROWS, found.imported):,} rows first",
            type="primary",
            icon=":material/science:",
            disabled=blocked or busy,
            help="Says how fast it is, what the rest takes and costs, and whether its scores look "
            "right. What it scores is kept.",
        ):
            _start(opened, untried, _pilots(untried))
        if st.button(
            _run_label(found, chosen, pilots),
            type="secondary" if untried else "primary",
            icon=":material/play_arrow:",
            disabled=blocked or busy,
        ):
            _start(opened, chosen, _runs(chosen, activate=activate))
        if busy:
            st.caption("Something is running: wait, or cancel it.")
        elif not chosen:
            st.caption("Choose a model above.")
        elif untried:
            st.caption("A wrong model shows in the first rows, before hours are spent.")


def _run_label(found: ProjectInfo, chosen: list[Choice], pilots: list[Tried]) -> str:
    left = {pilot.choice.dimension: pilot.facts.left_rows for pilot in pilots}
    numbers = {left.get(choice.dimension, found.imported) for choice in chosen}
    if pilots and len(numbers) == 1:
        count = words.rows(numbers.pop(), "conversation", "conversations")
        return f"Run on the remaining {count}"
    if pilots:
        return "Run on the rest"
    return f"Run on all {words.rows(found.imported, 'conversation', 'conversations')}"


def _start(opened: Opened, choices: list[Choice], steps: list[Step]) -> None:
    """Look thoroughly (tokenizer, hub), then queue the steps."""
    with st.spinner("Checking the models"):
        errors = {c.dimension: error for c in choices if c.name and (error := c.check())}
    if errors:
        for dimension, error in errors.items():
            st.error(f"**{dimension}**: {escape(error)}")
        return
    opened.runner.submit(steps)
    st.rerun()


def _pilots(choices: list[Choice]) -> list[Step]:
    """Each by itself, so that a model that cannot be loaded does not stop the others."""
    names = {c.dimension: c.name for c in choices}
    return pilot_steps(
        names.get("complexity"),
        names.get("quality"),
        names.get(EMBEDDING),
        options=_options(choices),
        rows=PILOT_ROWS,
    )


def _options(choices: list[Choice]) -> dict[str, ModelOptions]:
    return {c.dimension: c.options for c in choices if c.options != ModelOptions()}


def _runs(choices: list[Choice], *, activate: bool) -> list[Step]:
    by = {choice.dimension: choice for choice in choices}
    columns = {d: c.column for d, c in by.items() if c.column}
    names = {d: c.name for d, c in by.items() if c.name and d != EMBEDDING}
    steps: list[Step] = []
    if columns:
        steps.append(
            import_scores_step(columns.get("complexity"), columns.get("quality"), activate=activate)
        )
    if names:
        steps += score_steps(
            names.get("complexity"),
            names.get("quality"),
            options=_options([by[d] for d in names]),
            activate=activate,
        )
    if EMBEDDING in by and by[EMBEDDING].name:
        embedder = by[EMBEDDING]
        options = embedder.options if embedder.options != ModelOptions() else None
        steps += [embed_step(embedder.name, options), graph_step(), map_step()]
    return steps
