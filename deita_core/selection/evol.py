"""Evol scores: from the scores of turns to the score of a conversation, and the order it gives.

The evol score of a turn is its complexity x its quality; the paper (arXiv 2312.15685, section
3.4) sums over the turns of a conversation. Both may be raised to a power of their own, to weigh
one dimension more; powers of 1 are the paper's.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError

Codes = NDArray[np.integer]
Values = NDArray[np.floating]
Scores = NDArray[np.float64]

_HALF = np.uint64(32)


def from_highest(scores: Scores) -> NDArray[np.int64]:
    """Places from the highest score down, ties by place, NaN last: (n,) int64, n < 2**32.

    The same as a stable sort of the negated scores in about half the time: the score in float32
    and the place make one whole number, and these sort quickest. Rows whose scores differ only in
    float64 are put right afterwards.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        bits = (-scores + 0.0).astype(np.float32).view(np.int32)  # + 0.0: there is one zero
    falling = np.where(bits < 0, ~bits, bits ^ np.int32(-(2**31))).view(np.uint32)
    falling[np.isnan(scores)] = np.uint32(2**32 - 1)
    both = (falling.astype(np.uint64) << _HALF) | np.arange(len(scores), dtype=np.uint64)
    both.sort()
    order = (both & np.uint64(2**32 - 1)).astype(np.int64)
    ranked = scores[order]
    if (ranked[:-1] < ranked[1:]).any():
        _put_right(order, ranked, both >> _HALF)
    return order


def _put_right(order: NDArray[np.int64], ranked: Scores, rough: NDArray[np.uint64]) -> None:
    """Sorts the runs that are one in float32 and not in float64, in place."""
    run = np.concatenate([[0], np.cumsum(rough[1:] != rough[:-1])])
    differ = run[1:][(run[1:] == run[:-1]) & (ranked[1:] != ranked[:-1])]
    places = np.flatnonzero(np.isin(run, differ))
    rows = order[places]
    order[places] = rows[np.lexsort((rows, -ranked[places], run[places]))]


@dataclass(frozen=True, slots=True)
class Aggregation:
    """One way from turns to a conversation, explained in one line."""

    name: str
    explanation: str


AGGREGATIONS: Final = (
    Aggregation("sum", "All turns add up, as in the paper: favours long chats."),
    Aggregation("mean", "The average turn: one weak turn pulls a good chat down."),
    Aggregation("max", "The best turn alone: length neither helps nor hurts."),
    Aggregation("last", "The last scored turn alone: the one a long chat ends on."),
)


def check_aggregation(name: str) -> None:
    """SelectionError when the name is none of `AGGREGATIONS`."""
    known = [way.name for way in AGGREGATIONS]
    if name not in known:
        raise SelectionError(f"aggregation must be one of {', '.join(known)}, got {name!r}")


def evol_scores(
    turn_rows: Codes,
    complexity: Values,
    quality: Values,
    rows: int,
    aggregation: str = "sum",
    complexity_weight: float = 1.0,
    quality_weight: float = 1.0,
) -> Scores:
    """The evol score of each row: (rows,) float64, NaN for a row with no complete turn.

    turn_rows: (t,) in [0, rows), the row of each turn; the turns of a row in their order, rows
    in any order. complexity, quality: (t,), 1 to 6; a turn with a NaN in either is left out. The
    weights are those of `turn_scores`.
    """
    _check_turns(turn_rows, complexity, quality, rows)
    products = turn_scores(complexity, quality, complexity_weight, quality_weight)
    return _aggregate(turn_rows, products, rows, aggregation)


def turn_scores(
    complexity: Values, quality: Values, complexity_weight: float, quality_weight: float
) -> Scores:
    """complexity^a x quality^b of each turn: (t,) float64, NaN where one that counts is missing.

    Weights are 0 or more; a dimension of weight 0 is left out, so a NaN in it does no harm.
    Raises SelectionError where a power would reverse the order of scores below 0.
    """
    scores = np.ones(len(complexity))
    for what, values, weight in (
        ("complexity", complexity, complexity_weight),
        ("quality", quality, quality_weight),
    ):
        if weight == 0.0:
            continue
        exact = values.astype(np.float64)
        if weight != 1.0:
            lowest = np.nanmin(exact, initial=np.inf)
            if lowest < 0:
                raise SelectionError(
                    f"{what} goes down to {lowest:.3g}, and scores below 0 have no power of "
                    f"{weight:g}: weigh it by 1 or 0, or choose another scorer"
                )
            exact **= weight
        scores *= exact
    return scores


def _aggregate(turn_rows: Codes, values: Values, rows: int, aggregation: str) -> Scores:
    """Values of checked turns to values of rows: (rows,) float64; NaN turns are left out."""
    check_aggregation(aggregation)
    scored = np.flatnonzero(~np.isnan(values))
    places, kept = turn_rows[scored].astype(np.int64), values[scored].astype(np.float64)
    counts = np.bincount(places, minlength=rows)
    result = np.full(rows, -np.inf)
    if aggregation == "last":
        result[places] = kept  # where a place stands twice, its last value counts
    elif aggregation == "max":
        np.maximum.at(result, places, kept)
    else:
        result[:] = np.bincount(places, weights=kept, minlength=rows)
    if aggregation == "mean":
        result /= np.maximum(counts, 1)
    result[counts == 0] = np.nan
    return result


@dataclass(frozen=True, slots=True)
class RowScores:
    """complexity, quality: (rows,) float64, mean over the scored turns; NaN where there is none."""

    complexity: Scores
    quality: Scores


def row_scores(turn_rows: Codes, complexity: Values, quality: Values, rows: int) -> RowScores:
    """Mean complexity and mean quality of each row, each over the turns that have it."""
    _check_turns(turn_rows, complexity, quality, rows)
    return RowScores(
        *(_aggregate(turn_rows, values, rows, "mean") for values in (complexity, quality))
    )


def _check_turns(turn_rows: Codes, complexity: Values, quality: Values, rows: int) -> None:
    if not (turn_rows.ndim == 1 and turn_rows.shape == complexity.shape == quality.shape):
        raise SelectionError(
            "turn_rows, complexity and quality must be (t,) each, got "
            f"{turn_rows.shape}, {complexity.shape} and {quality.shape}"
        )
    if len(turn_rows) and not 0 <= turn_rows.min() <= turn_rows.max() < rows:
        raise SelectionError(
            f"turn_rows must lie from 0 to {rows - 1}, got {turn_rows.min()} to {turn_rows.max()}"
        )
