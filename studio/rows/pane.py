"""Map and pane beside each other, and in the pane the list of rows with the conversation beneath.

What is chosen in the list is drawn by a fragment: the map stays as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from streamlit.delta_generator import DeltaGenerator

from studio.rows.row_list import LIST_HEIGHT, row_list
from studio.rows.table import show_conversation
from studio.shell import state
from studio.shell.projects import page_shown
from studio.shell.resources import Opened, arrays, scores

Rows = NDArray[np.int64]

_SEEN: Final = "_click_seen_"
# Shares of map and pane.
_SPLITS: Final = {"map": (7, 5), "even": (1, 1), "list": (5, 8)}
# Ways to order rows: label, column of `scores` or of the pool, whether the highest comes first.
ORDERS: Final[dict[str, tuple[str, str, bool]]] = {
    "pool": ("as they come", "", False),
    "evol": ("highest evol score first", "evol score", True),
    "evol-low": ("lowest evol score first", "evol score", False),
    "complexity": ("most complex first", "complexity", True),
    "quality": ("best quality first", "quality", True),
    "quality-low": ("worst quality first", "quality", False),
    "long": ("longest first", "tokens", True),
    "short": ("shortest first", "tokens", False),
}


def split_control(key: str) -> str:
    """Draw the choice of how map and pane share the width; it stands in the address."""
    labels = {
        "map": ":material/left_panel_open:",
        "even": ":material/splitscreen_right:",
        "list": ":material/right_panel_open:",
    }
    return state.bound_choice(
        "Width of the map and of what stands beside it",
        labels,
        key=key,
        default="even",
        show_label=False,
        help=None,
    )


def map_and_pane(split: str) -> tuple[DeltaGenerator, DeltaGenerator]:
    """Two columns, of the map and of what stands beside it."""
    left, right = st.columns(_SPLITS[split], gap="small")
    return left, right


def order_control(*, closest: bool = False) -> str:
    """Draw the choice of the order of the rows, one of `ORDERS`; it stands in the address.

    closest: whether the rows come in the order of their closeness.
    """
    labels = {key: label for key, (label, _, _) in ORDERS.items()}
    if closest:
        labels["pool"] = "closest first"
    return state.bound_choice(
        "Order of the rows", labels, key=state.ORDER, kind="list", show_label=False
    )


def in_order(opened: Opened, rows: Rows, order: str) -> Rows:
    """The rows in one of `ORDERS`; ties by row, rows without a value last."""
    _, column, highest = ORDERS[order]
    if not column:
        return rows
    known = scores(opened)
    values = known[column] if column in known else arrays(opened).tokens.astype(np.float64)
    values = values[rows]
    ordered: Rows = rows[np.lexsort((rows, -values if highest else values))]
    return ordered


def focus_of(opened: Opened, key: str, clicked: int | None) -> str:
    """The session's key of the row that is read in the pane `key`; a new click on the map sets it.

    clicked: the row last clicked on the map.
    """
    focus, seen = f"{state.FOCUS}_{key}_{opened.key}", f"{_SEEN}{key}_{opened.key}"
    if st.session_state.get(seen) != clicked:
        st.session_state[seen] = clicked
        if clicked is not None:
            st.session_state[focus] = clicked
    return focus


@st.fragment
def rows_pane(
    opened: Opened,
    rows: Rows,
    *,
    key: str,
    clicked: int | None,
    height: int,
    extra: Mapping[str, NDArray[Any]],
) -> None:
    """List and conversation in this height, which a choice in the list draws anew, nothing else.

    clicked: the row last clicked on the map; it is read until another is chosen. extra: see
    `row_list`.
    """
    focus = focus_of(opened, key, clicked)
    at = st.session_state.get(focus)
    if at is None or (at != clicked and at not in rows):
        at = int(rows[0]) if len(rows) else None
    pane = st.container(height=height, border=False, key=f"{key}_pane", autoscroll=False)
    with page_shown(opened), pane:
        if len(rows):
            reader = f"{key}_reader"
            event = row_list(
                opened,
                rows,
                key=f"{key}_list",
                at=at,
                extra=extra,
                scrolled=f".st-key-{reader}",
            )
            if event.row is not None:
                at = st.session_state[focus] = event.row
        else:
            st.info("No row is left: take a filter out, or clear search or outline.")
        if at is not None:
            beneath = height - LIST_HEIGHT - 18 if len(rows) else height
            with st.container(border=True, height=beneath, key=f"{key}_reader", autoscroll=False):
                if show_conversation(opened, at, key=f"{key}_conversation", like=True):
                    st.rerun()  # the filter is the page's
