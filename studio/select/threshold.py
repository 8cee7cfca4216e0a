"""The threshold: its slider with the pool behind it, presets, and the frontier to click into."""

from __future__ import annotations

import numpy as np
import streamlit as st

from deita_core.people import may
from deita_core.selection.analysis.thresholds import Frontier
from deita_core.selection.rule import PRESETS, Preset, SelectionRule, similarity_text
from deita_core.selection.status import KEPT, NEAR_DUPLICATE
from deita_core.selection.strategies import STRATEGIES, find_strategy
from studio.charts.charts import Histogram
from studio.charts.colours import CATEGORIES, INK, OTHER, PLAIN, STATUS_STYLES, MapGroup
from studio.charts.small_charts import Line, Mark, Panel, small_charts
from studio.select.cache import Scale, frontier_of, scale
from studio.shell import state
from studio.shell.resources import Opened, pool_input, say

_KEPT, _ALERT = STATUS_STYLES[KEPT].shade, STATUS_STYLES[NEAR_DUPLICATE].shade
_GROUPS = (
    MapGroup("nearest row is farther", PLAIN),
    MapGroup("nearest row is nearer than the threshold", _ALERT),
)


def threshold_control(opened: Opened) -> None:
    """Slider, similarity and distance, the distribution behind it, suggestion and presets."""
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
    with above:
        st.markdown(
            f":small[Threshold: {similarity_text(value)}]",
            help="A row is dropped when its similarity to a kept, better row is above this.",
        )
        if known is not None:
            _distribution(known, value)
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        if known is not None:
            start = known.start
            st.button(
                f"Suggested start: {start.threshold:g}",
                icon=":material/lightbulb:",
                type="tertiary",
                help=start.reason[:1].upper() + start.reason[1:] + ".",
                on_click=_set_threshold,
                args=(start.threshold,),
            )
        with st.popover("Presets", icon=":material/history_edu:", type="tertiary"):
            for preset in PRESETS:
                label = f"{preset.label}: similarity {preset.threshold:g}"
                st.button(label, f"preset-{preset.name}", on_click=_apply, args=(preset,))
                st.caption(preset.explanation)


def _set_threshold(threshold: float) -> None:
    st.session_state[state.THRESHOLD] = min(1.0, max(0.0, round(threshold, 6)))


def _pick_threshold(threshold: float) -> None:
    """Move the slider to the nearest hundredth, after a click into a chart."""
    _set_threshold(round(threshold, 2))


def _apply(preset: Preset) -> None:
    st.session_state[state.STRATEGY] = preset.strategy
    st.session_state[state.THRESHOLD] = preset.threshold
    st.session_state[state.COMPLEXITY_WEIGHT] = st.session_state[state.QUALITY_WEIGHT] = 1.0
    st.session_state[state.AGGREGATION] = "sum"


def _distribution(known: Scale, threshold: float) -> None:
    """Rows by the similarity to their nearest other row, on the axis of the slider."""
    (rows, edges), pool = known.histogram, known.nearest
    near = edges[:-1] >= threshold - 1e-9
    counts = np.stack([rows * ~near, rows * near])
    share = pool.share_above(max(threshold, pool.floor))
    marks = [Mark(threshold, f"{share:.0%} of rows have a nearer one", INK)]
    if pool.floor > 0:
        marks.append(Mark(pool.floor, "", OTHER, dashed=True))
    panel = Panel(
        "",
        "Rows by the similarity to their nearest other row, behind the threshold",
        bars=Histogram(edges, counts),
        marks=tuple(marks),
        extent=(0.0, 1.0),
        bare=True,
        pick=True,
        height=54,
    )
    small_charts([panel], _GROUPS, key="threshold_scale", on_pick=_pick_threshold)


def graph_notice(opened: Opened, rule: SelectionRule) -> None:
    """Say when a rule cannot be read off the similarity graph, and offer to build it."""
    strategy = find_strategy(rule.strategy)
    if not (strategy.uses_threshold or strategy.needs_graph):
        return
    graph = pool_input(opened).graph
    if graph is not None:
        if not graph.serves(rule.threshold):
            st.caption(
                f":material/hourglass: Below similarity {graph.floor:.2f} the similarity graph "
                "knows nothing: every step is computed from the embeddings and takes longer."
            )
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        if any(job.kind == "graph" and job.active for job in opened.runner.records(20)):
            st.caption(":material/hub: The similarity graph is being built, see the side column.")
            return
        st.caption(
            ":material/hub: There is no similarity graph of these embeddings: steps of the "
            "threshold take longer, and the frontier and flip points are not known.",
            width="stretch",
        )
        if st.button("Build the graph", icon=":material/hub:", disabled=not may("curator")):
            opened.runner.submit([("graph", {})])
            say("The similarity graph is being built.")
            st.rerun()


def frontier_view(opened: Opened, rule: SelectionRule) -> None:
    """Rows, scores, tokens and coverage over the threshold, with the present place on it."""
    strategy = find_strategy(rule.strategy)
    if not strategy.uses_threshold:
        st.caption(f"{strategy.label} does not look at similarities, so no threshold moves it.")
        return
    no_graph = pool_input(opened).graph is None
    takes_long = no_graph or rule.strategy != STRATEGIES[0].name or bool(rule.quotas)
    if takes_long and not st.toggle(
        "Compute it: under this rule every threshold is a selection of its own", key="frontier_slow"
    ):
        return
    found = frontier_of(opened, rule)
    st.markdown(_budget_sentence(found, rule))
    st.caption("Click into a chart to move the threshold there.")
    panels = _panels(found, rule)
    for start, (side, place) in enumerate(zip(("left", "right"), st.columns(2), strict=True)):
        with place:
            small_charts(panels[start::2], key=f"frontier-{side}", on_pick=_pick_threshold)


def _budget_sentence(found: Frontier, rule: SelectionRule) -> str:
    if rule.budget is None:
        return "Without a budget, every row that fits is kept."
    unit = "" if rule.budget_unit == "rows" else " tokens"
    lowest = found.lowest_that_fills()
    if lowest is None:
        return f"The budget of {rule.budget:,}{unit} cannot be filled at any threshold."
    if lowest <= float(found.thresholds[0]):
        return f"The budget of {rule.budget:,}{unit} fills at every threshold shown."
    return f"The budget of {rule.budget:,}{unit} fills from {similarity_text(lowest)} up."


def _panels(found: Frontier, rule: SelectionRule) -> list[Panel]:
    x = found.thresholds
    kept = found.kept.astype(np.float64)
    selected = Line("selected", x, kept, _KEPT)
    rows = [selected]
    if rule.budget is not None:
        possible = np.where(found.possible >= 0, found.possible, np.nan)
        unfilled = np.where(found.filled, np.nan, kept)
        rows.insert(0, Line("fit without a budget", x, possible, OTHER, dashed=True))
        rows.append(Line("selected, budget not filled", x, unfilled, _ALERT))
    scores = [
        Line("complexity", x, found.complexity, CATEGORIES[0]),
        Line("quality", x, found.quality, CATEGORIES[1]),
    ]
    tokens, ranks = found.tokens.astype(float), found.rank_reached.astype(float)
    near = f"rows with a selected one nearer than {found.covered_at:.2f}"
    every = (
        ("Rows", "selected; dashed: fit without a budget; orange: not filled", rows, True, ""),
        ("Mean complexity and quality", "green: complexity; purple: quality", scores, False, ""),
        ("Mean evol score", "", [Line("evol score", x, found.evol_score)], False, ""),
        ("Tokens", "in all", [Line("tokens", x, tokens)], True, ""),
        ("Coverage of the pool", near, [Line("covered", x, found.coverage)], True, "share"),
        ("Rank reached", "", [Line("rank", x, ranks)], True, ""),
    )
    return [
        Panel(
            title,
            f"{title} by threshold",
            note,
            lines=tuple(lines),
            marks=_present(selected if lines is rows else lines[0], rule.threshold),
            unit=unit,
            from_zero=from_zero,
            extent=(float(x[0]), float(x[-1])),
            pick=True,
            height=150,
        )
        for title, note, lines, from_zero, unit in every
        if not all(np.isnan(line.y).all() for line in lines)
    ]


def _present(line: Line, threshold: float) -> tuple[Mark, ...]:
    """The present threshold, with a dot on the line."""
    if not line.x[0] <= threshold <= line.x[-1]:
        return ()
    value = float(np.interp(threshold, line.x, line.y))
    return (Mark(threshold, dot=None if np.isnan(value) else value),)
