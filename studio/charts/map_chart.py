"""The map of the pool: arrays in, outline out.

The one file (with `map_component/`) that knows how the map is drawn. Places go to the browser in
one binary message (8 bytes a row), which Streamlit sends only once; colours in another (1 byte a
row). The points are drawn with WebGL; Plotly does what the mouse does. Back comes only what the
user did; which rows lie inside the outline is worked out here (`MapEvent.rows_inside`).
"""

from __future__ import annotations

import json
import shutil
import struct
import zlib
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

from deita_core.conversation import without_surrogates
from deita_core.files import whole_file
from studio.charts import component
from studio.charts.colours import OUTSIDE, MapGroup, legend

_MAP = (
    "map.html",
    "map.css",
    "../chart_component/theme.js",
    "data.js",
    "points.js",
    "names.js",
    "fit.js",
    "map.js",
)
_PLACES = ("places.html", "data.js", "places.js")
_MOST_VERTICES = 400
_MOST_GROUPS = 256
_NAME = 40
# Session keys. Streamlit may forget a component's state while it is off the page; these stay.
_CLEARED = "_map_cleared_"
_LAST = "_map_last_state_"
_SHOWN = "_map_shown_"


@dataclass(frozen=True)
class MapName:
    """A name to be written at a place, in map coordinates; the one of smaller size gives way."""

    text: str
    x: float
    y: float
    size: int


@dataclass(frozen=True)
class MapEvent:
    """What the user has done to the map, in map coordinates; None where nothing was done.

    polygon: (m, 2) float64, the vertices of the lasso, open. box: (x0, y0, x1, y1), ascending.
    clicked: the row last clicked, as drawn. hidden: codes of the groups switched off.
    """

    polygon: NDArray[np.float64] | None = None
    box: tuple[float, float, float, float] | None = None
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

        xy: (n, 2) float32, codes: (n,) uint8, as drawn; with codes, rows of the groups that are
        switched off do not count.
        """
        if self.box is not None:
            x0, y0, x1, y1 = self.box
            inside = (xy[:, 0] >= x0) & (xy[:, 0] <= x1) & (xy[:, 1] >= y0) & (xy[:, 1] <= y1)
        elif self.polygon is not None:
            from deita_core.map.outline import points_in_polygon

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
    names: Sequence[MapName] = (),
    height: int = 620,
    beside: str = "",
    on_pick: Callable[[int], None] | None = None,
) -> MapEvent:
    """Draw the map and return what the user has done to it.

    xy: (n, 2) float32; rows with NaN are counted in the caption and not drawn.
    codes: (n,) uint8, the index into `groups` (at most 256) of each row.
    version: names the coordinates and their order. While it stays the same, recolouring keeps
    zoom and outline; when it changes, the map starts afresh and old events are dropped.
    highlight: indices of rows to ring. hover_texts: from `pack_hover_texts`, n lines.
    names: written where they fit without covering each other, the largest first.
    beside: a selector of the panes beside the map; they and the map then end where the window does,
    and `height` only holds at first.
    on_pick: gets the code of the group whose name in the legend was clicked, in a callback before
    the page is drawn again; without it the legend only hides groups.
    Outline, view and hidden groups are there again when the user comes back from another page.
    """
    # One component per version, so that neither side can mistake the rows of one for another's.
    place = st.session_state[_SHOWN + key] = f"{key}@{version}"
    if len(codes) != len(xy):
        raise ValueError(f"codes must be ({len(xy)},) like the places, got {codes.shape}")
    base = str(st.get_option("server.baseUrlPath") or "").strip("/")
    root = f"/{base}/" if base else "/"
    unplaced = int(len(xy) - np.isfinite(xy).all(axis=1).sum())
    payload = map_payload(
        codes, groups,
        version=version, highlight=highlight, names=names, unplaced=unplaced, height=height,
        beside=beside, cleared=st.session_state.get(_CLEARED + place, 0),
        picks=[n for n, one in enumerate(groups) if on_pick is not None and one != OUTSIDE],
        key=place,
        library_url=f"{root}app/static/{_plotly_name()}",
    )  # fmt: skip

    def picked() -> None:
        asked = _current(st.session_state[place].get("picked"), version).get("code")
        if on_pick is not None and isinstance(asked, int) and 0 <= asked < len(groups):
            on_pick(asked)

    with st.container(gap=None):
        # Apart from the colours: Streamlit does not send again what the browser has already.
        data = places_payload(xy, name=place, hover_texts=hover_texts)
        places = component("deita_map_places", "map_component", *_PLACES, isolate_styles=True)
        places(key=f"{place}:places", data=data)
        # Plotly keeps its own rules in the document's head, out of a shadow root's reach.
        sent = component("deita_map", "map_component", *_MAP)(
            key=place,
            data=payload,
            # Streamlit only reports the state keys that have a callback.
            on_selection_change=lambda: None,
            on_clicked_change=lambda: None,
            on_hidden_change=lambda: None,
            on_picked_change=picked,
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


def pack_hover_texts(texts: Sequence[str], characters: int = 80) -> bytes:
    """The first `characters` of each text on one line each, UTF-8: what hovering shows.

    Worth its bytes up to about 50,000 rows. Cache the result: it does not change with colours.
    """
    lines = (" ".join(text[: characters * 4].split())[:characters] for text in texts)
    return without_surrogates("\n".join(lines)).encode()


def places_payload(xy: NDArray[np.float32], *, name: str, hover_texts: bytes = b"") -> bytes:
    """The message with what stays while colours change: header, x, y, hover texts.

    xy: (n, 2) float32, 8 bytes a row. name: what `map_payload` calls these places.
    """
    if xy.ndim != 2 or xy.shape[1] != 2:
        raise ValueError(f"xy must be (n, 2), got {xy.shape}")
    body = np.ascontiguousarray(xy.T, np.float32).tobytes()
    header = {"name": name, "rows": len(xy), "text": bool(hover_texts)}
    header["digest"] = zlib.crc32(hover_texts, zlib.crc32(body))
    return _message(header, body, hover_texts)


def map_payload(
    codes: NDArray[np.uint8],
    groups: Sequence[MapGroup],
    *,
    version: str,
    highlight: NDArray[np.integer[Any]] | None = None,
    names: Sequence[MapName] = (),
    unplaced: int = 0,
    height: int = 620,
    beside: str = "",
    cleared: int = 0,
    picks: Sequence[int] = (),
    key: str = "",
    library_url: str = "",
) -> bytes:
    """The message that `map.js` draws upon the places named `key`: header, highlight, codes.

    codes: (n,) uint8, one byte a row: all that is sent when colours change. unplaced: rows
    without a place. cleared: how often the outline was removed from Python.
    picks: codes of the groups whose names in the legend can be clicked. key: also the map's
    name in the browser's memory. library_url: of plotly.min.js.
    Raises ValueError when shapes do not fit together or a code has no group.
    """
    if codes.ndim != 1 or codes.dtype != np.uint8:
        raise ValueError(f"codes must be (n,) uint8, got {codes.shape} {codes.dtype}")
    if len(groups) > _MOST_GROUPS:
        raise ValueError(f"at most {_MOST_GROUPS} groups can be drawn, got {len(groups)}")
    if len(codes) and codes.max() >= len(groups):
        raise ValueError(f"code {codes.max()} has no group: there are {len(groups)}")
    marked = np.zeros(0, np.uint32) if highlight is None else np.asarray(highlight, np.uint32)
    if len(marked) and marked.max() >= len(codes):
        raise ValueError(f"highlight must index the {len(codes)} rows drawn, got {marked.max()}")
    body = marked.tobytes() + codes.tobytes()
    counts = np.bincount(codes, minlength=len(groups)).tolist()
    header = {
        "version": version,
        "digest": zlib.crc32(body),
        "rows": len(codes),
        "highlighted": len(marked),
        **legend(groups),
        "opacity": [group.opacity for group in groups],
        "counts": counts,
        "names": _names(names),
        "totals": [group.total for group in groups],
        "caption": describe_map(groups, counts, unplaced=unplaced),
        "height": height,
        "beside": beside,
        "cleared": cleared,
        "picks": list(picks),
        "key": key,
        "vertices": _MOST_VERTICES,
        "plotly": library_url,
    }
    return _message(header, body)


def _names(names: Sequence[MapName]) -> list[tuple[float, float, str]]:
    """Place and text of each, the largest first; long ones cut."""
    ranked = sorted(names, key=lambda name: -name.size)
    cut = (n.text if len(n.text) <= _NAME else f"{n.text[: _NAME - 1]}…" for n in ranked)
    return [(one.x, one.y, without_surrogates(text)) for one, text in zip(ranked, cut, strict=True)]


def _message(header: dict[str, Any], *parts: bytes) -> bytes:
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 4)  # so that the arrays start on a multiple of 4
    return b"".join((struct.pack("<I", len(text)), text, *parts))


def describe_map(groups: Sequence[MapGroup], counts: Sequence[int], *, unplaced: int = 0) -> str:
    """The map in one sentence, for those who cannot see it."""
    parts = [f"{g.label} {count:,}" for g, count in zip(groups, counts, strict=True) if count]
    missing = f" {unplaced:,} rows have no place on the map." if unplaced else ""
    return f"Map of {sum(counts):,} rows: {', '.join(parts) or 'none'}.{missing}"


def read_event(state: dict[str, Any], *, version: str, rows: int) -> MapEvent:
    """The component's state as a `MapEvent`; whatever does not fit these rows is dropped.

    The state comes from a browser, so nothing about its shape is taken on trust.
    """
    selection = _current(state.get("selection"), version)
    points, box = _points(selection.get("points")), None
    if points is not None and selection.get("kind") == "box":
        box = (*points.min(axis=0).tolist(), *points.max(axis=0).tolist())
        points = None
    clicked = _current(state.get("clicked"), version).get("row")
    hidden = _current(state.get("hidden"), version).get("codes")
    return MapEvent(
        polygon=points,
        box=box,
        clicked=clicked if isinstance(clicked, int) and 0 <= clicked < rows else None,
        hidden=tuple(c for c in hidden if isinstance(c, int)) if isinstance(hidden, list) else (),
    )


def _current(value: object, version: str) -> dict[str, Any]:
    return value if isinstance(value, dict) and value.get("version") == version else {}


def _points(value: object) -> NDArray[np.float64] | None:
    try:
        points = np.asarray(value, np.float64)
    except (TypeError, ValueError):
        return None
    if points.ndim != 2 or points.shape[1] != 2 or len(points) < 3:
        return None
    return points if np.isfinite(points).all() else None


def ensure_plotly(folder: Path) -> None:
    """Put plotly.min.js of the installed package into the folder that Streamlit serves, `static/`.

    A copy, because Streamlit serves nothing that a link leads out of it.
    """
    target = folder / _plotly_name()
    if not target.exists():
        spec = find_spec("plotly")
        if spec is None or spec.origin is None:
            raise ModuleNotFoundError("plotly is not installed: run `make app`, or pip install it")
        folder.mkdir(exist_ok=True)
        with whole_file(target) as partial:
            shutil.copyfile(Path(spec.origin).parent / "package_data" / "plotly.min.js", partial)


@cache
def _plotly_name() -> str:
    return f"plotly-{installed_version('plotly')}.min.js"
