"""Runs of evolving: which one is shown, how far it is, going on with it, and what it is for."""

from __future__ import annotations

from functools import partial
from typing import Any

import streamlit as st

from deita_core.errors import DeitaError
from deita_core.jobs.evolved_rows import Which, join_pool
from deita_core.jobs.kinds import EvolveSpec
from deita_core.models.spending import SpendingLimit
from deita_core.people import may
from deita_core.project.evolutions import (
    Evolution,
    cost_left,
    eliminations,
    evolutions,
    evolutions_version,
)
from deita_core.project.job_log import jobs
from studio.shell import state
from studio.shell.jobs_panel import active_job
from studio.shell.person import closed_to_role, told
from studio.shell.resources import Opened, say
from studio.shell.text import escape, plural
from studio.train.sources import open_training

NEW = "new"
_JOBS_SEARCHED = 500


def _as_of_now(opened: Opened) -> tuple[str, int]:
    return opened.key, evolutions_version(opened.project)


@st.cache_data(show_spinner=False, max_entries=8, hash_funcs={Opened: _as_of_now})
def known_runs(opened: Opened) -> list[Evolution]:
    """Every run of the project, newest first."""
    return evolutions(opened.project)


def chosen_run(opened: Opened) -> Evolution | None:
    """Draw the choice of a run; None where a new one is to be made."""
    found = {str(one.evolution): one for one in known_runs(opened)}
    _follow(found)
    if not found:
        st.session_state.pop(state.EVOLUTION, None)
        return None
    labels = {key: f"{one.name} · {one.kind}" for key, one in found.items()}
    with st.container(horizontal=True, vertical_alignment="bottom"):
        key = state.bound_choice(
            "Run", {**labels, NEW: "New run …"}, key=state.EVOLUTION, kind="list", show_label=False
        )
    return found.get(key)


def follow(name: str) -> None:
    """Show the run of this name as soon as it has begun."""
    st.session_state[state.NEXT_RUN] = name


def _follow(found: dict[str, Evolution]) -> None:
    wanted = st.session_state.get(state.NEXT_RUN)
    key = next((key for key, one in found.items() if one.name == wanted), None)
    if key is not None:
        del st.session_state[state.NEXT_RUN]
        st.session_state[state.EVOLUTION] = key
        st.session_state.pop(state.CHAIN, None)


def run_header(opened: Opened, run: Evolution) -> None:
    """What the run has come to, its progress while it works, and how it goes on."""
    st.markdown(f"#### {escape(_headline(run))}.")
    made = f"{run.made:%Y-%m-%d %H:%M} UTC{f' by {run.author}' if run.author else ''}"
    st.caption(
        f"{escape(run.model)} · prompts {escape(run.prompts)} · begun {escape(made)} · "
        f"{run.requests:,} requests, {run.prompt_tokens + run.answer_tokens:,} tokens paid"
        f"{_unfit(run)}"
    )
    if active_job(opened, EvolveSpec.kind):
        return
    if run.done < run.chains:
        _go_on(opened, run)
    else:
        _ask_again(opened, run)


def _headline(run: Evolution) -> str:
    ranked = f", {run.ranked:,} ranked" if run.ranked else ""
    return (
        f"{run.done:,} of {plural(run.chains, 'chain', 'chains')} done, {run.complete:,} of them "
        f"to the last round{ranked}; {run.kept:,} variants kept, {run.eliminated:,} eliminated"
    )


def _unfit(run: Evolution) -> str:
    if not run.unfit:
        return ""
    count = sum(run.unfit.values())
    why = ", ".join(f"{number:,}: {reason}" for reason, number in run.unfit.items())
    return f" · {count:,} rows passed over as seeds ({escape(why)})"


def _last_spec(opened: Opened, run: Evolution) -> EvolveSpec | None:
    """The job that worked on the run last."""
    for record in jobs(opened.project, _JOBS_SEARCHED):
        if record.kind == EvolveSpec.kind and record.parameters.get("name") == run.name:
            try:
                return EvolveSpec.read(record.parameters)
            except DeitaError:
                return None
    return None


def _go_on(opened: Opened, run: Evolution) -> None:
    """What the rest will cost, and the button for it."""
    spec = _last_spec(opened, run)
    if spec is None:
        st.caption("The job that began it is not known any more: go on with it by `deita evolve`.")
        return
    limit = spec.limit
    left = cost_left(
        opened.project, run.evolution, price_in=limit.price_in, price_out=limit.price_out
    )
    with st.container(border=True, horizontal=True, vertical_alignment="bottom"):
        sentence = left.sentence()
        st.markdown(f"{escape(sentence[0].upper() + sentence[1:])}.", width="stretch")
        if closed_to_role("curator", "Going on"):
            return
        tokens = st.number_input(
            "Most tokens",
            min_value=1,
            value=limit.most_tokens,
            step=1000,
            placeholder="no limit",
            key=f"evolve_tokens_{run.evolution}",
            width=170,
            help="Of the whole run, what is spent already included. It stops before it goes over.",
        )
        st.button(
            f"Run the remaining {plural(left.chains, 'chain', 'chains')}",
            type="primary",
            icon=":material/play_arrow:",
            disabled=opened.runner.busy,
            on_click=told(_submit_rest),
            args=(opened, spec, tokens),
        )


def _submit_rest(opened: Opened, spec: EvolveSpec, tokens: int | None) -> None:
    given: dict[str, Any] = {**spec.limit.model_dump(), "most_tokens": tokens}
    limit = SpendingLimit.model_validate(given)
    opened.runner.submit([spec.model_copy(update={"first": None, "limit": limit})])


def _ask_again(opened: Opened, run: Evolution) -> None:
    """Offer to ask once more for what got no answer; nothing where all was answered."""
    failed = sum(
        one.variants
        for one in eliminations(opened.project, run.evolution)
        if one.reason == "failed"
    )
    spec = _last_spec(opened, run) if failed and may("curator") else None
    if spec is None:
        return
    with st.container(border=True, horizontal=True, vertical_alignment="center"):
        got = plural(failed, "request got", "requests got")
        st.markdown(f"{got} no answer, which ended chains early.", width="stretch")
        st.button(
            "Ask again",
            type="primary",
            icon=":material/refresh:",
            disabled=opened.runner.busy,
            on_click=told(opened.runner.submit),
            args=([spec.model_copy(update={"first": None, "again": True})],),
        )


def eliminated_view(opened: Opened, run: Evolution) -> None:
    """Attempts that were eliminated, by reason and method; a button shows their chains."""
    found = eliminations(opened.project, run.evolution)
    if not found:
        st.info("No attempt was eliminated so far.", icon=":material/check_circle:")
        return
    methods = sorted({one.method or "seed" for one in found})
    reasons: dict[str, dict[str, int]] = {}
    for one in found:
        reasons.setdefault(one.reason, {})[one.method or "seed"] = one.variants
    left, right = st.columns([3, 2], gap="medium")
    with left:
        table = {
            method: {r: str(of.get(method, "–")) for r, of in reasons.items()} for method in methods
        }
        table["all"] = {reason: f"{sum(of.values()):,}" for reason, of in reasons.items()}
        st.table(table, alt="Eliminated attempts by reason and method")
        st.caption(
            "A round whose attempt is eliminated is tried once more with another method; when that "
            "fails as well the chain ends there, and nothing is made up."
        )
    with right:
        for reason, of in reasons.items():
            st.button(
                f"Chains with: {reason} ({sum(of.values()):,})",
                key=f"evolve_reason_{reason}",
                type="tertiary",
                icon=":material/filter_alt:",
                on_click=st.session_state.update,
                args=({"evolve_reason": reason, state.EVOLVE_VIEW: "chains"},),
            )


def use_view(opened: Opened, run: Evolution) -> None:
    """Hand the run over: to training, and into the pool."""
    left, right = st.columns(2, gap="medium")
    with left, st.container(border=True):
        st.markdown("**Train a scorer on it**")
        st.caption(
            f"{plural(run.ranked, 'ranked chain', 'ranked chains')} "
            f"become{'s' if run.ranked == 1 else ''} labelled "
            f"turns for a scorer of {run.kind}; ranks corrected by hand count. Variants of one "
            "seed are never split between training and measuring."
        )
        st.button(
            "Go to Train",
            type="primary",
            icon=":material/model_training:",
            disabled=not run.ranked,
            help=None if run.ranked else "No chain has ranks yet.",
            on_click=open_training,
            args=(run,),
        )
    with right, st.container(border=True):
        st.markdown("**Add variants to the pool**")
        st.caption(
            "As rows of a file of their own. Seed, round, method and model stay with each of them, "
            "in the row's original record and in exports. Rows without a response get no quality."
        )
        if closed_to_role("curator", "Adding rows"):
            return
        which = st.segmented_control(
            "Which",
            ["last", "all"],
            default="last",
            required=True,
            format_func={"last": "The last of each chain", "all": "All that were kept"}.__getitem__,
            key="evolve_join",
            label_visibility="collapsed",
        )
        st.button(
            "Add to the pool",
            icon=":material/add:",
            disabled=not run.kept or opened.runner.busy or not may("curator"),
            on_click=told(partial(_join, opened, run, "all" if which == "all" else "last")),
        )


def _join(opened: Opened, run: Evolution, which: Which) -> None:
    joined = join_pool(opened.project, run, which)
    if joined.spec is None:
        say(f"The {plural(joined.rows, 'variant', 'variants')} joined the pool before.")
        return
    opened.runner.submit([joined.spec])
    say(f"{plural(joined.rows, 'variant joins', 'variants join')} the pool.")
