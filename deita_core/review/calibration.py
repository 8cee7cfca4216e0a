"""People's scores held against a scorer's: how close they are, where not, and what that costs.

People score a conversation as a whole, scorers each turn: compared is the mean of the people's
scores with the mean over the turns. What errors cost is found by selecting once with the scorer's
scores and once with the people's in their place, by the same rule on the same pool.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import ReviewError
from deita_core.review.answers import Rows, Values
from deita_core.review.decision import Dimension
from deita_core.scoring.agreement import agreement
from deita_core.selection.analysis.changes import Changes, changes
from deita_core.selection.outcome import select
from deita_core.selection.pool_table import PoolTable
from deita_core.selection.rule import SelectionRule

LENGTH_BANDS = 4
MOST_ERRORS = 50


@dataclass(frozen=True, slots=True)
class Closeness:
    """People and a scorer on some rows.

    part: what the rows have in common, as in "language en"; "all". spearman: rank correlation, NaN
    for fewer than two rows or constant scores. within_one: share in [0, 1] at most one point
    apart. bias: mean of the scorer's minus the people's, in points.
    """

    part: str
    rows: int
    spearman: float
    within_one: float
    bias: float


@dataclass(frozen=True, slots=True, eq=False)
class Calibration:
    """A scorer against people.

    parts: by language, cluster and length, in this order. rows: those scored by both, the largest
    error first, (k,) int64. people, scores: (k,) float64 of these rows, in points. length_spearman:
    of the people's scores with the characters of the row: what length alone would reach.
    """

    dimension: Dimension
    scorer: str
    whole: Closeness
    length_spearman: float
    parts: tuple[Closeness, ...]
    rows: Rows
    people: Values
    scores: Values

    def sentence(self) -> str:
        """The comparison in plain words."""
        if not self.whole.rows:
            return f"{self.dimension} by {self.scorer}: no row is scored by people and by it"
        return (
            f"{self.dimension} by {self.scorer}: Spearman {self.whole.spearman:.2f} with people "
            f"(length alone {self.length_spearman:.2f}), {self.whole.within_one:.0%} within one "
            f"point, {self.whole.bias:+.2f} points on average, over {self.whole.rows:,} rows"
        )


def calibration(
    people: Values, scores: Values, table: PoolTable, *, dimension: Dimension, scorer: str
) -> Calibration:
    """Compares (n,) scores of people and of a scorer, row by row of the pool, NaN for none.

    Raises ReviewError when they are not of the pool's rows.
    """
    if people.shape != (len(table),) or scores.shape != people.shape:
        raise ReviewError(
            f"scores must be ({len(table)},) like the pool, got {people.shape} and {scores.shape}"
        )
    rows = np.flatnonzero(np.isfinite(people) & np.isfinite(scores))
    error = np.abs(scores[rows] - people[rows])
    worst = rows[np.lexsort((rows, -error))]
    length = _lengths(table)
    return Calibration(
        dimension=dimension,
        scorer=scorer,
        whole=_closeness("all", rows, people, scores),
        length_spearman=agreement(people[rows], length[rows]).spearman,
        parts=tuple(_closeness(name, rows[of], people, scores) for name, of in _parts(rows, table)),
        rows=worst,
        people=people[worst],
        scores=scores[worst],
    )


def _closeness(part: str, rows: Rows, people: Values, scores: Values) -> Closeness:
    if not len(rows):
        return Closeness(part, 0, *[float("nan")] * 3)
    difference = scores[rows] - people[rows]
    return Closeness(
        part,
        len(rows),
        agreement(people[rows], scores[rows]).spearman,
        # A mean of people's scores has a last bit of its own.
        float((np.abs(difference) <= 1.0 + 1e-9).mean()),
        float(difference.mean()),
    )


def _lengths(table: PoolTable) -> Values:
    """Characters of each row where they are known, tokens otherwise: (n,) float64."""
    length = table.tokens if table.characters is None else table.characters
    return length.astype(np.float64)


def _parts(rows: Rows, table: PoolTable) -> Iterator[tuple[str, NDArray[np.bool_]]]:
    """Which of the rows are of each language, cluster and band of length."""
    for code in np.unique(table.language[rows]):
        yield f"language {table.language_names[code]}", table.language[rows] == code
    if table.cluster is not None:
        for number in np.unique(table.cluster[rows]):
            yield (
                f"cluster {number}" if number >= 0 else "no cluster",
                table.cluster[rows] == number,
            )
    length = _lengths(table)[rows]
    if not len(rows):
        return
    edges = np.unique(np.quantile(length, np.linspace(0, 1, LENGTH_BANDS + 1)))
    band = np.searchsorted(edges[1:-1], length, side="right")
    for number in np.unique(band):
        of = band == number
        yield f"length {length[of].min():,.0f} to {length[of].max():,.0f}", of


def with_people_scores(table: PoolTable, scores: Mapping[Dimension, Values]) -> PoolTable:
    """The pool with people's scores (n,) in place of the scorer's, on every turn of a row.

    Rows without (NaN) keep what they have. Nothing remembered of the other table is kept.
    """
    changed = {}
    for dimension, of_rows in scores.items():
        before = getattr(table, f"turn_{dimension}")
        of_turns = of_rows[table.turn_row]
        changed[f"turn_{dimension}"] = np.where(np.isfinite(of_turns), of_turns, before).astype(
            before.dtype
        )
    return replace(table, **changed)


def cost_of_errors(
    rule: SelectionRule, table: PoolTable, scores: Mapping[Dimension, Values]
) -> Changes:
    """Which rows would enter and leave the selection if people's scores stood for the scorer's.

    scores: (n,) of people by dimension, NaN for none. Raises SelectionError as `select` does.
    """
    return changes(select(rule, table), select(rule, with_people_scores(table, scores)))
