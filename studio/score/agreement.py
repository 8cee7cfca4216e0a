"""Scores as charts: how those in use are distributed, and how far two scorers agree."""

from __future__ import annotations

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from deita_core.project.scores import PairedScores, ScorerRecord, paired_scores
from deita_core.scoring.agreement import Agreement, agreement
from deita_core.scoring.protocol import DIMENSIONS
from studio.charts.charts import count_by_group, count_grid, density_figure, histogram_figure, show
from studio.rows.table import row_table
from studio.score.scorer_table import known_scorers
from studio.shell.resources import AS_OF_NOW, Opened, arrays, scores
from studio.shell.state import aggregation_control
from studio.shell.text import escape, model_label

# What a scorer of the paper's kind can give; a baseline has a range of its own.
_SCALE = (1.0, 6.0)


def score_distributions(opened: Opened) -> None:
    """Histograms of complexity, quality and evol score, and the first two together."""
    how = aggregation_control()
    columns = scores(opened, how)
    scales = {name: _scale_of(columns[name]) for name in DIMENSIONS}
    for place, name in zip(st.columns(3), (*DIMENSIONS, "evol score"), strict=True):
        values, extent = columns[name], scales.get(name)
        with place:
            if np.isnan(values).all():
                st.caption(f"No conversation has {name} yet.")
                continue
            unit = "1 to 6" if extent else how if name == "evol score" else "mean of turns"
            counts = count_by_group(values, extent=extent)
            show(
                histogram_figure(counts, title=name, unit=unit),
                key=f"histogram-{name}",
                alt=f"How many conversations have which {name}",
            )
    complexity, quality = columns["complexity"], columns["quality"]
    if not np.isnan(complexity + quality).all():
        st.subheader("Complexity and quality together")
        grid = count_grid(complexity, quality, extent=_SCALE if all(scales.values()) else None)
        with st.columns([3, 2])[0]:
            show(
                density_figure(grid, x_title="complexity", y_title="quality"),
                key="density",
                alt="How many conversations have which pair of complexity and quality",
            )


def _scale_of(values: NDArray[np.floating]) -> tuple[float, float] | None:
    """The scale of 1 to 6 when the values keep to it, else None."""
    known = values[~np.isnan(values)]
    on_scale = len(known) and _SCALE[0] <= known.min() and known.max() <= _SCALE[1]
    return _SCALE if on_scale else None


def agreement_view(opened: Opened) -> None:
    """Choose two scorers of one dimension; see where they agree and where they differ most."""
    records = {d: [r for r in known_scorers(opened) if r.dimension == d and r.scored]
               for d in DIMENSIONS}  # fmt: skip
    ready = [d for d in DIMENSIONS if len(records[d]) > 1]
    if not ready:
        st.info(
            "Only one scorer has run for each dimension. Run another one on this pool, or import "
            "its scores, to see where they agree: two small models are enough to learn from.",
            icon=":material/compare_arrows:",
        )
        return
    dimension = st.segmented_control(
        "Dimension", ready, default=ready[0], required=True, key="agreement_dimension",
        label_visibility="collapsed",
    )  # fmt: skip
    first, second = _pair(records[dimension], dimension)
    if first.scorer == second.scorer:
        st.caption("Choose two different scorers.")
        return
    paired, found = _compared(opened, first.scorer, second.scorer)
    st.markdown(f"#### {found.sentence()}.")
    if not found.turns:
        st.caption("Run one of them on more of the pool, or choose another pair.")
        return
    names = _names(first, second)
    left, right = st.columns([3, 2], vertical_alignment="center")
    with left:
        _scatter(paired, names)
    with right:
        st.caption(
            "Spearman compares the order in which the two put the turns, whatever their scales: "
            "1 is the same order, 0 is none, below 0 is the opposite."
        )
        st.caption(f"{found.only_first:,} turns have a score by {escape(names[0])} alone.")
        st.caption(f"{found.only_second:,} turns have a score by {escape(names[1])} alone.")
    st.subheader("Rows on which they differ most")
    _rows(opened, paired, found, names)


@st.cache_resource(show_spinner="Comparing the scores", max_entries=8, hash_funcs=AS_OF_NOW)
def _compared(opened: Opened, first: int, second: int) -> tuple[PairedScores, Agreement]:
    paired = paired_scores(opened.project, first, second)
    return paired, agreement(paired.first, paired.second)


def _pair(records: list[ScorerRecord], dimension: str) -> list[ScorerRecord]:
    """Two choices; at first the one in use and the latest other."""
    by_number = {r.scorer: r for r in records}
    active = next((r.scorer for r in records if r.active), records[0].scorer)
    other = next(n for n in reversed(by_number) if n != active)
    labels = {
        n: f"{model_label(r.model)} ({r.revision[:8]}) · {r.scored:,} turns"
        for n, r in by_number.items()
    }
    found = []
    starts = {"First": active, "Second": other}
    for place, (which, start) in zip(st.columns(2), starts.items(), strict=True):
        number = place.selectbox(
            f"{which} scorer",
            list(labels),
            index=list(labels).index(start),
            format_func=labels.__getitem__,
            key=f"agreement_{which}_{dimension}",
        )
        found.append(by_number[number or start])
    return found


def _names(first: ScorerRecord, second: ScorerRecord) -> tuple[str, str]:
    one, two = model_label(first.model), model_label(second.model)
    if one == two:
        return f"{one} ({first.revision[:8]})", f"{two} ({second.revision[:8]}, 2nd)"
    return one, two


def _scatter(paired: PairedScores, names: tuple[str, str]) -> None:
    both = ~(np.isnan(paired.first) | np.isnan(paired.second))
    x, y = paired.first[both].astype(np.float64), paired.second[both].astype(np.float64)
    # The whole scale would squeeze a scorer that uses little of it into a few cells.
    fills = all(_scale_of(v) is not None and float(np.ptp(v)) > 1.0 for v in (x, y))
    grid = count_grid(x, y, extent=_SCALE if fills else None)
    x_title, y_title = (name if len(name) <= 36 else "…" + name[-35:] for name in names)
    show(
        density_figure(grid, x_title=x_title, y_title=y_title, of="turns"),
        key="agreement",
        alt="How many turns have which pair of scores",
    )


def _rows(opened: Opened, paired: PairedScores, found: Agreement, names: tuple[str, str]) -> None:
    """Each row once, at its most different turn."""
    if not len(found.differ):
        st.caption("They put all turns in the same order.")
        return
    first_place = np.sort(np.unique(paired.row[found.differ], return_index=True)[1])
    places = found.differ[first_place]
    rows = paired.row[places]
    columns = {
        names[0]: np.round(paired.first[places].astype(np.float64), 2),
        names[1]: np.round(paired.second[places].astype(np.float64), 2),
        "rank moves by": np.round(found.rank_difference[first_place], 2),
        "turn": paired.turn[places].astype(np.float64) + 1,
    }
    extra = {name: np.full(len(arrays(opened)), np.nan) for name in columns}
    for name, values in columns.items():
        extra[name][rows] = values
    st.caption(
        "By how much of the pool the second scorer ranks the turn higher (or, below 0, lower)."
    )
    row_table(opened, rows, key="agreement_rows", extra=extra)
