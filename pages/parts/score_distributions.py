"""How the scores that selection uses are distributed."""

from __future__ import annotations

import numpy as np
import streamlit as st

from pages.parts.aggregation import aggregation_control
from pages.parts.chart_data import count_by_group, count_grid
from pages.parts.charts import density_figure, histogram_figure, is_dark, show
from pages.parts.colours import PLAIN
from pages.parts.map_payload import MapGroup
from pages.parts.resources import Opened, scores

_SCALE = (1.0, 6.0)


def score_distributions(opened: Opened) -> None:
    """Histograms of complexity, quality and evol score, and the first two together."""
    how = aggregation_control()
    columns = scores(opened, how)
    group = (MapGroup("conversations", PLAIN),)
    shown = (
        ("complexity", columns.complexity, _extent(columns.complexity)),
        ("quality", columns.quality, _extent(columns.quality)),
        ("evol score", columns.evol, None),
    )
    for place, (name, values, extent) in zip(st.columns(3), shown, strict=True):
        with place:
            if np.isnan(values).all():
                st.caption(f"No conversation has {name} yet.")
                continue
            unit = "1 to 6" if extent else how if name == "evol score" else "mean of turns"
            figure = histogram_figure(
                count_by_group(values, extent=extent), group, title=name, unit=unit,
                dark=is_dark(),
            )  # fmt: skip
            show(figure, key=f"histogram-{name}", alt=f"How many conversations have which {name}")
    both = ~(np.isnan(columns.complexity) | np.isnan(columns.quality))
    if both.any():
        st.subheader("Complexity and quality together")
        left, _ = st.columns([3, 2])
        extents = [extent for _, _, extent in shown[:2]]
        grid = count_grid(
            columns.complexity, columns.quality, extent=_SCALE if all(extents) else None
        )
        with left:
            show(
                density_figure(grid, x_title="complexity", y_title="quality", dark=is_dark()),
                key="density",
                alt="How many conversations have which pair of complexity and quality",
            )


def _extent(values: np.ndarray) -> tuple[float, float] | None:
    """The scale of a scorer, or None for a baseline, which has a range of its own."""
    known = values[~np.isnan(values)]
    if not len(known):
        return None
    return _SCALE if known.min() >= _SCALE[0] and known.max() <= _SCALE[1] else None
