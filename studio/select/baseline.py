"""The selection beside a seeded random one of the same size, and beside the pool."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from deita_core.filtering.filter import Bounds
from deita_core.selection.analysis.measures import (
    Distribution,
    Diversity,
    Measures,
    distributions,
    mean_or_nan,
)
from deita_core.selection.filters import mean_scores
from deita_core.selection.outcome import Outcome
from deita_core.selection.rule import SelectionRule
from deita_core.selection.status import KEPT, STATUSES
from studio.charts.charts import count_by_group, middles
from studio.charts.colours import INK, STATUS_STYLES
from studio.charts.small_charts import Line, Panel, small_charts
from studio.explore.spread import stretch, whole_bins
from studio.filters.current import put_in_filter
from studio.select.cache import comparison, diversity_of, random_rows
from studio.shell import state
from studio.shell.person import told
from studio.shell.resources import Opened, pool_input
from studio.shell.text import escape

_SHOWN = 10
_SCORES = (1.0, 6.0)
_TAILS = "longer tails count in the last bar"


def status_distributions(opened: Opened, result: Outcome) -> None:
    """Evol score, complexity, quality and tokens, stacked by status; dashed, a random selection."""
    table = pool_input(opened)
    means, tokens = mean_scores(table), table.tokens.astype(np.float64)
    drawn = random_rows(opened, result.rule)
    how = f"{result.rule.aggregation} over turns"
    panels, columns = [], []
    for name, note, values, extent in (
        ("Evol score", f"{how}; {_TAILS}", result.scores, _bulk(result.scores)),
        ("Complexity", "1 to 6", means.complexity, _SCORES),
        ("Quality", "1 to 6", means.quality, _SCORES),
        ("Tokens", f"estimated; {_TAILS}", tokens, _bulk(tokens)),
    ):
        bars = count_by_group(values, result.trace.status, len(STATUSES), extent=extent)
        random = count_by_group(values[drawn], extent=extent).counts[0].astype(np.float64)
        line = Line("random selection", middles(bars.edges), random, INK, dashed=True)
        alt = f"Status of the rows by {name.lower()}; dashed, a random selection of as many"
        # A filter knows the evol score as the sum over the turns alone.
        brush = name != "Evol score" or _is_plain(result.rule)
        columns.append((name.lower().replace(" ", "_"), bars.edges))
        panels.append(Panel(name, alt, note, bars=bars, lines=(line,), brush=brush))
    small_charts(
        panels, STATUS_STYLES, key="select-distributions", on_brush=partial(_filter_to, columns)
    )
    st.caption("Drag over a stretch, or click a bar, to select only from it.")
    _means(opened, result)


def _is_plain(rule: SelectionRule) -> bool:
    weights = rule.complexity_weight, rule.quality_weight
    return (rule.aggregation, weights, rule.closeness) == ("sum", (1.0, 1.0), None)


@told
def _filter_to(
    columns: Sequence[tuple[str, NDArray[np.float64]]], panel: int, low: float, high: float
) -> None:
    """Let the rule choose only from this stretch of a column."""
    name, edges = columns[panel]
    part = stretch(name, *whole_bins(edges, low, high), float(edges[-1]))
    put_in_filter(
        part,
        instead_of=lambda one: isinstance(one, Bounds) and one.column == name,
        place=state.RULE_FILTER,
    )


def _bulk(values: NDArray[np.float64]) -> tuple[float, float]:
    """From 0 to the 99th percentile: the longest chats reach far beyond the rest."""
    present = values[np.isfinite(values)]
    return (0.0, float(np.quantile(present, 0.99)) or 1.0) if len(present) else (0.0, 1.0)


def _means(opened: Opened, result: Outcome) -> None:
    """The means of the selection and of the random rows in one line."""
    table = pool_input(opened)
    drawn = random_rows(opened, result.rule)
    parts = []
    for name, values, digits in (
        ("evol score", result.scores, 2),
        ("tokens", table.tokens, 0),
        ("turns", table.turns, 2),
    ):
        ours, theirs = (mean_or_nan(values[rows]) for rows in (result.kept, drawn))
        parts.append(f"{name} **{ours:,.{digits}f}** ({theirs:,.{digits}f})")
    st.caption(
        f"Dashed: a random selection as large. Means of this one (of that one): {', '.join(parts)}."
    )


def baseline_view(opened: Opened, result: Outcome) -> None:
    """Figures, distributions and shares of selection, random rows and pool."""
    found = comparison(opened, result.rule)
    columns = {"this selection": found.selection, "random": found.random, "whole pool": found.pool}
    st.caption(
        "A random selection of as many of the same candidates, drawn by a seed, so it stays the "
        "same. Distances are cosine distances: rows farther apart are more diverse, and a set "
        "nearer to the pool stands for it better."
    )
    st.table({n: _figures(m) for n, m in columns.items()}, alt="Means of the three sets")
    diversity = st.container()
    spreads = distributions(pool_input(opened), result, random_rows(opened, result.rule))
    varied = [one for one in spreads if len(one.edges) > 2]  # more than one value
    small_charts([_panel(one) for one in varied], key="baseline-distributions")
    _shares("Files", columns, "sources")
    _shares("Languages", columns, "languages")
    if found.pool.clusters:
        _shares("Clusters", columns, "clusters")
    with diversity:  # last, because it takes longest
        diverse = diversity_of(opened, result.rule)
        st.caption("Diversity")
        table = dict(zip(columns, map(_diversity, diverse), strict=False))
        st.table(table, alt="Diversity of the selection and of the random rows")


def _figures(m: Measures) -> dict[str, str]:
    return {
        "rows": f"{m.rows:,}",
        "mean complexity": f"{m.complexity:.2f}",
        "mean quality": f"{m.quality:.2f}",
        "mean evol score": f"{m.evol_score:.2f}",
        "mean turns": f"{m.turns:.2f}",
        "mean tokens": f"{m.tokens:,.0f}",
        "tokens in all": f"{m.tokens_total:,}",
    }


def _diversity(found: Diversity) -> dict[str, str]:
    level = "" if found.covered_at is None else f" (nearer than {found.covered_at:.2f})"
    covered = "not known" if np.isnan(found.coverage) else f"{found.coverage:.1%}"
    return {
        "distance to the nearest other row of the set": _number(found.nearest_distance),
        f"Vendi score, {found.vendi_sample:,} rows": _number(found.vendi, 1),
        "distance from the pool to the set": _number(found.pool_distance),
        f"coverage of the pool{level}": covered,
    }


def _number(value: float | None, digits: int = 3) -> str:
    return "too few rows" if value is None else f"{value:,.{digits}f}"


def _panel(found: Distribution) -> Panel:
    x = middles(found.edges)
    selected, random = (n / max(1, int(n.sum())) for n in (found.selection, found.random))
    lines = (
        Line("selected", x, selected, STATUS_STYLES[KEPT].shade),
        Line("random", x, random, INK, dashed=True),
    )
    name = found.column.replace("_", " ")
    return Panel(
        name.capitalize(),
        f"Share of rows by {name}: selection and random rows",
        "blue: selected; dashed: random" + ("; the last bin takes the rest" * found.open_ended),
        lines=lines,
        unit="share",
        extent=(float(found.edges[0]), float(found.edges[-1])),
        height=96,
    )


def _shares(title: str, columns: Mapping[str, Measures], what: str) -> None:
    shares = {
        name: {escape(share.name): f"{100 * share.share:.1f} %" for share in getattr(m, what)}
        for name, m in columns.items()
    }
    table = pd.DataFrame(shares).fillna("0 %")
    st.caption(title if len(table) <= _SHOWN else f"{title}: the largest of {len(table)}")
    st.table(table.head(_SHOWN), alt=f"Shares of {title.lower()}")
