"""The frontier: what every threshold would give; a click on it moves the slider there."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from deita_core.selection.analysis.frontier import Frontier
from deita_core.selection.rule import SelectionRule, similarity_text
from deita_core.selection.status import KEPT, NEAR_DUPLICATE
from deita_core.selection.strategies import STRATEGIES, find_strategy
from studio.charts.colours import CATEGORIES, OTHER, STATUS_STYLES
from studio.charts.small_charts import Line, Mark, Panel, small_charts
from studio.select.cache import frontier_of, pool_input
from studio.select.rule_form import set_threshold_rounded
from studio.shell.resources import Opened

_KEPT = STATUS_STYLES[KEPT].shade
_ALERT = STATUS_STYLES[NEAR_DUPLICATE].shade


def frontier_view(opened: Opened, rule: SelectionRule) -> None:
    """Rows, scores, tokens and coverage over the threshold, with the present place on it."""
    strategy = find_strategy(rule.strategy)
    if not strategy.uses_threshold:
        st.caption(f"{strategy.label} does not look at similarities, so no threshold moves it.")
        return
    if _takes_long(opened, rule) and not st.toggle(
        "Compute it: under this rule every threshold is a selection of its own", key="frontier_slow"
    ):
        return
    found = frontier_of(opened, rule)
    st.markdown(_sentence(found, rule))
    st.caption("Click into a chart to move the threshold there.")
    left, right = st.columns(2)
    panels = _panels(found, rule)
    for column, half, key in ((left, panels[::2], "left"), (right, panels[1::2], "right")):
        with column:
            small_charts(half, key=f"frontier-{key}", on_pick=set_threshold_rounded)


def _takes_long(opened: Opened, rule: SelectionRule) -> bool:
    no_graph = pool_input(opened).graph is None
    return no_graph or rule.strategy != STRATEGIES[0].name or bool(rule.quotas)


def _sentence(found: Frontier, rule: SelectionRule) -> str:
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
    possible = np.where(found.possible >= 0, found.possible, np.nan).astype(np.float64)
    kept = found.kept.astype(np.float64)
    rows = [
        Line("fit without a budget", x, possible, OTHER, dashed=True),
        Line("selected", x, kept, _KEPT),
        Line("selected, budget not filled", x, np.where(found.filled, np.nan, kept), _ALERT),
    ]
    if rule.budget is None:
        rows = rows[1:2]
    scores = [
        Line("complexity", x, found.complexity, CATEGORIES[0]),
        Line("quality", x, found.quality, CATEGORIES[1]),
    ]
    every = (
        ("Rows", "selected; dashed: fit without a budget; orange: not filled", rows, True, ""),
        ("Mean complexity and quality", "green: complexity; purple: quality", scores, False, ""),
        ("Mean evol score", "", [Line("evol score", x, found.evol_score)], False, ""),
        ("Tokens", "in all", [Line("tokens", x, found.tokens.astype(float))], True, ""),
        (
            "Coverage of the pool",
            f"rows with a selected one nearer than {found.covered_at:.2f}",
            [Line("covered", x, found.coverage)],
            True,
            "share",
        ),
        ("Rank reached", "", [Line("rank", x, found.rank_reached.astype(float))], True, ""),
    )
    return [
        _panel(title, note, tuple(lines), from_zero, unit, rule.threshold)
        for title, note, lines, from_zero, unit in every
        if not all(np.isnan(line.y).all() for line in lines)
    ]


def _panel(
    title: str, note: str, lines: tuple[Line, ...], from_zero: bool, unit: str, threshold: float
) -> Panel:
    main = lines[min(1, len(lines) - 1)] if title == "Rows" else lines[0]
    inside = main.x[0] <= threshold <= main.x[-1]
    marks = (Mark(threshold, dot=_at(main.x, main.y, threshold)),) if inside else ()
    return Panel(
        title,
        f"{title} by threshold",
        note,
        lines=lines,
        marks=marks,
        unit=unit,
        from_zero=from_zero,
        extent=(float(main.x[0]), float(main.x[-1])),
        pick=True,
        height=150,
    )


def _at(x: NDArray[np.float64], y: NDArray[np.float64], place: float) -> float | None:
    value = float(np.interp(place, x, y))
    return None if np.isnan(value) else value
