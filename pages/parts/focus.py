"""The row somebody is reading, which stays in view while the rule changes around it."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from pages.parts import state
from pages.parts.resources import Opened


def focused(opened: Opened, place: str, source: str, chosen: Sequence[int]) -> int | None:
    """The row to read at this place of the page.

    chosen: what is chosen in the table or map now. source: names that table; another one, drawn
    because other rows came to stand in it, takes nothing away.
    """
    seen, row = f"{state.FOCUS}_seen_{place}_{opened.key}", _key(opened, place)
    before, now = st.session_state.get(seen), (source, tuple(chosen))
    if before != now:
        st.session_state[seen] = now
        if len(chosen) == 1:
            st.session_state[row] = int(chosen[0])
        elif before is not None and before[0] == source:
            st.session_state.pop(row, None)
    found: int | None = st.session_state.get(row)
    return found


def close_button(opened: Opened, place: str) -> None:
    """Stop reading the row."""
    st.button(
        "Close",
        icon=":material/close:",
        type="tertiary",
        key=f"close_{place}",
        on_click=_close,
        args=(_key(opened, place),),
    )


def _key(opened: Opened, place: str) -> str:
    return f"{state.FOCUS}_{place}_{opened.key}"


def _close(key: str) -> None:
    st.session_state.pop(key, None)
