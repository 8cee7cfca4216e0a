"""What a pool is made of, before any model has looked at it."""

from __future__ import annotations

import numpy as np
import streamlit as st

from deita_core.project.arrays import PoolArrays
from deita_core.project.browse import tally
from pages.parts import words
from pages.parts.chart_data import count_by_group
from pages.parts.charts import histogram_figure, is_dark, shares_figure, show
from pages.parts.colours import PLAIN
from pages.parts.map_payload import MapGroup
from pages.parts.resources import Opened, arrays

_GROUP = (MapGroup("conversations", PLAIN),)


def pool_overview(opened: Opened) -> None:
    """Lengths, turns, languages and flags of the pool, at a glance."""
    pool = arrays(opened)
    _figures(pool)
    left, right = st.columns(2)
    with left:
        st.caption("Length of a conversation; the longest 1 % count in the last bar")
        show(
            histogram_figure(
                count_by_group(pool.tokens.astype(np.float64), extent=_extent(pool.tokens)),
                _GROUP,
                title="tokens",
                unit="approximate",
                dark=is_dark(),
                height=210,
            ),
            key="overview-tokens",
            alt="How long the conversations are, in tokens",
        )
        st.caption("Languages")
        _shares(opened, "language")
    with right:
        st.caption("Turns of a conversation")
        names = np.array(["1", "2", "3 to 5", "6 to 10", "more than 10"])
        groups = names[np.searchsorted([1, 2, 5, 10], pool.turns)]
        found, counts = np.unique(groups, return_counts=True)
        by_name = dict(zip(found.tolist(), counts.tolist(), strict=True))
        show(
            shares_figure(
                {n: by_name[n] for n in names.tolist() if n in by_name},
                in_order=True,
                dark=is_dark(),
            ),
            key="overview-turns",
            alt="How many turns the conversations have",
        )
        st.caption("Flags: what looks careless without asking a model (see the tab Flags)")
        _shares(opened, "flag")


def _figures(pool: PoolArrays) -> None:
    columns = st.columns(4)
    several = int((pool.turns > 1).sum())
    flagged = int((pool.flags != 0).sum())
    columns[0].metric("Tokens in all", words.short(int(pool.tokens.sum())), border=True)
    columns[1].metric("Median length", f"{np.median(pool.tokens):,.0f} tokens", border=True)
    columns[2].metric("With several turns", words.share(several, len(pool)), border=True)
    columns[3].metric("With a flag", words.share(flagged, len(pool)), border=True)


def _extent(values: np.ndarray) -> tuple[float, float]:
    return 0.0, max(1.0, float(np.quantile(values, 0.99)))


def _shares(opened: Opened, column: str) -> None:
    counts = tally(opened.project, column)
    if counts.empty:
        st.caption("None.")
        return
    show(
        shares_figure(
            dict(zip(counts["name"], counts["rows"], strict=True)),
            most=8,
            total=len(arrays(opened)),
            dark=is_dark(),
        ),
        key=f"overview-{column}",
        alt=f"Rows by {column}",
    )
