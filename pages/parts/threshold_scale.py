"""The threshold: its slider, and the pool it is a threshold of behind it."""

from __future__ import annotations

import numpy as np
import streamlit as st

from deita_core.selection.presets import PRESETS, Preset
from deita_core.selection.rule import SelectionRule, similarity_text
from deita_core.selection.status import NEAR_DUPLICATE
from deita_core.selection.strategies import find_strategy
from pages.parts import state
from pages.parts.chart_data import Histogram
from pages.parts.colours import INK, OTHER, PLAIN, STATUS_STYLES
from pages.parts.map_payload import MapGroup
from pages.parts.resources import Opened, say
from pages.parts.rule_state import set_threshold
from pages.parts.selecting import Scale, pool_input, scale
from pages.parts.small_charts import Mark, Panel, small_charts

_GROUPS = (
    MapGroup("nearest row is farther", PLAIN),
    MapGroup("nearest row is nearer than the threshold", STATUS_STYLES[NEAR_DUPLICATE].shade),
)


def threshold_control(opened: Opened) -> float:
    """Slider, similarity and distance, the distribution behind it, suggestion and presets."""
    st.markdown(
        ":small[Threshold (cosine similarity)]",
        help="A row is dropped when its similarity to a kept, better row is above this.",
    )
    above = st.container()  # filled afterwards: only the slider knows a threshold from the address
    known = scale(opened)
    value = st.slider(
        "Threshold (cosine similarity)",
        0.0,
        1.0,
        value=0.8,
        step=0.01,
        key=state.THRESHOLD,
        bind="query-params",
        label_visibility="collapsed",
    )
    if known is not None:
        with above:
            _draw(known, float(value))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(similarity_text(value), width="content")
        if known is not None:
            start = known.start
            st.button(
                f"Suggested start: {start.threshold:g}",
                icon=":material/lightbulb:",
                type="tertiary",
                help=start.reason[:1].upper() + start.reason[1:] + ".",
                on_click=set_threshold,
                args=(start.threshold,),
            )
        _presets()
    return float(value)


def _draw(known: Scale, threshold: float) -> None:
    """Rows by the similarity to their nearest other row, on the axis of the slider."""
    found, pool = known.histogram, known.profile
    near = found.edges[:-1] >= threshold - 1e-9
    counts = np.stack([np.where(near, 0, found.rows), np.where(near, found.rows, 0)])
    bars = Histogram(found.edges, counts.astype(np.int64), np.zeros(2, np.int64))
    share = pool.share_above(max(threshold, pool.floor))
    marks = [Mark(threshold, f"{share:.0%} of rows have a nearer one", INK)]
    if pool.floor > 0:
        marks.append(Mark(pool.floor, "", OTHER, dashed=True))
    small_charts(
        [
            Panel(
                "",
                "Rows by the similarity to their nearest other row, behind the threshold",
                bars=bars,
                marks=tuple(marks),
                extent=(0.0, 1.0),
                bare=True,
                pick=True,
                height=54,
            )
        ],
        _GROUPS,
        key="threshold_scale",
        on_pick=set_threshold_rounded,
    )


def set_threshold_rounded(threshold: float) -> None:
    """Move the slider to the nearest hundredth; for a callback."""
    set_threshold(round(threshold, 2))


def _presets() -> None:
    with st.popover("Presets", icon=":material/history_edu:", type="tertiary"):
        for preset in PRESETS:
            st.button(
                f"{preset.label}: similarity {preset.threshold:g}",
                key=f"preset-{preset.name}",
                on_click=_apply,
                args=(preset,),
            )
            st.caption(preset.explanation)


def _apply(preset: Preset) -> None:
    st.session_state[state.STRATEGY] = preset.strategy
    st.session_state[state.THRESHOLD] = preset.threshold
    st.session_state[state.COMPLEXITY_WEIGHT] = st.session_state[state.QUALITY_WEIGHT] = 1.0
    st.session_state[state.AGGREGATION] = "sum"


def graph_notice(opened: Opened, rule: SelectionRule) -> None:
    """Say when a rule cannot be read off the similarity graph, and offer to build it."""
    strategy = find_strategy(rule.strategy)
    if not (strategy.uses_threshold or strategy.needs_graph):
        return
    graph = pool_input(opened).graph
    if graph is not None and graph.serves(rule.threshold):
        return
    if graph is not None:
        st.caption(
            f":material/hourglass: Below similarity {graph.floor:.2f} the similarity graph knows "
            "nothing: every step is computed from the embeddings and takes longer."
        )
        return
    jobs = opened.runner.records(20)
    with st.container(horizontal=True, vertical_alignment="center"):
        if any(job.kind == "graph" and job.active for job in jobs):
            st.caption(":material/hub: The similarity graph is being built, see the side column.")
            return
        st.caption(
            ":material/hub: There is no similarity graph of these embeddings: steps of the "
            "threshold take longer, and the frontier and flip points are not known.",
            width="stretch",
        )
        if st.button("Build the graph", icon=":material/hub:"):
            opened.runner.submit([("graph", {})])
            say("The similarity graph is being built.")
            st.rerun()
