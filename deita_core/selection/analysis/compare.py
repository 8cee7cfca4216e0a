"""Two sets of rows of one pool side by side: what both hold, what one holds, how they differ.

A set may be a selection, the pool, a random draw or what a file from elsewhere holds. A third set
is always in view: seeded random rows, so that a difference can be told from chance.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.progress import Stage
from deita_core.selection.analysis.measures import (
    SAMPLE,
    VENDI_SAMPLE,
    coverage,
    mean_or_nan,
    nearest_distance,
    pool_distance,
    vendi_score,
)
from deita_core.selection.analysis.novelty import novel_sum
from deita_core.selection.filters import mean_scores
from deita_core.selection.pool_table import PoolTable
from deita_core.selection.strategies.greedy import random_order

Rows = NDArray[np.int64]
Floats = NDArray[np.float64]

QUANTILES: Final = (0.05, 0.25, 0.5, 0.75, 0.95)
SEEDS: Final = (0, 1, 2, 3, 4)
COVERED_AT: Final = 0.8


@dataclass(frozen=True, slots=True, eq=False)
class RowSet:
    """name: for people. rows: (k,) int64, numbers of rows of the pool, each once."""

    name: str
    rows: Rows


@dataclass(frozen=True, slots=True)
class NumberDifference:
    """A numeric column in both sets; NaN where a set has no value there.

    a, b: at `QUANTILES`. ks: the Kolmogorov-Smirnov distance, the most by which the shares of
    rows up to a value differ, from 0 to 1.
    """

    column: str
    mean_a: float
    mean_b: float
    a: tuple[float, ...]
    b: tuple[float, ...]
    ks: float

    @property
    def median_a(self) -> float:
        """The median in A."""
        return self.a[QUANTILES.index(0.5)]

    @property
    def median_b(self) -> float:
        """The median in B."""
        return self.b[QUANTILES.index(0.5)]


@dataclass(frozen=True, slots=True)
class ShareDifference:
    """A language, source, flag or cluster in both sets: its rows, and their share, 0 to 1."""

    column: str
    name: str
    rows_a: int
    rows_b: int
    share_a: float
    share_b: float


@dataclass(frozen=True, slots=True)
class Figure:
    """A measure of both sets and of each random draw; None where it is not known.

    better: "higher", "lower" or "" where neither is.
    """

    name: str
    label: str
    better: str
    a: float | None
    b: float | None
    random: tuple[float | None, ...]

    @property
    def random_mean(self) -> float | None:
        """The mean over the draws; None when one is not known."""
        known = [value for value in self.random if value is not None]
        complete = known and len(known) == len(self.random)
        return sum(known) / len(known) if complete else None

    @property
    def random_sd(self) -> float | None:
        """The standard deviation over the draws, with n - 1; None for fewer than two."""
        known = [value for value in self.random if value is not None]
        if len(known) < 2 or len(known) < len(self.random):
            return None
        return float(np.std(known, ddof=1))


@dataclass(frozen=True, slots=True, eq=False)
class SetComparison:
    """Sets A and B of a pool of `pool` rows.

    both, only_a, only_b: int64; both and only_a in the order of A, only_b in that of B.
    numbers, shares: largest difference first.
    """

    a: RowSet
    b: RowSet
    pool: int
    both: Rows
    only_a: Rows
    only_b: Rows
    numbers: tuple[NumberDifference, ...]
    shares: tuple[ShareDifference, ...]

    @property
    def jaccard(self) -> float:
        """Rows in both by rows in either, 0 to 1; NaN when both are empty."""
        return jaccard_of(len(self.both), len(self.a.rows), len(self.b.rows))

    def sentence(self) -> str:
        """What they share and what differs most (no full stop)."""
        a, b = self.a.name, self.b.name
        if not len(self.only_a) and not len(self.only_b):
            return f"{a} and {b} hold the same {_rows(len(self.both))}"
        parts = [
            f"{a} and {b} share {_rows(len(self.both))} (Jaccard {self.jaccard:.2f}), "
            f"{len(self.only_a):,} only in {a}, {len(self.only_b):,} only in {b}"
        ]
        if self.numbers and self.numbers[0].ks > 0:
            most = self.numbers[0]
            parts.append(
                f"what differs most is {most.column.replace('_', ' ')}: median "
                f"{most.median_a:,.4g} against {most.median_b:,.4g} (KS distance {most.ks:.2f})"
            )
        return "; ".join(parts)


def _rows(number: int) -> str:
    return f"{number:,} row" if number == 1 else f"{number:,} rows"


def jaccard_of(both: int, a: int, b: int) -> float:
    """The Jaccard index of sets of a and b rows that share `both`; NaN when both are empty."""
    either = a + b - both
    return both / either if either else float("nan")


def compare_sets(table: PoolTable, a: RowSet, b: RowSet, evol_scores: Floats) -> SetComparison:
    """What two sets share and how they differ.

    evol_scores: (n,), of every row, NaN where there is none. Raises SelectionError for a row that
    is not in the pool, or that stands twice in a set.
    """
    for one in (a, b):
        _check_set(one, len(table))
    in_b = np.isin(a.rows, b.rows)
    return SetComparison(
        a=a,
        b=b,
        pool=len(table),
        both=a.rows[in_b],
        only_a=a.rows[~in_b],
        only_b=b.rows[~np.isin(b.rows, a.rows)],
        numbers=_numbers(table, a.rows, b.rows, evol_scores),
        shares=_shares(table, a.rows, b.rows),
    )


def random_set(table: PoolTable, evol_scores: Floats, count: int, seed: int) -> Rows:
    """`count` rows drawn by a seed from those that have an evol score and a vector, or from all
    where these are too few: (count,) int64, fewer where the pool has fewer.

    The same rows whether the table has its vectors or only knows which rows were embedded.
    """
    embedded = table.place >= 0 if table.has_vector is None else table.has_vector
    ready = np.flatnonzero(embedded & ~np.isnan(evol_scores))
    if len(ready) < count:
        ready = np.arange(len(table))
    drawn: Rows = ready[random_order(ready, seed)[:count]]
    return drawn


def _check_set(one: RowSet, pool: int) -> None:
    rows = one.rows
    if len(rows) and not 0 <= rows.min() <= rows.max() < pool:
        raise SelectionError(
            f"{one.name} has rows from {rows.min()} to {rows.max()}, but the pool has rows 0 to "
            f"{pool - 1}: save the selection again"
        )
    if len(np.unique(rows)) < len(rows):
        raise SelectionError(f"{one.name} holds a row twice: give each row once")


def ks_distance(a: Floats, b: Floats) -> float:
    """The largest difference of the two empirical distribution functions; NaN for an empty one.

    The statistic of the two-sample Kolmogorov-Smirnov test.
    """
    if not len(a) or not len(b):
        return float("nan")
    a, b = np.sort(a), np.sort(b)
    every = np.concatenate((a, b))
    up_to = [np.searchsorted(one, every, side="right") / len(one) for one in (a, b)]
    return float(np.abs(up_to[0] - up_to[1]).max())


def numeric_columns(table: PoolTable, evol_scores: Floats) -> dict[str, Floats]:
    """Every numeric column that the pool has: (n,) float64 each, NaN where there is no value."""
    scores = mean_scores(table)
    found: dict[str, NDArray[np.number] | None] = {
        "evol_score": evol_scores,
        "complexity": scores.complexity,
        "quality": scores.quality,
        "tokens": table.tokens,
        "turns": table.turns,
        "characters": table.characters,
        "instruction_characters": table.instruction_characters,
        "response_characters": table.response_characters,
    }
    return {name: values.astype(np.float64) for name, values in found.items() if values is not None}


def _numbers(
    table: PoolTable, a: Rows, b: Rows, evol_scores: Floats
) -> tuple[NumberDifference, ...]:
    def difference(column: str, values: Floats) -> NumberDifference:
        here, there = (values[rows][~np.isnan(values[rows])] for rows in (a, b))
        return NumberDifference(
            column,
            mean_or_nan(here),
            mean_or_nan(there),
            _quantiles(here),
            _quantiles(there),
            ks_distance(here, there),
        )

    found = [difference(*item) for item in numeric_columns(table, evol_scores).items()]
    return tuple(sorted(found, key=lambda one: -np.nan_to_num(one.ks)))


def _quantiles(values: Floats) -> tuple[float, ...]:
    if not len(values):
        return (float("nan"),) * len(QUANTILES)
    return tuple(map(float, np.quantile(values, QUANTILES)))


def _shares(table: PoolTable, a: Rows, b: Rows) -> tuple[ShareDifference, ...]:
    """Names that no row of either set has are left out."""
    counted: list[tuple[str, str, int, int]] = []
    columns: list[tuple[str, NDArray[np.integer], Sequence[str]]] = [
        ("language", table.language, table.language_names),
        ("source", table.source, table.source_names),
    ]
    if table.cluster is not None:
        clusters = int(table.cluster.max(initial=-1)) + 1
        columns.append(("cluster", table.cluster, tuple(map(str, range(clusters)))))
    for column, codes, names in columns:
        in_a, in_b = (np.bincount(codes[s][codes[s] >= 0], minlength=len(names)) for s in (a, b))
        counted += [(column, *one) for one in zip(names, in_a.tolist(), in_b.tolist(), strict=True)]
    for name in table.flag_names:
        carried = table.has_flag(name)
        counted.append(("flag", name, int(carried[a].sum()), int(carried[b].sum())))
    whole_a, whole_b = max(len(a), 1), max(len(b), 1)
    found = [
        ShareDifference(column, name, rows_a, rows_b, rows_a / whole_a, rows_b / whole_b)
        for column, name, rows_a, rows_b in counted
        if rows_a or rows_b
    ]
    return tuple(sorted(found, key=lambda one: -abs(one.share_a - one.share_b)))


@dataclass(frozen=True, slots=True)
class _Measure:
    """See `Figure`; of: the measure of a set of rows."""

    name: str
    label: str
    better: str
    of: Callable[[Rows], float | None]


@dataclass(frozen=True, slots=True)
class Measured:
    """figures: measures of two sets and of random draws. chance: the Jaccard index of A with each
    of the draws, which have as many rows as the smaller set. waiting: labels of measures that take
    long and were not asked for.
    """

    figures: tuple[Figure, ...]
    chance: tuple[float, ...]
    waiting: tuple[str, ...] = ()


def measure_sets(
    table: PoolTable,
    found: SetComparison,
    evol_scores: Floats,
    *,
    seeds: Sequence[int] = SEEDS,
    covered_at: float = COVERED_AT,
    quick: bool = False,
) -> Generator[Stage, None, Measured]:
    """The measures of two sets beside those of random rows; yields which one it is at.

    seeds: of the random draws. covered_at: similarity from -1 to below 1, for the coverage. quick:
    only what takes no time, and no vectors. Vendi and NovelSum grow with the number of rows, so
    all sets are measured on as many rows as the smallest has, at most.
    """
    a, b = found.a.rows, found.b.rows
    fewer = min(len(a), len(b))
    draws = [random_set(table, evol_scores, fewer, seed) for seed in seeds]
    shared = (int(np.isin(a, draw).sum()) for draw in draws)
    sets = (a, b, *draws)
    known = table.has_vector if quick and table.has_vector is not None else table.place >= 0
    fewest = min(int(np.count_nonzero(known[rows])) for rows in sets)
    means, diversity = _means(table, evol_scores), _diversity(table, fewest, covered_at)
    asked = means if quick else (*means, *diversity)
    figures = []
    for done, one in enumerate(asked):
        yield Stage(one.label, done, len(asked))
        of_a, of_b, *random = (one.of(rows) for rows in sets)
        figures.append(Figure(one.name, one.label, one.better, of_a, of_b, tuple(random)))
    chance = tuple(jaccard_of(n, len(a), fewer) for n in shared)
    waiting = tuple(one.label for one in diversity) if quick else ()
    return Measured(tuple(figures), chance, waiting)


def _means(table: PoolTable, evol_scores: Floats) -> tuple[_Measure, ...]:
    scores = mean_scores(table)

    def mean(values: NDArray[np.number], rows: Rows) -> float | None:
        found = mean_or_nan(values[rows].astype(np.float64))
        return None if np.isnan(found) else found

    return (
        _Measure("rows", "rows", "", lambda rows: float(len(rows))),
        _Measure("tokens", "tokens in all", "", lambda rows: float(table.tokens[rows].sum())),
        _Measure("complexity", "mean complexity", "", partial(mean, scores.complexity)),
        _Measure("quality", "mean quality", "", partial(mean, scores.quality)),
        _Measure("evol_score", "mean evol score", "", partial(mean, evol_scores)),
        _Measure("mean_tokens", "mean tokens", "", partial(mean, table.tokens)),
        _Measure("mean_turns", "mean turns", "", partial(mean, table.turns)),
    )


def _diversity(table: PoolTable, fewest: int, covered_at: float) -> tuple[_Measure, ...]:
    """fewest: rows with a vector in the smallest set."""
    known = fewest > 0
    vendi_rows, novel_rows = min(fewest, VENDI_SAMPLE), min(fewest, SAMPLE)

    def vendi(rows: Rows) -> float | None:
        return vendi_score(table, rows, vendi_rows) if known else None

    def covered(rows: Rows) -> float | None:
        return coverage(table, rows, covered_at) if known else None

    near = partial(nearest_distance, table)
    novel = partial(novel_sum, table, sample=novel_rows)
    return (
        _Measure("nearest_distance", "distance to the nearest row of the set", "higher", near),
        _Measure("vendi", f"Vendi score of {vendi_rows:,} rows", "higher", vendi),
        _Measure("novel_sum", f"NovelSum of {novel_rows:,} rows", "higher", novel),
        _Measure(
            "pool_distance",
            "distance of the pool to the set",
            "lower",
            partial(pool_distance, table),
        ),
        _Measure(
            "coverage",
            f"share of the pool nearer than similarity {covered_at:.2f}",
            "higher",
            covered,
        ),
    )
