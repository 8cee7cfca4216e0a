"""The map of the pool: arrays in, outline out.

The one file (with `map_component/`) that knows how the map is drawn. Places go to the browser in
one binary message (8 bytes a row), which Streamlit sends only once; colours in another (1 byte a
row). The points are drawn with WebGL; Plotly does what the mouse does. Back comes only what the
user did; which rows lie inside the outline is worked out here (`MapEvent.rows_inside`).
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from importlib.metadata import version as installed_version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from pages.parts.map_payload import (
    MapGroup,
    count_unplaced,
    map_payload,
    pack_hover_texts,
    places_payload,
)

_HERE = Path(__file__).parent / "map_component"
_STATIC = Path(__file__).parents[2] / "static"
# Session keys. Streamlit may forget a component's state while it is off the page; these stay.
_CLEARED = "_map_cleared_"
_LAST = "_map_last_state_"
_SHOWN = "_map_shown_"

__all__ = ["MapEvent", "MapGroup", "clear_outline", "map_chart", "pack_hover_texts"]


@dataclass(frozen=True)
class MapEvent:
    """What the user has done to the map, in map coordinates; None where nothing was done.

    polygon: (m, 2) float64, the vertices of the lasso, open.
    box: (x0, y0, x1, y1) with x0 <= x1 and y0 <= y1.
    viewport: the same, of the part in view (only when asked for).
    clicked: index of the row last clicked, in the order of the arrays drawn.
    hidden: codes of the groups switched off in the legend.
    """

    polygon: NDArray[np.float64] | None = None
    box: tuple[float, float, float, float] | None = None
    viewport: tuple[float, float, float, float] | None = None
    clicked: int | None = None
    hidden: tuple[int, ...] = ()

    @property
    def has_outline(self) -> bool:
        """True when a lasso or a box is drawn."""
        return self.polygon is not None or self.box is not None

    def rows_inside(
        self, xy: NDArray[np.float32], codes: NDArray[np.uint8] | None = None
    ) -> NDArray[np.int64]:
        """Indices of the rows inside the outline, ascending; none when there is no outline.

        xy: (n, 2) float32 as drawn. codes: (n,) uint8 as drawn; when given, rows of the groups
        that are switched off do not count.
        """
        if self.box is not None:
            x0, y0, x1, y1 = self.box
            inside = (xy[:, 0] >= x0) & (xy[:, 0] <= x1) & (xy[:, 1] >= y0) & (xy[:, 1] <= y1)
        elif self.polygon is not None:
            from deita_core.geometry.polygon import points_in_polygon

            inside = points_in_polygon(xy, self.polygon)
        else:
            return np.zeros(0, np.int64)
        if codes is not None and self.hidden:
            inside = inside & ~np.isin(codes, self.hidden)
        return np.flatnonzero(inside)


def map_chart(
    xy: NDArray[np.float32],
    codes: NDArray[np.uint8],
    groups: Sequence[MapGroup],
    *,
    key: str,
    version: str,
    highlight: NDArray[np.integer[Any]] | None = None,
    hover_texts: bytes = b"",
    height: int = 620,
    report_viewport: bool = False,
) -> MapEvent:
    """Draw the map and return what the user has done to it.

    xy: (n, 2) float32; rows with NaN are counted in the caption and not drawn.
    codes: (n,) uint8, the index into `groups` (at most 256) of each row.
    version: names the coordinates and their order. While it stays the same, recolouring keeps
    zoom and outline; when it changes, the map starts afresh and old events are dropped.
    highlight: indices of rows to ring. hover_texts: from `pack_hover_texts`, n lines.
    report_viewport: also rerun the page when the user zooms or moves.
    Outline, view and hidden groups are there again when the user comes back from another page.
    """
    ensure_plotly()
    # One component per version, so that neither side can mistake the rows of one for another's.
    place = st.session_state[_SHOWN + key] = f"{key}@{version}"
    if len(codes) != len(xy):
        raise ValueError(f"codes must be ({len(xy)},) like the places, got {codes.shape}")
    unplaced = count_unplaced(xy)
    payload = map_payload(
        codes, groups,
        version=version, highlight=highlight, unplaced=unplaced, height=height,
        report_viewport=report_viewport, cleared=st.session_state.get(_CLEARED + place, 0),
        key=place,
        library_url=f"{_base_path()}app/static/{_plotly_name()}",
    )  # fmt: skip
    with st.container(gap=None):
        # Apart from the colours: Streamlit does not send again what the browser has already.
        _places()(
            key=f"{place}:places",
            data=places_payload(xy, name=place, hover_texts=hover_texts),
        )
        sent = _component()(
            key=place,
            data=payload,
            on_selection_change=_nothing,
            on_clicked_change=_nothing,
            on_hidden_change=_nothing,
            on_viewport_change=_nothing,
        )
    state = st.session_state.get(_LAST + place, {}) | {k: v for k, v in sent.items() if v}
    st.session_state[_LAST + place] = state
    if unplaced:
        st.caption(f"{unplaced:,} of {len(xy):,} rows have no place on the map yet.")
    return read_event(state, version=version, rows=len(xy))


def clear_outline(key: str) -> None:
    """Remove the lasso or box of the map `key`; for a callback, or before the map is drawn."""
    place = st.session_state.get(_SHOWN + key)
    if place is None:
        return
    st.session_state[_CLEARED + place] = st.session_state.get(_CLEARED + place, 0) + 1
    st.session_state.get(_LAST + place, {}).pop("selection", None)
    if place in st.session_state:
        st.session_state[place]["selection"] = None


def read_event(state: dict[str, Any], *, version: str, rows: int) -> MapEvent:
    """The component's state as a `MapEvent`; whatever does not fit these rows is dropped.

    The state comes from a browser, so nothing about its shape is taken on trust.
    """
    selection = _current(state.get("selection"), version)
    points = _points(selection.get("points"))
    is_box = selection.get("kind") == "box"
    clicked = _current(state.get("clicked"), version).get("row")
    hidden = _current(state.get("hidden"), version).get("codes")
    viewport = _points([_current(state.get("viewport"), version).get("box")], width=4)
    return MapEvent(
        polygon=None if is_box else points,
        box=_bounds(points) if is_box and points is not None else None,
        viewport=None if viewport is None else _bounds(viewport.reshape(2, 2)),
        clicked=clicked if isinstance(clicked, int) and 0 <= clicked < rows else None,
        hidden=tuple(c for c in hidden if isinstance(c, int)) if isinstance(hidden, list) else (),
    )


def ensure_plotly() -> Path:
    """Put plotly.min.js of the installed package where Streamlit serves it; return its place.

    A copy, because Streamlit serves nothing that a link leads out of `static/`.
    """
    target = _STATIC / _plotly_name()
    if not target.exists():
        spec = find_spec("plotly")
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError("plotly is not installed: run `make app`, or pip install it")
        _STATIC.mkdir(exist_ok=True)
        partial = target.with_suffix(f".{os.getpid()}.part")
        shutil.copyfile(Path(spec.origin).parent / "package_data" / "plotly.min.js", partial)
        partial.replace(target)
    return target


@cache
def _component() -> Callable[..., Any]:
    mount: Callable[..., Any] = st.components.v2.component(
        "deita_map",
        html=(_HERE / "map.html").read_text("utf-8"),
        css=(_HERE / "map.css").read_text("utf-8"),
        js="\n".join(
            (_HERE / name).read_text("utf-8")
            for name in ("../chart_component/theme.js", "data.js", "points.js", "map.js")
        ),
        # Plotly keeps its own rules in the document's head, out of a shadow root's reach.
        isolate_styles=False,
    )
    return mount


@cache
def _places() -> Callable[..., Any]:
    mount: Callable[..., Any] = st.components.v2.component(
        "deita_map_places",
        html="<span hidden></span>",
        js=(_HERE / "data.js").read_text("utf-8") + (_HERE / "places.js").read_text("utf-8"),
    )
    return mount


def _nothing() -> None:
    """Streamlit only reports a component's state keys that have a callback."""


@cache
def _plotly_name() -> str:
    return f"plotly-{installed_version('plotly')}.min.js"


def _base_path() -> str:
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{base}/" if base else "/"


def _current(value: object, version: str) -> dict[str, Any]:
    return value if isinstance(value, dict) and value.get("version") == version else {}


def _points(value: object, width: int = 2) -> NDArray[np.float64] | None:
    try:
        points = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        return None
    enough = 3 if width == 2 else 1
    if points.ndim != 2 or points.shape[1] != width or len(points) < enough:
        return None
    return points if np.isfinite(points).all() else None


def _bounds(points: NDArray[np.float64]) -> tuple[float, float, float, float]:
    (x0, y0), (x1, y1) = points.min(axis=0).tolist(), points.max(axis=0).tolist()
    return x0, y0, x1, y1
