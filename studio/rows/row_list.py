"""A list of rows of any length, to walk with the arrow keys.

The list is a component of ours (`list_component/`): the browser has the lines around those in
sight, and asks for others as one scrolls. Back come only places in the list.
"""

from __future__ import annotations

import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from deita_core.conversation import without_surrogates
from deita_core.project.browse import table_of
from studio.charts import component
from studio.charts.colours import MapGroup, legend
from studio.filters.found import excerpts
from studio.shell import state
from studio.shell.resources import AS_OF_NOW, Opened, scores
from studio.shell.text import plural

Rows = NDArray[np.int64]

# Lines that go to the browser at once; about ten are in sight.
BATCH: Final = 120
LIST_HEIGHT: Final = 264  # pixels: six lines
_FILES: Final = ("list.html", "list.css", "../../charts/chart_component/theme.js", "list.js")
_SEEN: Final = "_list_seen_"


@dataclass(frozen=True, slots=True)
class ListEvent:
    """What was done in a list. row: chosen just now, or None. ticked: rows, in their order."""

    row: int | None = None
    ticked: tuple[int, ...] = ()


def row_list(
    opened: Opened,
    rows: Rows,
    *,
    key: str,
    at: int | None,
    aggregation: str = "sum",
    extra: Mapping[str, NDArray[Any]] | None = None,
    colours: tuple[NDArray[np.uint8], Sequence[MapGroup]] | None = None,
    many: bool = False,
    height: int = LIST_HEIGHT,
    scrolled: str = "",
) -> ListEvent:
    """Draw the rows in their order; what the hand did since the last run.

    at: the row that is shown as chosen. extra: facts by name, (n,) over the whole pool, told first.
    colours: codes (n,) of the whole pool and their groups, a dot each. many: lines can be ticked.
    scrolled: a selector of what goes back to its beginning when another row is chosen.
    """
    name = f"{zlib.crc32(np.ascontiguousarray(rows).tobytes()):x}-{len(rows)}"
    sent = st.session_state.get(key) or {}
    chosen, wanted, ticked = (_of(sent.get(one), name) for one in ("chosen", "wanted", "ticked"))
    seen = st.session_state.setdefault(_SEEN + key, 0)
    place, said = chosen.get("place"), chosen.get("said")
    row = None
    if isinstance(said, int) and said != seen and _is_place(place, rows):
        st.session_state[_SEEN + key] = said
        row = at = int(rows[place])
    ticks = tuple(one for one in ticked.get("places") or () if _is_place(one, rows))
    found = np.flatnonzero(rows == at) if at is not None else ()
    standing = int(found[0]) if len(found) else -1
    around = wanted.get("place")
    centre = around if _is_place(around, rows) and row is None else max(standing, 0)
    first = max(0, centre - BATCH // 2)
    shown = tuple(rows[first : first + BATCH].tolist())
    codes, groups = colours or (None, ())
    component("deita_list", "../rows/list_component", *_FILES, isolate_styles=True)(
        key=key,
        data={
            "name": name,
            "total": len(rows),
            "first": first,
            "lines": _lines(opened, shown, aggregation, extra or {}, codes),
            "at": standing,
            "row": at,
            "said": st.session_state[_SEEN + key],
            "ticked": list(ticks),
            "many": many,
            "height": height,
            "label": f"Conversations, {plural(len(rows))}; the arrow keys walk through them",
            "scrolled": scrolled,
            **legend(groups),
        },
        on_chosen_change=lambda: None,
        on_wanted_change=lambda: None,
        on_ticked_change=lambda: None,
    )
    return ListEvent(row, tuple(int(rows[one]) for one in ticks))


def _of(value: object, name: str) -> dict[str, Any]:
    """What the browser said, if it is about this list."""
    return dict(value) if isinstance(value, Mapping) and value.get("name") == name else {}


def _is_place(place: object, rows: Rows) -> bool:
    return isinstance(place, int) and 0 <= place < len(rows)


def _lines(
    opened: Opened,
    shown: tuple[int, ...],
    aggregation: str,
    extra: Mapping[str, NDArray[Any]],
    codes: NDArray[np.uint8] | None,
) -> list[tuple[str, str, int | None]]:
    """Of each row its text, what is told about it, and the code of its dot."""
    known = [*extra.items(), *scores(opened, aggregation).items()]
    texts = _texts(opened, shown, st.session_state.get(state.MARKED, ()))
    lines = []
    for row, (text, facts) in zip(shown, texts, strict=True):
        told = [_told(name, values[row]) for name, values in known]
        note = " · ".join([f"row {row:,}", *filter(None, told), *facts])
        lines.append((text, note, None if codes is None else int(codes[row])))
    return lines


def _told(name: str, value: Any) -> str:
    """A fact in a few letters; nothing where there is none."""
    if isinstance(value, str):
        return value
    if value != value or (isinstance(value, np.integer) and value < 0):
        return ""
    return f"{name} {value:,.2f}" if isinstance(value, np.floating) else f"{name} {value:,}"


@st.cache_data(show_spinner=False, max_entries=64, hash_funcs=AS_OF_NOW)
def _texts(
    opened: Opened, shown: tuple[int, ...], queries: tuple[str, ...]
) -> list[tuple[str, list[str]]]:
    """Beginning of each row, or the text around a hit of the queries, and its facts.

    queries: what `excerpts` takes from the session; here it is a part of the key.
    """
    table = table_of(opened.project, shown)
    around = excerpts(opened, shown) or [None] * len(shown)
    lines = []
    for text, one in zip(around, table.itertuples(), strict=True):
        turns = [f"{one.turns:,} turns"] if one.turns > 1 else []
        language = [one.language] if isinstance(one.language, str) else []
        facts = [*language, *turns, *(flag.replace("_", " ") for flag in one.flags)]
        lines.append((without_surrogates(text or one.preview), facts))
    return lines
