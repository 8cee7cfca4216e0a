"""Small charts that keep up with a slider: bars by group, lines, marks; drawn in SVG.

Only counts and a few points a line go to the browser. `map_chart` is for the rows themselves,
`charts` for pages that do not change while one drags.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from studio.charts import component
from studio.charts.charts import Histogram
from studio.charts.colours import PLAIN, MapGroup, Shade, legend

_AS_IT_IS = ("title", "note", "alt", "unit", "bare", "pick", "brush", "height")
_FILES = ("charts.html", "charts.css", "theme.js", "charts.js")


@dataclass(frozen=True)
class Line:
    """x, y: (k,) float64; a NaN in y breaks the line."""

    name: str
    x: NDArray[np.float64]
    y: NDArray[np.float64]
    shade: Shade = PLAIN
    dashed: bool = False


@dataclass(frozen=True)
class Mark:
    """A line across the chart at `at` of the x axis; `dot`: a dot on it at this y."""

    at: float
    text: str = ""
    shade: Shade = PLAIN
    dashed: bool = False
    dot: float | None = None


@dataclass(frozen=True)
class Panel:
    """One chart. alt: what it shows, in a sentence. note: after the title, in lighter print.

    unit: "share" for values in [0, 1] to be read as percent. extent: of the x axis; default: of
    the bars or lines. from_zero: the y axis starts at 0. bare: without axes. pick: a click sends
    its place on the x axis. brush: what is dragged over is sent; a click is a stretch of no width.
    """

    title: str
    alt: str
    note: str = ""
    bars: Histogram | None = None
    lines: tuple[Line, ...] = ()
    marks: tuple[Mark, ...] = ()
    unit: str = ""
    extent: tuple[float, float] | None = None
    from_zero: bool = True
    bare: bool = False
    pick: bool = False
    brush: bool = False
    height: int = 130


def small_charts(
    panels: Sequence[Panel],
    groups: Sequence[MapGroup] = (),
    *,
    key: str,
    on_pick: Callable[[float], None] | None = None,
    on_brush: Callable[[int, float, float], None] | None = None,
) -> None:
    """Draw the panels below each other.

    groups: of the bars, in the order of the rows of their counts. on_pick: gets the place on the
    x axis that was clicked, on_brush the number of the panel and the ends of the stretch of its x
    axis that was dragged over; both in a callback before the page is drawn again.
    """

    def picked() -> None:
        place = st.session_state[key].get("picked")
        if on_pick is not None and isinstance(place, int | float):
            on_pick(float(place))

    def brushed() -> None:
        found = read_brush(st.session_state[key].get("brushed"), len(panels))
        if on_brush is not None and found is not None and panels[found[0]].brush:
            on_brush(*found)

    component("deita_charts", "chart_component", *_FILES)(
        key=key,
        data={"panels": list(map(panel_data, panels)), **legend(groups)},
        on_picked_change=picked,
        on_brushed_change=brushed,
    )


def read_brush(value: object, panels: int) -> tuple[int, float, float] | None:
    """Number of the panel, low and high end; None for what is no brush of one of these panels."""
    if not isinstance(value, dict):
        return None
    panel, ends = value.get("panel"), (value.get("low"), value.get("high"))
    if not isinstance(panel, int) or not 0 <= panel < panels:
        return None
    if not all(isinstance(end, int | float) and np.isfinite(end) for end in ends):
        return None
    low, high = sorted(map(float, ends))
    return panel, low, high


def panel_data(panel: Panel) -> dict[str, Any]:
    """The panel as `charts.js` takes it."""
    bars, as_it_is = panel.bars, _AS_IT_IS
    return {
        **{name: getattr(panel, name) for name in as_it_is},
        "x": _x_extent(panel),
        "y": _y_extent(panel),
        "bars": bars
        and {"edges": np.round(bars.edges, 6).tolist(), "counts": bars.counts.tolist()},
        "lines": [
            {
                "name": line.name,
                "x": np.round(line.x, 6).tolist(),
                "y": [None if np.isnan(y) else round(float(y), 6) for y in line.y],
                "dash": line.dashed,
                **line.shade._asdict(),
            }
            for line in panel.lines
        ],
        "marks": [
            {"at": m.at, "text": m.text, "dash": m.dashed, "dot": m.dot, **m.shade._asdict()}
            for m in panel.marks
        ],
    }


def _x_extent(panel: Panel) -> list[float]:
    if panel.extent is not None:
        return list(panel.extent)
    places = [line.x for line in panel.lines] if panel.bars is None else [panel.bars.edges]
    if not any(map(len, places)):
        return [0.0, 1.0]
    return [float(np.concatenate(places).min()), float(np.concatenate(places).max())]


def _y_extent(panel: Panel) -> list[float]:
    tops = [line.y[~np.isnan(line.y)] for line in panel.lines]
    if panel.bars is not None:
        tops.append(panel.bars.counts.sum(axis=0).astype(np.float64))
    values = np.concatenate(tops) if tops else np.zeros(0)
    if not len(values):
        return [0.0, 1.0]
    low, high = 0.0 if panel.from_zero else float(values.min()), float(values.max())
    room = (high - low) * 0.06 or 1.0
    return [low if panel.from_zero else low - room, high + room]
