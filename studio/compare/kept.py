"""What takes long is computed by a job and kept: measures of two sets, stability of a selection.

The views show at once what takes no time, say what is being computed, and the rest when it is
there. What is kept is found by its content, so nothing that was computed is computed again.
"""

from __future__ import annotations

import math

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from deita_core.jobs.compare_sets import (
    measures_key,
    read_measured,
    read_stability,
    stability_key,
)
from deita_core.jobs.kind import JobSpec
from deita_core.jobs.kinds import MeasuresSpec, StabilitySpec
from deita_core.progress import finish
from deita_core.project.measured import kept_measures, kept_stability
from deita_core.project.selections import SavedSelection
from deita_core.selection.analysis.compare import Figure, Measured, SetComparison, measure_sets
from deita_core.selection.analysis.stability import Survival
from studio.compare.sets import Pair, Side
from studio.shell.jobs_panel import active_job, again, ask_once
from studio.shell.resources import Opened, arrays, errors_shown
from studio.shell.text import escape


def measures_view(
    opened: Opened, pair: Pair, found: SetComparison, scores: NDArray[np.float64]
) -> None:
    """Means, diversity, coverage, Vendi and NovelSum of both sets and of random rows."""
    key = measures_key(opened.project, arrays(opened), found, scores)
    kept = kept_measures(opened.project, key)
    if kept is None:
        measured = finish(measure_sets(arrays(opened), found, scores, quick=True))
    else:
        measured = read_measured(kept.found)
    _measures_table(pair, measured)
    if measured.waiting:
        st.caption(f"Takes longer: {escape(', '.join(measured.waiting))}.")
        spec = MeasuresSpec(a=pair[0].key, b=pair[1].key)
        ask_once(opened, spec, key)
        if not active_job(opened, spec.kind):
            again(opened, spec, "Compute")


def _measures_table(pair: Pair, measured: Measured) -> None:
    draws, chance = len(measured.chance), sorted({f"{one:.2f}" for one in measured.chance})
    between = " to ".join(dict.fromkeys((chance[0], chance[-1])))
    st.caption(
        f"Random: mean ± standard deviation of {draws} seeded draws with as many rows as the "
        f"smaller set; by chance the Jaccard index of A is {between}. "
        "Distances are cosine distances."
    )
    sides = {
        name: {one.label: number_text(one.a if name == "A" else one.b) for one in measured.figures}
        for name, side in zip(("A", "B"), pair, strict=True)
        if not side.is_random  # the draws say more than the first of them
    }
    table = {
        **sides,
        "random": {one.label: _random(one) for one in measured.figures},
        "better": {one.label: one.better or "–" for one in measured.figures},
    }
    st.table(table, alt="Measures of both sets and of random rows")


def number_text(value: float | None) -> str:
    """A figure of any size, short."""
    if value is None or math.isnan(value):
        return "not known"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"


def _random(one: Figure) -> str:
    if not one.random_sd:
        return number_text(one.random_mean)
    spread = f"{one.random_sd:,.0f}" if one.random_sd >= 100 else f"{one.random_sd:.2g}"
    return f"{number_text(one.random_mean)} ± {spread}"


def stability_view(opened: Opened, pair: Pair) -> None:
    """How much of each saved selection is left under other choices."""
    sides = {side.rows.name: side for side in pair if side.saved is not None}
    if not sides:
        st.caption("Only saved selections have a rule that can be changed.")
    missing: list[tuple[JobSpec, str]] = []
    for side in sides.values():
        if side.saved is not None:
            with errors_shown():
                missing += _stability(opened, side, side.saved)
    for spec, _ in missing:
        if active_job(opened, spec.kind):  # draws those of all selections
            return
    for spec, label in missing:
        again(opened, spec, label)


def _stability(opened: Opened, side: Side, saved: SavedSelection) -> list[tuple[JobSpec, str]]:
    """Show what is kept; the job that is missing, if any, with what its button says."""
    st.markdown(f"**{escape(saved.name)}**: share of its rows that is selected again")
    if not len(side.rows.rows):
        st.caption("It holds no rows: there is nothing to try.")
        return []
    key = stability_key(opened.project, saved, arrays(opened), side.rows.rows)
    kept = kept_stability(opened.project, saved.selection)
    spec = StabilitySpec(selection=saved.selection)
    if kept is None:
        st.caption("The rule is applied again with one thing changed at a time.")
        ask_once(opened, spec, key)
        return [(spec, f"Try {escape(saved.name)}")]
    stability_table(saved.name, read_stability(kept.found))
    if kept.key == key:
        return []
    when = f"{kept.made:%Y-%m-%d %H:%M}"
    st.caption(f"As of {when} UTC: scores, pool, vectors or clusters have changed since.")
    return [(spec, f"Try {escape(saved.name)} again")]


def stability_table(name: str, found: tuple[Survival, ...]) -> None:
    """What is left under each change; why one could not be tried stands below."""
    table = {
        "survives": {escape(one.change): _survives(one) for one in found},
        "rows": {escape(one.change): f"{one.survived:,} of {one.rows:,}" for one in found},
    }
    st.table(table, alt=f"Stability of {name}")
    for one in found:
        if one.reason:
            st.caption(f"{escape(one.change)}: {escape(one.reason)}.")


def _survives(one: Survival) -> str:
    return "not tried" if one.reason else f"{one.share:.1%}"
