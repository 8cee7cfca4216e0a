"""Counts for the charts: a pool of 300,000 rows becomes a few hundred numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pages.parts.map_payload import MapGroup


@dataclass(frozen=True)
class Histogram:
    """How many values fall between neighbouring edges, by group.

    edges: (b + 1,) float64, ascending. counts: (g, b) int64. missing: (g,) int64, how many
    values of each group are NaN and so in no bin. The last bin includes its upper edge.
    """

    edges: NDArray[np.float64]
    counts: NDArray[np.int64]
    missing: NDArray[np.int64]

    @property
    def total(self) -> int:
        """How many values are in a bin."""
        return int(self.counts.sum())


@dataclass(frozen=True)
class Density:
    """Counts on a grid: (b_y, b_x) int64 between `y_edges` and `x_edges`."""

    x_edges: NDArray[np.float64]
    y_edges: NDArray[np.float64]
    counts: NDArray[np.int64]


def count_by_group(
    values: NDArray[np.floating[Any]],
    codes: NDArray[np.integer[Any]] | None = None,
    groups: int = 1,
    *,
    bins: int = 40,
    extent: tuple[float, float] | None = None,
) -> Histogram:
    """Equal bins over `extent` (default: from the least to the largest value).

    values: (n,) float, NaN for missing. codes: (n,) in [0, groups). Values outside the extent
    count in the first or last bin, so that the bars add up to the rows.
    """
    group = np.zeros(len(values), np.int64) if codes is None else np.asarray(codes, np.int64)
    present = ~np.isnan(values)
    low, high = extent if extent is not None else _extent(values[present])
    edges = np.linspace(low, high, bins + 1)
    place = np.floor((values[present] - low) * (bins / ((high - low) or 1.0)))
    place = np.clip(place, 0, bins - 1).astype(np.int64)
    cells = np.bincount(group[present] * bins + place, minlength=groups * bins)
    missing = np.bincount(group[~present], minlength=groups)
    return Histogram(edges, cells.reshape(groups, bins), missing)


def count_grid(
    x: NDArray[np.floating[Any]],
    y: NDArray[np.floating[Any]],
    *,
    bins: int = 40,
    extent: tuple[float, float] | None = None,
) -> Density:
    """Rows per cell of a `bins` x `bins` grid; rows with a missing value are in no cell.

    extent: of both axes; default: of each from its least to its largest value.
    """
    both = ~(np.isnan(x) | np.isnan(y))
    columns = count_by_group(x[both], bins=bins, extent=extent)
    rows = count_by_group(y[both], bins=bins, extent=extent)
    counts, _, _ = np.histogram2d(
        np.clip(y[both], rows.edges[0], rows.edges[-1]),
        np.clip(x[both], columns.edges[0], columns.edges[-1]),
        bins=(rows.edges, columns.edges) if both.any() else bins,
    )
    return Density(columns.edges, rows.edges, counts.astype(np.int64))


def rank_shares(counts: Mapping[str, int], most: int) -> list[tuple[str, int]]:
    """The largest first, ties by name; the rest as one "other" entry at the end."""
    ranked = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    if len(ranked) <= most:
        return ranked
    rest = ranked[most:]
    return [*ranked[:most], (f"other ({len(rest)} more)", sum(count for _, count in rest))]


def histogram_table(histogram: Histogram, groups: Sequence[MapGroup]) -> dict[str, list[Any]]:
    """The same numbers as columns, for `st.dataframe`: from, to, and one column per group."""
    table: dict[str, list[Any]] = {
        "from": np.round(histogram.edges[:-1], 4).tolist(),
        "to": np.round(histogram.edges[1:], 4).tolist(),
    }
    for group, counts in zip(groups, histogram.counts, strict=True):
        if counts.any():
            table[group.label] = counts.tolist()
    return table


def _extent(values: NDArray[np.floating[Any]]) -> tuple[float, float]:
    if not len(values):
        return 0.0, 1.0
    low, high = float(values.min()), float(values.max())
    return (low, high) if low < high else (low - 0.5, high + 0.5)
