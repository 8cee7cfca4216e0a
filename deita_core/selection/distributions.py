"""How the values of a column are spread: in the pool, the selection, and a random baseline."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.selection.evol import row_scores
from deita_core.selection.outcome import Outcome
from deita_core.selection.table import SelectionInput

BINS: Final = 40
COLUMNS: Final = ("evol_score", "complexity", "quality", "tokens", "turns")
_WHOLE: Final = ("tokens", "turns")
_TAIL: Final = 0.995


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """Rows by the value of a column.

    edges: (b + 1,) float64, ascending; a bin holds edges[i] <= value < edges[i + 1], the last one
    everything above too (`open_ended`: there is something). pool, selection, random: (b,) int64.
    missing: rows of the pool without a value.
    """

    column: str
    edges: NDArray[np.float64]
    open_ended: bool
    pool: NDArray[np.int64]
    selection: NDArray[np.int64]
    random: NDArray[np.int64]
    missing: int


def distributions(
    table: SelectionInput, outcome: Outcome, random_rows: NDArray[np.int64]
) -> tuple[Distribution, ...]:
    """The distribution of every column of `COLUMNS` over the same bins for all three sets.

    random_rows: (k,) int64, see `random_baseline`.
    """
    scores = row_scores(table.turn_row, table.turn_complexity, table.turn_quality, len(table))
    values = (outcome.scores, scores.complexity, scores.quality, table.tokens, table.turns)
    return tuple(
        distribution(name, column, outcome.kept, random_rows)
        for name, column in zip(COLUMNS, values, strict=True)
    )


def distribution(
    name: str,
    values: NDArray[np.number],
    selection: NDArray[np.int64],
    random_rows: NDArray[np.int64],
    bins: int = BINS,
) -> Distribution:
    """The distribution of one column: (n,) values of the pool's rows, NaN where missing.

    The bins are even up to the 99.5th percentile of the pool; the last one takes the rest.
    """
    if bins < 1:
        raise SelectionError(f"a distribution needs 1 bin or more, got {bins}")
    column = values.astype(np.float64)
    present = column[~np.isnan(column)]
    edges = _edges(present, name in _WHOLE, bins)

    def counts(rows: NDArray[np.float64]) -> NDArray[np.int64]:
        inside = np.searchsorted(edges, rows[~np.isnan(rows)], side="right") - 1
        return np.bincount(np.minimum(inside, len(edges) - 2), minlength=len(edges) - 1)

    return Distribution(
        column=name,
        edges=edges,
        open_ended=bool((present >= edges[-1]).any()),
        pool=counts(column),
        selection=counts(column[selection]),
        random=counts(column[random_rows]),
        missing=len(column) - len(present),
    )


def _edges(present: NDArray[np.float64], whole: bool, bins: int) -> NDArray[np.float64]:
    if not len(present):
        return np.array([0.0, 1.0])
    low, high = float(present.min()), float(np.quantile(present, _TAIL))
    if whole:
        low, high = np.floor(low), np.floor(high) + 1
        step = max(1.0, np.ceil((high - low) / bins))
        edges: NDArray[np.float64] = low + step * np.arange(int(np.ceil((high - low) / step)) + 1)
        return edges
    return np.linspace(low, high, bins + 1) if high > low else np.array([low, low + 1.0])
