"""How turns count: one control, the same on the pages that have it."""

from __future__ import annotations

import streamlit as st

from deita_core.selection.evol import AGGREGATIONS
from studio.shell import state


def aggregation_control() -> str:
    """Draw the control with the explanation of what is chosen; its value stands in the URL."""
    value = st.segmented_control(
        "Turns count as",
        [one.name for one in AGGREGATIONS],
        default="sum",
        required=True,
        key=state.AGGREGATION,
        bind="query-params",
    )
    st.caption(next(one.explanation for one in AGGREGATIONS if one.name == value))
    return str(value)
