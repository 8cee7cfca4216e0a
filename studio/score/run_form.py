"""Run a model: choose one for each dimension, try it on a few rows, then run it on the rest."""

from __future__ import annotations

import streamlit as st

from deita_core.jobs.chains import import_scores_spec, pilot_chain, score_chain
from deita_core.jobs.kind import JobSpec
from deita_core.jobs.kinds import EmbedSpec, GraphSpec, MapSpec
from deita_core.models.options import ModelOptions
from deita_core.project.browse import ProjectInfo
from deita_core.project.models import activate_model, count_undone
from deita_core.scoring.protocol import DIMENSIONS
from studio.score.model_choice import EMBEDDING, ModelChoice, model_choice
from studio.score.pilot import Pilot, latest_pilot, pilot_view
from studio.score.scorer_table import number_of
from studio.shell.resources import Opened
from studio.shell.text import escape, plural

PILOT_ROWS = 200


def run_form(opened: Opened, found: ProjectInfo) -> None:
    """Draw the choices, the pilots and the buttons that start them."""
    st.caption(
        "Choose what is to give the scores and the embeddings. Nothing runs before you say so, "
        "and what other models gave stays."
    )
    choices: list[ModelChoice] = []
    for place, dimension in zip(st.columns(3), (*DIMENSIONS, EMBEDDING), strict=True):
        with place:
            choices.append(model_choice(opened, dimension, choices[0] if choices else None))
    chosen = [choice for choice in choices if choice.runs]
    slow = [choice for choice in chosen if choice.kind.slow]
    pilots = [pilot for choice in slow if (pilot := latest_pilot(opened, choice)) is not None]
    blocked = any(choice.error for choice in choices) or not chosen
    left = {pilot.choice.dimension: _left(opened, pilot) for pilot in pilots}
    done = bool(chosen) and len(left) == len(chosen) and not any(left.values())
    if done:
        _done(opened, pilots)
        price = None
    else:
        price = _buttons(opened, found, chosen, left, blocked=blocked)
    if pilots and (not done or not any(pilot.facts.left_rows for pilot in pilots)):
        pilot_view(opened, pilots, price)


def _done(opened: Opened, pilots: list[Pilot]) -> None:
    """Nothing is left to run: say so, and offer what is not in use."""
    st.success(
        "All rows are done by this choice. See **Models** and **Agreement**, above.",
        icon=":material/check_circle:",
    )
    records = [pilot.record(opened) for pilot in pilots]
    unused = [record for record in records if record is not None and not record.active]
    if unused and st.button("Use for selection", type="primary", icon=":material/check:"):
        for record in unused:
            activate_model(opened.project, number_of(record))
        st.rerun()


def _left(opened: Opened, pilot: Pilot) -> int:
    """Rows that a model which had a pilot has not done yet."""
    record = pilot.record(opened)
    if record is None:
        return pilot.facts.left_rows
    return count_undone(opened.project, {pilot.facts.dimension: number_of(record)})


def _price() -> float | None:
    value = st.number_input(
        "Price per hour",
        min_value=0.0,
        value=None,
        step=0.5,
        placeholder="none",
        key="price",
        persist_state="session",
        width=210,
        help="In any currency; with it the pilot tells what the rest costs.",
    )
    return None if not value else float(value)


def _buttons(
    opened: Opened,
    found: ProjectInfo,
    chosen: list[ModelChoice],
    left: dict[str, int],
    *,
    blocked: bool,
) -> float | None:
    """Price, pilot, run; returns the price per hour."""
    untried = [c for c in chosen if c.kind.slow and c.dimension not in left]
    busy = opened.runner.busy
    price, activate = None, True
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if any(choice.kind.slow for choice in chosen):
            price = _price()
        try_first = bool(untried) and st.button(
            f"Try on {min(PILOT_ROWS, found.imported):,} rows first",
            type="primary",
            icon=":material/science:",
            disabled=blocked or busy,
            help="Says how fast it is, what the rest takes and costs, and whether its scores look "
            "right. What it scores is kept.",
        )
        run = st.button(
            _run_label(found, chosen, left),
            type="secondary" if untried else "primary",
            icon=":material/play_arrow:",
            disabled=blocked or busy,
        )
    if any(choice.dimension != EMBEDDING for choice in chosen):
        baseline = any(choice.kind.baseline for choice in chosen)
        activate = st.checkbox(
            "Use these scores for selection once they are done",
            value=not baseline,
            key=f"activate_{baseline}",
            help="Otherwise they only stand beside the others; choose later under Models.",
        )
    if busy and chosen:
        st.caption("Something is running: wait for it, or cancel it.")
    if try_first:
        # Each by itself: a model that cannot be loaded must not stop the others.
        names = {c.dimension: c.name for c in untried}
        specs = pilot_chain(
            *(names.get(dimension) for dimension in (*DIMENSIONS, EMBEDDING)),
            options=_options(untried),
            rows=PILOT_ROWS,
        )
        _start(opened, untried, [[spec] for spec in specs])
    elif run:
        _start(opened, chosen, [_runs(chosen, activate=activate)])
    return price


def _run_label(found: ProjectInfo, chosen: list[ModelChoice], left: dict[str, int]) -> str:
    numbers = {left.get(choice.dimension, found.imported) for choice in chosen}
    if left and len(numbers) > 1:
        return "Run on the rest"
    count = plural(numbers.pop() if left else found.imported, "conversation", "conversations")
    return f"Run on the remaining {count}" if left else f"Run on all {count}"


def _start(opened: Opened, choices: list[ModelChoice], chains: list[list[JobSpec]]) -> None:
    """Look thoroughly (tokenizer, hub), then queue the jobs, chain by chain."""
    with st.spinner("Checking the models"):
        errors = {c.dimension: error for c in choices if c.name and (error := c.check())}
    if errors:
        for dimension, error in errors.items():
            st.error(f"**{dimension}**: {escape(error)}")
        return
    for chain in chains:
        opened.runner.submit(chain)
    st.rerun()


def _options(choices: list[ModelChoice]) -> dict[str, ModelOptions]:
    return {c.dimension: c.options for c in choices if c.options != ModelOptions()}


def _runs(choices: list[ModelChoice], *, activate: bool) -> list[JobSpec]:
    by = {choice.dimension: choice for choice in choices}
    columns = [by[d].column or None if d in by else None for d in DIMENSIONS]
    names = [by[d].name or None if d in by else None for d in DIMENSIONS]
    chain: list[JobSpec] = []
    if any(columns):
        chain.append(import_scores_spec(*columns, activate=activate))
    if any(names):
        options = _options([choice for choice in choices if choice.dimension != EMBEDDING])
        chain += score_chain(*names, options=options, activate=activate)
    embedder = by.get(EMBEDDING)
    if embedder is not None and embedder.name:
        embed = EmbedSpec(embedder=embedder.name, options=embedder.options)
        chain += [embed, GraphSpec(), MapSpec()]
    return chain
