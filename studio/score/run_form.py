"""Run a model: choose one for each dimension, try it on a few rows, then run it on the rest."""

from __future__ import annotations

import pandas as pd
import streamlit as st

from deita_core.jobs.chains import import_scores_spec, score_chain
from deita_core.jobs.kind import JobSpec
from deita_core.jobs.kinds import EmbedSpec, GraphSpec, MapSpec, PilotSpec
from deita_core.jobs.kinds.pilot import PilotFacts
from deita_core.models.options import ModelOptions
from deita_core.project.browse import ProjectInfo
from deita_core.project.job_log import jobs
from deita_core.project.models import activate_model, count_undone, pilots
from deita_core.project.scores import ScorerRecord
from deita_core.project.vectors import EmbedderRecord
from deita_core.scoring.protocol import DIMENSIONS
from studio.score.model_choice import EMBEDDING, ModelChoice, model_choice
from studio.score.scorer_table import LEVELS, extremes, models_of, number_of
from studio.shell.person import closed_to_role
from studio.shell.resources import Opened
from studio.shell.text import duration, escape, file_size, plural

PILOT_ROWS = 200


def run_form(opened: Opened, found: ProjectInfo) -> None:
    """Draw the choices, the pilots and the buttons that start them."""
    if closed_to_role("curator", "Running models"):
        return
    st.caption(
        "Choose what is to give the scores and the embeddings. Nothing runs before you say so, "
        "and what other models gave stays."
    )
    choices: list[ModelChoice] = []
    for place, dimension in zip(st.columns(3), (*DIMENSIONS, EMBEDDING), strict=True):
        with place:
            choices.append(model_choice(opened, dimension, choices[0] if choices else None))
    chosen = [choice for choice in choices if choice.runs]
    tried = [p for c in chosen if c.kind.slow and (p := _latest_pilot(opened, c)) is not None]
    blocked = any(choice.error for choice in choices) or not chosen
    left = {pilot.dimension: _left(opened, pilot) for pilot in tried}
    done = bool(chosen) and len(left) == len(chosen) and not any(left.values())
    price = None
    if done:
        _done(opened, tried)
    else:
        price = _buttons(opened, found, chosen, left, blocked=blocked)
    if tried and (not done or not any(pilot.left_rows for pilot in tried)):
        _pilots(opened, tried, price)


def _latest_pilot(opened: Opened, choice: ModelChoice) -> PilotFacts | None:
    """What the latest pilot of this model with these settings found out."""
    options = choice.options.model_dump(mode="json", exclude_none=True)
    done = (r for r in jobs(opened.project, 200) if r.kind == "pilot" and r.state == "done")
    ran = (
        (given["dimension"], given["model"], given.get("options") or {})
        for given in (record.parameters for record in done)
    )
    if (choice.dimension, choice.name, options) not in ran:
        return None
    for record in pilots(opened.project):
        if record.model == choice.name and record.facts["dimension"] == choice.dimension:
            return PilotFacts.model_validate(record.facts)
    return None


def _record(opened: Opened, pilot: PilotFacts) -> ScorerRecord | EmbedderRecord | None:
    """The model as the project knows it: the latest of that id."""
    known = models_of(opened, pilot.dimension)
    return next((r for r in reversed(known) if r.model == pilot.model), None)


def _left(opened: Opened, pilot: PilotFacts) -> int:
    """Rows that a model which had a pilot has not done yet."""
    record = _record(opened, pilot)
    if record is None:
        return pilot.left_rows
    return count_undone(opened.project, {pilot.dimension: number_of(record)})


def _done(opened: Opened, tried: list[PilotFacts]) -> None:
    """Nothing is left to run: say so, and offer what is not in use."""
    st.success(
        "All rows are done by this choice. See **Models** and **Agreement**, above.",
        icon=":material/check_circle:",
    )
    records = [_record(opened, pilot) for pilot in tried]
    unused = [record for record in records if record is not None and not record.active]
    if unused and st.button("Use for selection", type="primary", icon=":material/check:"):
        for record in unused:
            activate_model(opened.project, number_of(record))
        st.rerun()


def _pilots(opened: Opened, tried: list[PilotFacts], price: float | None) -> None:
    """What pilots said, side by side, and below it what they scored lowest and highest."""
    st.subheader("Pilot")
    table = pd.DataFrame([_line(pilot, price) for pilot in tried])
    st.dataframe(table, hide_index=True, key="pilot_table", alt="What the pilots measured")
    if len(tried) > 1:
        seconds = sum(pilot.left_seconds for pilot in tried)
        cost = f", which costs {price * seconds / 3600:,.2f}" if price else ""
        st.caption(f"One after the other: {duration(seconds)} for the rest{cost}.")
    for pilot in tried:
        for said in pilot.health:
            st.markdown(f"{LEVELS[pilot.health_level]} **{pilot.dimension}**: {escape(said)}")
    scored = [pilot for pilot in tried if pilot.dimension != EMBEDDING]
    for place, pilot in zip(st.columns(len(scored)) if scored else [], scored, strict=True):
        scorer, dimension = _record(opened, pilot), pilot.dimension
        if scorer is not None:
            with place:
                st.markdown(f"**{dimension.capitalize()}**: lowest and highest so far")
                extremes(opened, number_of(scorer), key=f"pilot_{dimension}")


def _line(facts: PilotFacts, price: float | None) -> dict[str, object]:
    line: dict[str, object] = {
        "": facts.dimension,
        "tried": f"{facts.rows:,} rows",
        "rows a second": _figures(facts.rows_per_second),
        "tokens a second": f"about {_figures(facts.tokens_per_second)}",
        "loading": duration(facts.load_seconds),
        "memory": file_size(facts.gpu_memory or facts.memory or 0),
        "left": f"{facts.left_rows:,} rows",
        "time for the rest": duration(facts.left_seconds),
    }
    if price:
        line["cost"] = f"{facts.cost(price):,.2f}"
    return line


def _figures(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


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
        specs = (
            PilotSpec(dimension=c.dimension, model=c.name, options=c.options, rows=PILOT_ROWS)
            for c in untried
        )
        # Each by itself: a model that cannot be loaded must not stop the others.
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


def _runs(choices: list[ModelChoice], *, activate: bool) -> list[JobSpec]:
    by = {choice.dimension: choice for choice in choices}
    columns = [by[d].column or None if d in by else None for d in DIMENSIONS]
    names = [by[d].name or None if d in by else None for d in DIMENSIONS]
    chain: list[JobSpec] = []
    if any(columns):
        chain.append(import_scores_spec(*columns, activate=activate))
    if any(names):
        scoring = [by[d] for d in DIMENSIONS if d in by]
        options = {c.dimension: c.options for c in scoring if c.options != ModelOptions()}
        chain += score_chain(*names, options=options, activate=activate)
    embedder = by.get(EMBEDDING)
    if embedder is not None and embedder.name:
        embed = EmbedSpec(embedder=embedder.name, options=embedder.options)
        chain += [embed, GraphSpec(), MapSpec()]
    return chain
