"""The message that carries the map to the browser, and the groups of rows in it."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pages.parts.colours import Shade

_MOST_VERTICES = 400
_MOST_GROUPS = 256


@dataclass(frozen=True, slots=True)
class MapGroup:
    """One group of rows on the map: its name, colour and opacity of its points in [0, 1]."""

    label: str
    shade: Shade
    opacity: float = 0.8


def pack_hover_texts(texts: Sequence[str], characters: int = 80) -> bytes:
    """The first `characters` of each text on one line each, UTF-8: what hovering shows.

    Worth its bytes up to about 50,000 rows. Cache the result: it does not change with colours.
    """
    lines = (" ".join(text[: characters * 4].split())[:characters] for text in texts)
    return "\n".join(lines).encode("utf-8", "replace")


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
    unplaced: int = 0,
    height: int = 620,
    report_viewport: bool = False,
    cleared: int = 0,
    key: str = "",
    library_url: str = "",
) -> bytes:
    """The message that `map.js` draws upon the places named `key`: header, highlight, codes.

    codes: (n,) uint8, one byte a row: all that is sent when colours change. unplaced: rows
    without a place. cleared: how often the outline was removed from Python. key: also the map's
    name in the browser's memory. library_url: of plotly.min.js.
    Raises ValueError when shapes do not fit together or a code has no group.
    """
    _check(codes, groups)
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
        "labels": [group.label for group in groups],
        "light": [group.shade.light for group in groups],
        "dark": [group.shade.dark for group in groups],
        "opacity": [group.opacity for group in groups],
        "counts": counts,
        "caption": describe_map(groups, counts, unplaced=unplaced),
        "height": height,
        "viewport": report_viewport,
        "cleared": cleared,
        "key": key,
        "vertices": _MOST_VERTICES,
        "plotly": library_url,
    }
    return _message(header, body)


def _message(header: dict[str, Any], *parts: bytes) -> bytes:
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 4)  # so that the arrays start on a multiple of 4
    return b"".join((struct.pack("<I", len(text)), text, *parts))


def describe_map(groups: Sequence[MapGroup], counts: Sequence[int], *, unplaced: int = 0) -> str:
    """The map in one sentence, for those who cannot see it."""
    parts = [f"{g.label} {count:,}" for g, count in zip(groups, counts, strict=True) if count]
    missing = f" {unplaced:,} rows have no place on the map." if unplaced else ""
    return f"Map of {sum(counts):,} rows: {', '.join(parts) or 'none'}.{missing}"


def _check(codes: NDArray[np.uint8], groups: Sequence[MapGroup]) -> None:
    if codes.ndim != 1 or codes.dtype != np.uint8:
        raise ValueError(f"codes must be (n,) uint8, got {codes.shape} {codes.dtype}")
    if len(groups) > _MOST_GROUPS:
        raise ValueError(f"at most {_MOST_GROUPS} groups can be drawn, got {len(groups)}")
    if len(codes) and codes.max() >= len(groups):
        raise ValueError(f"code {codes.max()} has no group: there are {len(groups)}")


def count_unplaced(xy: NDArray[np.float32]) -> int:
    """How many rows have no finite place, and so are not drawn."""
    return int(len(xy) - np.isfinite(xy).all(axis=1).sum())
