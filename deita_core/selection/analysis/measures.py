"""What a selection looks like beside the pool and a seeded random selection of the same size.

Means and shares, how the values of a column are distributed, what the aggregation of turns does to
a selection (the sum favours long chats), and how different its rows are from each other.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.progress import finish
from deita_core.selection import status as st
from deita_core.selection.evol import AGGREGATIONS
from deita_core.selection.filters import mean_scores
from deita_core.selection.outcome import Outcome, select
from deita_core.selection.pool_table import PoolTable
from deita_core.selection.rule import SelectionRule
from deita_core.selection.strategies.greedy import random_order
from deita_core.similarity.definition import unit_rows
from deita_core.similarity.nearest import nearest_steps

Rows = NDArray[np.int64]

BINS: Final = 40
COLUMNS: Final = ("evol_score", "complexity", "quality", "tokens", "turns")
_WHOLE: Final = ("tokens", "turns")
_TAIL: Final = 0.995
_NO_CANDIDATES: Final = (st.EXCLUDED, st.FILTERED, st.NOT_SCORED, st.NOT_EMBEDDED)
SAMPLE: Final = 2000
VENDI_SAMPLE: Final = 1000
POOL_SAMPLE: Final = 5000
# A random baseline is drawn by seed 0: a sample drawn alike would be that very baseline.
SAMPLE_SEED: Final = 1_000_003


@dataclass(frozen=True, slots=True)
class Share:
    """A name (a language, a source) and its share of the rows, 0 to 1."""

    name: str
    rows: int
    share: float


@dataclass(frozen=True, slots=True)
class Measures:
    """Figures of a set of rows. Means are over the rows that have the value, NaN without any.

    complexity, quality: mean over rows of their mean turn, 1 to 6. evol_score: mean, as the rule
    aggregates turns. turns, tokens: mean per row. tokens_total: sum. languages, sources, clusters:
    shares, largest first; no clusters where none are known, rows in none are left out.
    """

    rows: int
    complexity: float
    quality: float
    evol_score: float
    turns: float
    tokens: float
    tokens_total: int
    languages: tuple[Share, ...]
    sources: tuple[Share, ...]
    clusters: tuple[Share, ...]


@dataclass(frozen=True, slots=True)
class Comparison:
    """The pool, the selection, and the random baseline."""

    pool: Measures
    selection: Measures
    random: Measures


def compare(table: PoolTable, outcome: Outcome, *, seed: int = 0) -> Comparison:
    """The selection beside the pool and the random baseline of this seed."""
    sets = np.arange(len(table)), outcome.kept, random_baseline(outcome, seed)
    return Comparison(*(measures_of(table, outcome.scores, rows) for rows in sets))


def random_baseline(outcome: Outcome, seed: int = 0) -> Rows:
    """As many rows as the selection has, drawn from the same candidates: (k,) int64."""
    candidates = np.flatnonzero(~np.isin(outcome.trace.status, _NO_CANDIDATES))
    drawn: Rows = candidates[random_order(candidates, seed)[: len(outcome.kept)]]
    return drawn


def mean_or_nan(values: NDArray[Any]) -> float:
    """The mean of the values that are there; NaN when none is."""
    present = values[~np.isnan(values)]
    return float(present.mean(dtype=np.float64)) if len(present) else float("nan")


def measures_of(table: PoolTable, evol_scores: NDArray[np.float64], rows: Rows) -> Measures:
    """The figures of a set of rows, (k,) int64; evol_scores: (n,), of the whole pool."""
    scores, tokens = mean_scores(table), table.tokens[rows]
    clusters = np.empty(0, np.int32) if table.cluster is None else table.cluster[rows]
    names = tuple(map(str, range(int(clusters.max(initial=-1)) + 1)))
    return Measures(
        rows=len(rows),
        complexity=mean_or_nan(scores.complexity[rows]),
        quality=mean_or_nan(scores.quality[rows]),
        evol_score=mean_or_nan(evol_scores[rows]),
        turns=mean_or_nan(table.turns[rows]),
        tokens=mean_or_nan(tokens),
        tokens_total=int(tokens.sum(dtype=np.int64)),
        languages=_shares(table.language[rows], table.language_names),
        sources=_shares(table.source[rows], table.source_names),
        clusters=_shares(clusters[clusters >= 0], names),
    )


def _shares(codes: NDArray[np.integer], names: tuple[str, ...]) -> tuple[Share, ...]:
    numbers = np.bincount(codes.astype(np.int64), minlength=len(names)).tolist()
    shares = [Share(name, n, n / len(codes)) for name, n in zip(names, numbers, strict=True) if n]
    return tuple(sorted(shares, key=lambda share: -share.rows))


@dataclass(frozen=True, slots=True, eq=False)
class Distribution:
    """Rows by the value of a column.

    edges: (b + 1,) float64, ascending; a bin holds edges[i] <= value < edges[i + 1], the last one
    everything above too (`open_ended`: there is something). pool, selection, random: (b,) int64.
    """

    column: str
    edges: NDArray[np.float64]
    open_ended: bool
    pool: Rows
    selection: Rows
    random: Rows


def distributions(
    table: PoolTable, outcome: Outcome, random_rows: Rows
) -> tuple[Distribution, ...]:
    """The distribution of every column of `COLUMNS`; random_rows: (k,), see `random_baseline`."""
    scores = mean_scores(table)
    values = (outcome.scores, scores.complexity, scores.quality, table.tokens, table.turns)
    return tuple(
        distribution(name, column, outcome.kept, random_rows)
        for name, column in zip(COLUMNS, values, strict=True)
    )


def distribution(
    name: str, values: NDArray[np.number], selection: Rows, random_rows: Rows, bins: int = BINS
) -> Distribution:
    """The distribution of one column: (n,) values of the pool's rows, NaN where missing.

    The bins are even up to the 99.5th percentile of the pool; the last one takes the rest.
    """
    if bins < 1:
        raise SelectionError(f"a distribution needs 1 bin or more, got {bins}")
    column = values.astype(np.float64)
    present = column[~np.isnan(column)]
    edges = bin_edges(present, name in _WHOLE, bins)

    def counts(rows: NDArray[np.float64]) -> Rows:
        inside = np.searchsorted(edges, rows[~np.isnan(rows)], side="right") - 1
        return np.bincount(np.minimum(inside, len(edges) - 2), minlength=len(edges) - 1)

    pool, ours, theirs = map(counts, (column, column[selection], column[random_rows]))
    return Distribution(name, edges, bool((present >= edges[-1]).any()), pool, ours, theirs)


def bin_edges(present: NDArray[np.float64], whole: bool, bins: int) -> NDArray[np.float64]:
    """Edges of even bins from the least value to the 99.5th percentile: (b + 1,), ascending.

    present: (n,) without NaN. whole: of whole numbers, so that the edges are, too; then there may
    be fewer bins.
    """
    if not len(present):
        return np.array([0.0, 1.0])
    low, high = float(present.min()), float(np.quantile(present, _TAIL))
    if whole:
        low, high = np.floor(low), np.floor(high) + 1
        width = max(1.0, np.ceil((high - low) / bins))
        edges: NDArray[np.float64] = low + width * np.arange(int(np.ceil((high - low) / width)) + 1)
        return edges
    return np.linspace(low, high, bins + 1) if high > low else np.array([low, low + 1.0])


@dataclass(frozen=True, slots=True)
class AggregationEffect:
    """The selection a rule would give with another aggregation.

    turns, tokens: mean per row, NaN without rows. multi_turn: share of the rows with more than
    one turn. shared: share of the rows that are also in the selection as the rule stands.
    """

    aggregation: str
    rows: int
    turns: float
    tokens: float
    multi_turn: float
    shared: float


def aggregation_effects(rule: SelectionRule, table: PoolTable) -> tuple[AggregationEffect, ...]:
    """The effect of each of `AGGREGATIONS`, everything else as the rule says."""
    names = [way.name for way in AGGREGATIONS]
    kept = {name: select(replace(rule, aggregation=name), table).kept for name in names}

    def effect(name: str) -> AggregationEffect:
        rows, turns = kept[name], table.turns[kept[name]]
        shared = np.isin(rows, kept[rule.aggregation])
        columns = (turns, table.tokens[rows], turns > 1, shared)
        return AggregationEffect(name, len(rows), *map(mean_or_nan, columns))

    return tuple(map(effect, names))


@dataclass(frozen=True, slots=True)
class Diversity:
    """Figures of a set of rows; None where too few rows have an embedding.

    nearest_distance: mean cosine distance of a row to the nearest other one of the set: higher is
    more diverse. vendi: the Vendi score of `vendi_sample` rows. pool_distance: mean cosine
    distance of a row of the pool to the nearest one of the set: lower represents the pool better.
    coverage: at similarity `covered_at`, NaN where nobody asked for it.
    """

    nearest_distance: float | None
    vendi: float | None
    vendi_sample: int
    pool_distance: float | None
    coverage: float
    covered_at: float | None


def diversity_steps(
    table: PoolTable, rows: Rows, covered_at: float | None = None
) -> Generator[str, None, Diversity]:
    """All figures of a set of rows, (k,) int64; yields the name of each that is done.

    Rows without an embedding are left out. covered_at: similarity below 1 for the coverage.
    """
    nearest = nearest_distance(table, rows)
    yield "nearest_distance"
    vendi = vendi_score(table, rows)
    yield "vendi"
    to_set = pool_distance(table, rows)
    yield "pool_distance"
    covered = float("nan") if covered_at is None else coverage(table, rows, covered_at)
    yield "coverage"
    vendi_sample = min(VENDI_SAMPLE, len(embedded_places(table, rows)))
    return Diversity(nearest, vendi, vendi_sample, to_set, covered, covered_at)


def nearest_distance(table: PoolTable, rows: Rows, sample: int = SAMPLE) -> float | None:
    """Mean cosine distance of a row to the nearest other row of the set; None for under two.

    Over a seeded sample of at most `sample` of those with a vector, each against all.
    """
    places = embedded_places(table, rows)
    if len(places) < 2:
        return None
    asked = places[random_order(places, SAMPLE_SEED)[:sample]]
    return 1.0 - float(_to_nearest(table, asked, places, skip_self=True).mean())


def pool_distance(table: PoolTable, rows: Rows, sample: int = POOL_SAMPLE) -> float | None:
    """Mean cosine distance of the pool's embedded rows to the nearest row of the set.

    Over a seeded sample of at most `sample` rows of the pool; rows of the set count with 0. None
    for a set without embeddings.
    """
    places = embedded_places(table, rows)
    if not len(places):
        return None
    embedded = table.place[table.place >= 0]
    asked = embedded[random_order(embedded, SAMPLE_SEED)[:sample]]
    return float(1.0 - _to_nearest(table, asked, places).mean())


def vendi_score(table: PoolTable, rows: Rows, sample: int = VENDI_SAMPLE) -> float | None:
    """How many different rows the set is worth: from 1 (all alike) to their number (all apart).

    The Vendi score (Friedman and Dieng, arXiv 2210.02410, definition 3.1): exp of the entropy of
    the eigenvalues of K / n, K the cosine similarities of n rows. n is at most `sample`, drawn by
    the seed; compare only scores of as many rows. None for a set without embeddings.
    """
    places = embedded_places(table, rows)
    if not len(places):
        return None
    drawn = places[random_order(places, SAMPLE_SEED)[:sample]]
    units = unit_rows(table.vectors, drawn)  # (n, d)
    # X X' and X' X have the same eigenvalues but for zeros, and zeros add nothing.
    square = units @ units.T if len(units) < units.shape[1] else units.T @ units
    values = np.linalg.eigvalsh(square / len(units))
    values = values[values > 1e-12]
    return float(np.exp(-(values * np.log(values)).sum()))


def coverage(table: PoolTable, rows: Rows, level: float) -> float:
    """Share of the pool's embedded rows that are in `rows`, or nearer than `level` to one of them.

    rows: (k,) int64; those without an embedding cover nothing. level: similarity from -1 to below
    1. With a similarity graph that reaches down to `level` it takes milliseconds, without one a
    search. NaN when no row is embedded.
    """
    if not -1.0 <= level < 1.0:
        raise SelectionError(f"coverage needs a similarity from -1 to below 1, got {level}")
    places, embedded = embedded_places(table, rows), table.place[table.place >= 0]
    if not len(embedded):
        return float("nan")
    if not len(places):
        return 0.0
    graph = table.graph
    if graph is None or not graph.serves(level):
        near = finish(nearest_steps(table.vectors, embedded, places)).similarity > level
        return float((near | np.isin(embedded, places)).mean())
    from deita_core.selection.pass_kernel import mark_covered

    covered = np.zeros(graph.groups, np.bool_)
    mark_covered(np.asarray(graph.group)[places], level, graph.edges(), covered)
    sizes = np.diff(np.asarray(graph.member_start))
    return float(sizes[covered].sum() / sizes.sum())


def embedded_places(table: PoolTable, rows: Rows) -> Rows:
    """Numbers of the vectors of those rows that have one: (j,) int64."""
    places = table.place[rows]
    present: Rows = places[places >= 0]
    return present


def _to_nearest(
    table: PoolTable, asked: Rows, places: Rows, skip_self: bool = False
) -> NDArray[np.float64]:
    """The similarity of each place asked for to the most similar of `places`: (k,) float64.

    skip_self: a place is not its own neighbour; every place asked for is then in `places`. What
    the similarity graph does not hold is searched for, so the figures are the same without it.
    """
    nearest = np.full(len(asked), np.nan)
    if table.graph is not None:
        from deita_core.selection.pass_kernel import nearest_chosen

        group = np.asarray(table.graph.group)
        chosen = np.bincount(group[places], minlength=table.graph.groups)
        nearest = nearest_chosen(group[asked], chosen, int(skip_self), table.graph.edges())
    rest = np.flatnonzero(np.isnan(nearest))
    if len(rest):
        found = finish(nearest_steps(table.vectors, asked[rest], places, skip_self=skip_self))
        nearest[rest] = found.similarity
    return nearest
