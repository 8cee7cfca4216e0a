"""Distributions of the rows in view: every column against the pool, by groups, two together.

How much each score follows the length is shown whatever is looked at: a selection by a score that
does is a selection by length.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd
import streamlit as st
from numpy.typing import NDArray

from deita_core.filtering.columns import RECORD, Column
from deita_core.filtering.filter import Bounds, column_text
from deita_core.project.columns import numeric_columns
from deita_core.project.graphs import has_graph
from deita_core.project.selections import selection_rows, selections, selections_version
from studio.charts.charts import (
    Curve,
    Histogram,
    count_grid,
    density_figure,
    middles,
    ridges_figure,
    show,
)
from studio.charts.colours import OTHER, PLAIN, MapGroup
from studio.charts.small_charts import Line, Panel, small_charts
from studio.explore.spread import (
    BINS,
    Group,
    Rows,
    Spread,
    correlations,
    edges_of,
    groups_of,
    is_spread,
    spread,
    stretch,
    whole_bins,
    within_tails,
)
from studio.filters.current import put_in_filter
from studio.filters.masks import columns_of
from studio.shell import state
from studio.shell.person import told
from studio.shell.resources import AS_OF_NOW, Opened, arrays, errors_shown
from studio.shell.text import plural

_OWN = (
    "complexity", "quality", "evol_score", "characters", "instruction_characters",
    "response_characters", "tokens", "turns",
)  # fmt: skip
_SCORES = ("complexity", "quality", "evol_score")
_LENGTHS = ("characters", "instruction_characters", "response_characters", "turns")
_GROUPINGS = ("file", "language", "cluster_name", "tag", "flag", "decision")
_KEPT = "kept:"
_MOST_GROUPS = 7
_GROUP_BINS = 24
# The shares of fewer rows jump from bin to bin.
_FEWEST_DRAWN = 20
_EVERY, _ONE, _TWO = "every", "one", "two"
_VIEWED = {**AS_OF_NOW, np.ndarray: np.ndarray.tobytes}
_SAVED = {Opened: lambda opened: (opened.key, selections_version(opened.project))}


def distributions_view(opened: Opened, rows: Rows) -> None:
    """Draw the distributions of these rows against the whole pool."""
    if not len(rows):
        st.caption("No rows in view.")
        return
    labels = {_EVERY: "Every column", _ONE: "One column, by groups", _TWO: "Two columns"}
    view = state.bound_choice("Show", labels, key=state.DISTRIBUTIONS, show_label=False)
    with errors_shown():
        _length_sentence(opened, rows)
        {_EVERY: _every, _ONE: _one, _TWO: _two}[view](opened, rows)
        _length_table(opened, rows)


# every column


def _every(opened: Opened, rows: Rows) -> None:
    names, panels = _panels(opened, rows)
    some = len(rows) < len(arrays(opened))
    st.caption(
        "The rows in view; the whole pool is dashed. The outermost values count in the last bin."
        if some
        else "The whole pool. The outermost values count in the last bin."
    )
    st.caption("Drag over a stretch of an axis, or click a place of it, to filter by it.")
    half = -(-len(panels) // 2)
    for place, (column, part) in enumerate(
        zip(st.columns(2), (panels[:half], panels[half:]), strict=True)
    ):
        first = place * half
        brush = partial(_filter_to_bins, opened, names[first : first + half])
        with column:
            small_charts(part, key=f"distributions_every_{place}", on_brush=brush)


@st.cache_data(show_spinner=False, max_entries=8, hash_funcs=_VIEWED)
def _panels(opened: Opened, rows: Rows) -> tuple[list[str], list[Panel]]:
    """The columns that have something to draw, and their panels."""
    some = len(rows) < len(arrays(opened))
    names, panels = [], []
    for name in number_names(opened):
        values = numbers(opened, name)
        if not is_spread(values):
            continue
        edges = edges_of(values)
        here, pool = spread("in view", values[rows], edges), spread("pool", values, edges)
        text = column_text(name)
        lines = [Line("in view", middles(edges), here.shares, PLAIN)]
        note = f"median {_short(here.median)}" if here.rows else "no row in view has a value"
        if some:
            lines.append(Line("pool", middles(edges), pool.shares, OTHER, dashed=True))
            note += f", pool {_short(pool.median)}"
        alt = f"Share of the rows in view and of the pool by {text}"
        extent = (float(edges[0]), float(edges[-1]))
        title, drawn = text[:1].upper() + text[1:], tuple(lines)
        names.append(name)
        panels.append(
            Panel(title, alt, note, lines=drawn, unit="share", extent=extent, brush=True, height=84)
        )
    return names, panels


def _filter_to_bins(
    opened: Opened, names: Sequence[str], panel: int, low: float, high: float
) -> None:
    _filter_to(names[panel], edges_of(numbers(opened, names[panel])), low, high)


# one column, by groups


def _one(opened: Opened, rows: Rows) -> None:
    left, right = st.columns(2)
    with left:
        name = _column_chosen(opened, "Column", "distributions_column", 0)
    groupings = _groupings(opened)
    by = right.selectbox(
        "By",
        groupings,
        format_func=groupings.__getitem__,
        key="distributions_by",
        persist_state="session",
    )
    values = numbers(opened, name)
    if not is_spread(values):
        st.caption("No two rows differ in this column.")
        return
    groups = _groups(opened, by, rows) if by else []
    edges = edges_of(values, _GROUP_BINS if groups else BINS)
    found = [spread(one.name, values[one.rows], edges) for one in groups]
    here, pool = spread("rows in view", values[rows], edges), spread("pool", values, edges)
    if found:
        _ridges(name, edges, [*found, pool])
    else:
        _brushed(name, edges, here, pool)
    _table([*found, here, pool], by)


def _curve(one: Spread) -> Curve:
    return Curve(one.name, one.shares, one.median)


def _ridges(name: str, edges: NDArray[np.float64], found: list[Spread]) -> None:
    drawn = [_curve(one) for one in found if one.rows >= _FEWEST_DRAWN]
    if not drawn:
        st.caption(f"No group has {_FEWEST_DRAWN} rows, so only the table tells of them.")
        return
    title = column_text(name)
    alt = f"Share of the rows of each group by {title}, and of the pool"
    show(ridges_figure(edges, drawn, title=title), key="distributions_groups", alt=alt)
    fewer = f" Groups of fewer than {_FEWEST_DRAWN} rows are in the table alone."
    st.caption(f"The mark is the median.{fewer if len(drawn) < len(found) else ''}")


def _brushed(name: str, edges: NDArray[np.float64], here: Spread, pool: Spread) -> None:
    some = here.rows < pool.rows
    small_charts(
        [one_panel(name, edges, here, pool)],
        [MapGroup("rows in view", PLAIN)],
        key=f"distributions_one_{name}",
        on_brush=lambda _, low, high: _filter_to(name, edges, low, high),
    )
    dashed = "Dashed: as many rows, spread as the whole pool is. " if some else ""
    st.caption(
        f"{dashed}Drag over a stretch of the axis, or click a bar, to filter by it. The last bar "
        "holds what lies above it, too."
    )


def one_panel(name: str, edges: NDArray[np.float64], here: Spread, pool: Spread) -> Panel:
    """The rows in view as bars, beside as many rows spread as the pool is."""
    title = column_text(name)
    counts = np.rint(here.shares * here.rows).astype(np.int64)
    dashed = Line("as the pool", middles(edges), pool.shares * here.rows, OTHER, dashed=True)
    return Panel(
        title[:1].upper() + title[1:],
        f"How many of the rows in view have which {title}, beside the pool",
        f"median {_short(here.median)}, pool {_short(pool.median)}" if here.rows else "",
        bars=Histogram(edges, counts[None]),
        lines=(dashed,) if here.rows < pool.rows else (),
        brush=True,
        height=280,
    )


@told
def _filter_to(name: str, edges: NDArray[np.float64], low: float, high: float) -> None:
    part = stretch(name, *whole_bins(edges, low, high), float(edges[-1]))
    put_in_filter(part, instead_of=lambda one: isinstance(one, Bounds) and one.column == name)


def _table(found: list[Spread], by: str) -> None:
    table = pd.DataFrame(
        {
            "of": [one.name for one in found],
            "rows": [one.rows for one in found],
            "without a value": [one.missing for one in found],
            "10 %": [one.low for one in found],
            "median": [one.median for one in found],
            "90 %": [one.high for one in found],
        }
    )
    if not table["without a value"].any():
        table = table.drop(columns="without a value")
    number = st.column_config.NumberColumn(format="%.4g")
    columns = dict.fromkeys(("10 %", "median", "90 %"), number)
    alt = "Rows, median and percentiles of each group" if by else "Rows, median and percentiles"
    st.dataframe(table, hide_index=True, column_config=columns, alt=alt)


def _groupings(opened: Opened) -> dict[str, str]:
    """What rows can be grouped by, with its label; the empty name is no grouping."""
    named = {name: column_text(name) for name in _GROUPINGS}
    kept = {f"{_KEPT}{one.selection}": f"kept in {one.name}" for one in selections(opened.project)}
    return {"": "nothing", **named, **kept}


def _groups(opened: Opened, by: str, rows: Rows) -> list[Group]:
    if by.startswith(_KEPT):
        inside = np.isin(rows, _kept_rows(opened, int(by.removeprefix(_KEPT))))
        both = (Group("kept", rows[inside]), Group("not kept", rows[~inside]))
        return [one for one in both if len(one.rows)]
    column: Column = columns_of(opened)[by]
    return groups_of(column, rows, _MOST_GROUPS)


@st.cache_resource(show_spinner=False, max_entries=8, hash_funcs=_SAVED)
def _kept_rows(opened: Opened, selection: int) -> Rows:
    return np.array(selection_rows(opened.project, selection)[0], np.int64)


# two columns


def _two(opened: Opened, rows: Rows) -> None:
    left, right = st.columns(2)
    with left:
        across = _column_chosen(opened, "Across", "distributions_across", 3)
    with right:
        up = _column_chosen(opened, "Up", "distributions_up", 0)
    x, y = (within_tails(numbers(opened, name))[rows] for name in (across, up))
    grid = count_grid(x, y)
    if not grid.counts.any():
        st.caption("No row in view has both values.")
        return
    titles = column_text(across), column_text(up)
    show(
        density_figure(grid, x_title=titles[0], y_title=titles[1]),
        key="distributions_two",
        alt=f"How many rows have which {titles[0]} and {titles[1]}",
    )
    both = int(grid.counts.sum())
    follows = correlations({up: numbers(opened, up)}, {across: numbers(opened, across)}, rows)
    st.caption(
        f"Spearman {_number(follows[up][across])} over {plural(both)}. The outermost half percent "
        "at either end is drawn at the edge; colours go by the logarithm."
    )


# how far scores follow the length


def _length_sentence(opened: Opened, rows: Rows) -> None:
    found = _follows(opened, rows)
    said = [f"{column_text(score)} {_number(one[_LENGTHS[0]])}" for score, one in found.items()]
    if said:
        st.markdown(f"Rank correlation with the length: **{', '.join(said)}**.")
    else:
        st.caption("No scores yet, so nothing to compare with the length.")


def _length_table(opened: Opened, rows: Rows) -> None:
    found, pool = _follows(opened, rows), _follows(opened, np.arange(len(arrays(opened))))
    if not found:
        return
    some = len(rows) < len(arrays(opened))
    table = {
        column_text(length): {
            column_text(score): _number(found[score][length])
            + (f" ({_number(pool[score][length])})" if some else "")
            for score in found
        }
        for length in _LENGTHS
    }
    st.table(table, alt="Rank correlation of each score with each length")
    st.caption(
        "Spearman: at 1 a score says no more than the length does, at 0 it has nothing to do with "
        f"it.{' In brackets: over the whole pool.' if some else ''}"
    )


@st.cache_data(show_spinner=False, max_entries=16, hash_funcs=_VIEWED)
def _follows(opened: Opened, rows: Rows) -> dict[str, dict[str, float]]:
    scores = {name: numbers(opened, name) for name in _SCORES}
    known = {name: values for name, values in scores.items() if np.isfinite(values).any()}
    return correlations(known, {name: numbers(opened, name) for name in _LENGTHS}, rows)


def _number(value: float) -> str:
    return "–" if np.isnan(value) else f"{value:.2f}"


def _short(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


# columns of numbers


def _column_chosen(opened: Opened, label: str, key: str, start: int) -> str:
    names = number_names(opened)
    return str(
        st.selectbox(
            label,
            names,
            index=start,
            format_func=column_text,
            key=key,
            persist_state="session",
        )
    )


@st.cache_data(show_spinner=False, max_entries=4, hash_funcs=AS_OF_NOW)
def number_names(opened: Opened) -> list[str]:
    """Every column of numbers: the pool's own, and fields of the records that hold only numbers."""
    nearest = ["nearest_similarity"] if has_graph(opened.project) else []
    fields = [
        f"{RECORD}{one.name}"
        for one in numeric_columns(opened.project)
        if one.numbers > one.others + one.lists
    ]
    found = [name for name in fields if columns_of(opened)[name].kind == "number"]
    return [*_OWN, *nearest, *found]


@st.cache_resource(show_spinner=False, max_entries=32, hash_funcs=AS_OF_NOW)
def numbers(opened: Opened, name: str) -> NDArray[np.float64]:
    """A column of numbers of all rows: (n,) float64, NaN where there is none."""
    return columns_of(opened)[name].values
