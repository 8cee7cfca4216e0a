"""How the values of a column spread: over rows in view and pool, over groups, with another column.

Pure; `distributions` draws it. A value that is missing is NaN everywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_core.filtering.columns import Column
from deita_core.filtering.filter import Bounds
from deita_core.scoring.agreement import agreement
from deita_core.selection.analysis.measures import bin_edges

Floats = NDArray[np.float64]
Rows = NDArray[np.int64]

BINS = 40
# The outermost values of a column of many sizes would leave one cell to all others.
_TAIL = 0.995


@dataclass(frozen=True, slots=True, eq=False)
class Group:
    """Some of the rows in view, ascending, and what they have in common."""

    name: str
    rows: Rows


@dataclass(frozen=True, slots=True, eq=False)
class Spread:
    """The values of one column over some rows.

    rows: how many have a value; missing: how many have none. low, median, high: the 10th, 50th and
    90th percentile, NaN without a value. shares: (b,) float64, the share of `rows` in each bin.
    """

    name: str
    rows: int
    missing: int
    low: float
    median: float
    high: float
    shares: Floats


def edges_of(values: Floats, bins: int = BINS) -> Floats:
    """Edges for the bins of a column, (b + 1,); the last bin takes what lies above it, too.

    values: of the whole pool, so that the bins stay while the view changes.
    """
    present = values[~np.isnan(values)]
    whole = bool(len(present)) and bool((present == np.rint(present)).all())
    return bin_edges(present, whole, bins)


def spread(name: str, values: Floats, edges: Floats) -> Spread:
    """The spread of these values over the bins."""
    present = values[~np.isnan(values)]
    place = np.clip(np.searchsorted(edges, present, side="right") - 1, 0, len(edges) - 2)
    counts = np.bincount(place, minlength=len(edges) - 1)
    ends = np.quantile(present, (0.1, 0.5, 0.9)).tolist() if len(present) else [np.nan] * 3
    missing = len(values) - len(present)
    return Spread(name, len(present), missing, *ends, counts / max(1, len(present)))


def groups_of(column: Column, rows: Rows, most: int) -> list[Group]:
    """The rows by their names in a column, the largest group first, at most `most` and the rest.

    Rows without a name are "none". A row with several names stands in the group of each of them.
    """
    if column.kind == "names":
        found = [Group(n, rows[column.values[rows, i]]) for i, n in enumerate(column.names)]
        found.append(Group("none", rows[~column.values[rows].any(axis=1)]))
    else:
        codes = column.values[rows].astype(np.int64)
        order = np.argsort(codes, kind="stable")
        names = ["none", *column.names]
        ends = np.searchsorted(codes[order], np.arange(-1, len(names)))
        found = [
            Group(name, rows[order[a:b]])
            for name, a, b in zip(names, ends[:-1], ends[1:], strict=True)
        ]
    found = sorted((one for one in found if len(one.rows)), key=lambda one: -len(one.rows))
    if len(found) <= most + 1:
        return found
    rest = np.unique(np.concatenate([one.rows for one in found[most:]]))
    return [*found[:most], Group(f"other ({len(found) - most} more)", rest)]


def whole_bins(edges: Floats, low: float, high: float) -> tuple[float, float]:
    """The edges around a stretch that was dragged over; around one bin for a click."""
    first = np.clip(np.searchsorted(edges, low, side="right") - 1, 0, len(edges) - 2)
    last = np.clip(np.searchsorted(edges, high, side="left"), first + 1, len(edges) - 1)
    return float(edges[first]), float(edges[last])


def stretch(column: str, low: float, high: float, top: float) -> Bounds:
    """The filter for a stretch of the axis, its ends rounded to four digits.

    top: the last edge; a stretch up to it has no upper end, because the last bin has none.
    """
    low, high = float(f"{low:.4g}"), float(f"{high:.4g}")
    return Bounds(column=column, low=low, high=None if high >= top else high)


def within_tails(values: Floats) -> Floats:
    """The values with the outermost half percent at either end moved in to where that begins."""
    present = values[~np.isnan(values)]
    if not len(present):
        return values
    low, high = np.quantile(present, (1 - _TAIL, _TAIL))
    return np.clip(values, low, high)


def correlations(
    scores: Mapping[str, Floats], lengths: Mapping[str, Floats], rows: Rows
) -> dict[str, dict[str, float]]:
    """Spearman's rank correlation of each score with each length over the rows; NaN where none."""
    return {
        name: {
            length: agreement(values[rows], sizes[rows], most=0).spearman
            for length, sizes in lengths.items()
        }
        for name, values in scores.items()
    }


def is_spread(values: NDArray[np.floating[Any]]) -> bool:
    """Whether there are two different values at least, so that there is something to draw."""
    present = values[~np.isnan(values)]
    return len(present) > 1 and bool(np.ptp(present) > 0)
