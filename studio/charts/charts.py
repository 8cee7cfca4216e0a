"""Histograms, density and shares: a pool of 300,000 rows as a few hundred counts, in Plotly.

`count_...` are pure, `..._figure` take the colours of the current theme, `show` draws a figure.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from studio.charts.colours import INK, OTHER, PLAIN, SCORE_STEPS, MapGroup, Shade

if TYPE_CHECKING:
    import plotly.graph_objects as go


@dataclass(frozen=True)
class Histogram:
    """How many values fall between neighbouring edges, by group.

    edges: (b + 1,) float64, ascending. counts: (g, b) int64; the last bin has its upper edge.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]


def middles(edges: NDArray[np.float64]) -> NDArray[np.float64]:
    """The middle between neighbouring edges: (b + 1,) to (b,) float64."""
    return (edges[:-1] + edges[1:]) / 2


@dataclass(frozen=True)
class Density:
    """Counts on a grid: (b_y, b_x) int64 between `y_edges` and `x_edges`."""

    x_edges: NDArray[np.float64]
    y_edges: NDArray[np.float64]
    counts: NDArray[np.int64]


def count_by_group(
    values: NDArray[np.floating[Any]],
    codes: NDArray[np.integer[Any]] | None = None,
    groups: int = 1,
    *,
    bins: int = 40,
    extent: tuple[float, float] | None = None,
) -> Histogram:
    """Equal bins over `extent` (default: from the least to the largest value).

    values: (n,) float, NaN for missing. codes: (n,) in [0, groups). Values outside the extent
    count in the first or last bin, so that the bars add up to the rows.
    """
    group = np.zeros(len(values), np.int64) if codes is None else np.asarray(codes, np.int64)
    present = ~np.isnan(values)
    low, high = extent if extent is not None else _extent(values[present])
    edges = np.linspace(low, high, bins + 1)
    place = np.floor((values[present] - low) * (bins / ((high - low) or 1.0)))
    place = np.clip(place, 0, bins - 1).astype(np.int64)
    cells = np.bincount(group[present] * bins + place, minlength=groups * bins)
    return Histogram(edges, cells.reshape(groups, bins))


def count_grid(
    x: NDArray[np.floating[Any]],
    y: NDArray[np.floating[Any]],
    *,
    bins: int = 40,
    extent: tuple[float, float] | None = None,
) -> Density:
    """Rows per cell of a `bins` x `bins` grid; rows with a missing value are in no cell.

    extent: of both axes; default: of each from its least to its largest value.
    """
    both = ~(np.isnan(x) | np.isnan(y))
    columns, rows = (count_by_group(v[both], bins=bins, extent=extent).edges for v in (x, y))
    down, across = np.clip(y[both], rows[0], rows[-1]), np.clip(x[both], columns[0], columns[-1])
    counts, _, _ = np.histogram2d(down, across, bins=(rows, columns))
    return Density(columns, rows, counts.astype(np.int64))


def rank_shares(counts: Mapping[str, int], most: int) -> list[tuple[str, int]]:
    """The largest first, ties by name; the rest as one "other" entry at the end."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    if len(ranked) <= most:
        return ranked
    rest = ranked[most:]
    return [*ranked[:most], (f"other ({len(rest)} more)", sum(count for _, count in rest))]


def _extent(values: NDArray[np.floating[Any]]) -> tuple[float, float]:
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    return (low, high) if low < high else (low - 0.5, high + 0.5)


def _on_page(shade: Shade) -> str:
    """The colour in the theme that the page is drawn in."""
    return shade.on(dark=st.context.theme.type == "dark")


def histogram_figure(
    histogram: Histogram,
    groups: Sequence[MapGroup] = (MapGroup("conversations", PLAIN),),
    *,
    title: str,
    unit: str = "",
    height: int = 280,
) -> go.Figure:
    """Stacked bars, one colour per group; groups without a value are left out.

    title: of the value counted, for its axis ("complexity"). unit: "1 to 6", in brackets.
    """
    import plotly.graph_objects as go

    figure = go.Figure()
    for group, counts in zip(groups, histogram.counts, strict=True):
        if counts.any():
            figure.add_bar(
                x=middles(histogram.edges), width=np.diff(histogram.edges), y=counts,
                name=group.label,
                marker={"color": _on_page(group.shade), "line": {"width": 0}},
                hovertemplate=f"{title} around %{{x:.3g}}<br>%{{y:,}} rows, {group.label}"
                "<extra></extra>",
            )  # fmt: skip
    _lay_out(figure, f"{title} ({unit})" if unit else title, "rows", height)
    figure.update_layout(barmode="stack", bargap=0, showlegend=len(figure.data) > 1)
    return figure


def density_figure(density: Density, *, x_title: str, y_title: str, of: str = "rows") -> go.Figure:
    """A heat map of how many rows have which pair of scores; empty cells stay empty.

    of: what is counted. Colours go by its logarithm, because a few cells hold most of a pool.
    """
    import plotly.graph_objects as go

    counts = density.counts.astype(np.float64)
    x_title, y_title = _plain(x_title), _plain(y_title)
    steps = list(map(_on_page, SCORE_STEPS))
    top = max(1, int(counts.max(initial=1)))
    marks = sorted({1, *(10**k for k in range(1, 7) if 10**k <= top / 2), top})
    figure = go.Figure(
        go.Heatmap(
            x=middles(density.x_edges), y=middles(density.y_edges),
            z=np.log10(np.where(counts > 0, counts, np.nan)), customdata=counts,
            zmin=0, zmax=max(np.log10(top), 0.1),
            colorscale=[[i / (len(steps) - 1), colour] for i, colour in enumerate(steps)],
            colorbar={
                "title": {"text": of}, "thickness": 10, "outlinewidth": 0,
                "tickvals": np.log10(marks), "ticktext": [f"{mark:,}" for mark in marks],
            },
            hovertemplate=f"{x_title} %{{x:.2f}}<br>{y_title} %{{y:.2f}}"
            f"<br>%{{customdata:,}} {of}<extra></extra>",
        )
    )  # fmt: skip
    _lay_out(figure, x_title, y_title, 360)
    return figure


@dataclass(frozen=True)
class Curve:
    """The share of some rows in each bin: (b,) float64, from 0 to 1. median: of their values."""

    name: str
    shares: NDArray[np.float64]
    median: float = float("nan")


def ridges_figure(
    edges: NDArray[np.float64], curves: Sequence[Curve], *, title: str, row: int = 38
) -> go.Figure:
    """Distributions below each other on one axis, each with a mark at its median.

    edges: (b + 1,) of the bins. All curves have one scale. row: pixels for each.
    """
    import plotly.graph_objects as go

    figure, title = go.Figure(), _plain(title)
    scale = 1.25 / max(max(float(one.shares.max(initial=0)) for one in curves), 1e-9)
    x = middles(edges)
    for place, one in enumerate(curves):
        colour, name = _on_page(PLAIN if place < len(curves) - 1 else OTHER), _shorten(one.name)
        base = np.full(len(x), float(-place))
        figure.add_scatter(x=x, y=base, mode="lines", line={"width": 0}, hoverinfo="skip")
        figure.add_scatter(
            x=x, y=base + scale * one.shares, customdata=one.shares, mode="lines", fill="tonexty",
            line={"width": 1.5, "color": colour}, fillcolor=_see_through(colour),
            hovertemplate=f"{name}<br>{title} around %{{x:.3g}}<br>%{{customdata:.1%}} of its rows"
            "<extra></extra>",
        )  # fmt: skip
        figure.add_scatter(
            x=[min(one.median, float(edges[-1]))] * 2, y=[-place, -place + 0.55], mode="lines",
            line={"width": 2, "color": _on_page(INK)},
            hovertemplate=f"{name}<br>median {one.median:,.4g}<extra></extra>",
        )  # fmt: skip
    _lay_out(figure, title, "", 70 + row * len(curves))
    names = [_shorten(one.name) for one in curves]
    figure.update_layout(showlegend=False)
    figure.update_yaxes(
        tickvals=[-place for place in range(len(names))], ticktext=names, tickformat="",
        range=[0.2 - len(names), 1.4],
    )  # fmt: skip
    return figure


def _see_through(colour: str) -> str:
    red, green, blue = (int(colour[at : at + 2], 16) for at in (1, 3, 5))
    return f"rgba({red},{green},{blue},0.3)"


def shares_figure(
    counts: Mapping[str, int], *, most: int = 12, total: int | None = None, in_order: bool = False
) -> go.Figure:
    """Horizontal bars, the largest on top, each with its count and share.

    What does not fit among the `most` largest becomes one bar called "other (k more)".
    total: what shares are of (default: the sum of the counts). in_order: as given, not ranked.
    """
    import plotly.graph_objects as go

    ranked = list(counts.items()) if in_order else rank_shares(counts, most)
    whole = (sum(counts.values()) if total is None else total) or 1
    figure = go.Figure(
        go.Bar(
            x=[count for _, count in ranked], y=[_shorten(name) for name, _ in ranked],
            orientation="h", cliponaxis=False, textposition="outside",
            text=[f"{count:,} · {count / whole:.1%}" for _, count in ranked],
            marker={"color": _on_page(PLAIN)},
            hovertemplate="%{y}: %{text}<extra></extra>",
        )
    )  # fmt: skip
    _lay_out(figure, "rows", "", 90 + 24 * len(ranked))
    largest = max((count for _, count in ranked), default=1)
    figure.update_xaxes(range=[0, largest * 1.55])
    figure.update_yaxes(autorange="reversed", showgrid=False, automargin=True, type="category")
    return figure


@dataclass(frozen=True)
class Dots:
    """One value for each of several names: (k,) float64, NaN for none. hollow: drawn as rings."""

    name: str
    values: NDArray[np.float64]
    shade: Shade = PLAIN
    hollow: bool = False


def dots_figure(
    names: Sequence[str], series: Sequence[Dots], *, title: str, row: int = 30
) -> go.Figure:
    """Names below each other, on each line a dot of every series. row: pixels for each line."""
    import plotly.graph_objects as go

    figure, shown = go.Figure(), [_shorten(name) for name in names]
    places = [-place for place in range(len(shown))]
    for one in series:
        colour = _on_page(one.shade)
        figure.add_scatter(
            x=one.values, y=places, customdata=shown, mode="markers", name=one.name,
            marker={
                "size": 11, "symbol": "circle-open" if one.hollow else "circle", "color": colour,
                "line": {"width": 2, "color": colour},
            },
            hovertemplate=f"%{{customdata}}<br>{one.name}: %{{x:.2f}}<extra></extra>",
        )  # fmt: skip
    _lay_out(figure, _plain(title), "", 100 + row * len(shown))
    figure.update_xaxes(showgrid=True)
    figure.update_yaxes(
        tickvals=places, ticktext=shown, tickformat="", range=[0.6 - len(shown), 0.6]
    )
    return figure


def show(
    figure: go.Figure, *, key: str, alt: str, on_pick: Callable[[int], None] | None = None
) -> None:
    """Put the figure on the page. alt: its message in one sentence, for those who cannot see.

    on_pick: gets the number of the bar that was clicked, in a callback.
    """
    config = {"displayModeBar": False, "scrollZoom": False, "doubleClick": "reset"}
    if on_pick is None:
        st.plotly_chart(figure, key=key, config=config, alt=alt)
        return

    def picked() -> None:
        points = st.session_state[key].selection.points
        if points:
            on_pick(int(points[0]["point_index"]))

    # Of a short bar the whole line can be clicked, too; and nothing is moved by a drag.
    figure.update_layout(hovermode="y" if figure.data[0].orientation == "h" else "x")
    figure.update_xaxes(fixedrange=True)
    figure.update_yaxes(fixedrange=True)
    st.plotly_chart(
        figure, key=key, config=config, alt=alt, on_select=picked, selection_mode="points"
    )


def _plain(name: str) -> str:
    # Plotly reads a little HTML in labels, and %{...} on hovering; in a name they are only signs.
    return name.replace("<", "‹").replace(">", "›").replace("%{", "%\u2060{")


def _shorten(name: str) -> str:
    name = _plain(name)
    return name if len(name) <= 32 else name[:31] + "…"


def _lay_out(figure: go.Figure, x_title: str, y_title: str, height: int) -> None:
    figure.update_layout(
        height=height,
        margin={"l": 8, "r": 8, "t": 8, "b": 8},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        legend={"orientation": "h", "y": 1.02, "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        dragmode=False,
    )
    figure.update_xaxes(title=x_title, automargin=True, showgrid=False, zeroline=False)
    figure.update_yaxes(title=y_title, automargin=True, zeroline=False, tickformat="~s")
