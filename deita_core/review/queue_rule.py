"""Which rows a queue gets, and in which order, by rule.

A rule gives an order of rows, those most worth a look first; a queue takes the first of them, at
most so many of each cluster where the rule says so.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray
from pydantic import ConfigDict, TypeAdapter, ValidationError, with_config

from deita_core.errors import ReviewError, SelectionError
from deita_core.review.decision import Dimension
from deita_core.selection import status as st
from deita_core.selection.analysis.thresholds import kept_spans
from deita_core.selection.outcome import Outcome
from deita_core.selection.pool_table import PoolTable
from deita_core.selection.strategies.greedy import random_order

QueueKind = Literal["rows", "random", "top", "boundary", "low-mass", "disagree", "flagged"]
QUEUE_KINDS: Final[tuple[QueueKind, ...]] = get_args(QueueKind)
KIND_WORDS: Final[Mapping[QueueKind, str]] = MappingProxyType(
    {
        "rows": "the rows given",
        "random": "at random, by a seed",
        "top": "the selected rows with the highest scores",
        "boundary": "the rows nearest to the cut, or to the threshold at which they flip",
        "low-mass": "rows with the least probability on the digits 1 to 6",
        "disagree": "rows that two scorers of a dimension rank most differently",
        "flagged": "rows with a flag",
    }
)
Rows = NDArray[np.int64]


@with_config(ConfigDict(extra="forbid", strict=True))
@dataclass(frozen=True, slots=True)
class QueueRule:
    """How a queue finds its rows.

    size: rows at most. seed: for the kinds "random" and "flagged". dimension: of the scorers of
    the kind "disagree". flags: of the kind "flagged"; none means any. per_cluster: rows at most of
    one cluster. Raises ReviewError for what is out of range.
    """

    kind: QueueKind
    size: int = 200
    seed: int = 0
    dimension: Dimension = "quality"
    flags: tuple[str, ...] = ()
    per_cluster: int | None = None

    def __post_init__(self) -> None:
        if self.kind not in QUEUE_KINDS:
            raise ReviewError(f"a queue is made by {', '.join(QUEUE_KINDS)}, got {self.kind!r}")
        if self.size < 1:
            raise ReviewError(f"a queue has at least 1 row, got {self.size}: ask for more")
        if self.per_cluster is not None and self.per_cluster < 1:
            raise ReviewError(
                f"a queue takes at least 1 row of a cluster, got {self.per_cluster}: ask for more"
            )

    def to_json(self) -> str:
        """As the project keeps it."""
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True)

    @staticmethod
    def from_json(text: str) -> QueueRule:
        """The inverse of `to_json`; ReviewError for what is none."""
        try:
            return _RULE.validate_json(text)
        except ValidationError as error:
            raise ReviewError(f"this is no rule of a queue: {error.errors()[0]['msg']}") from error


_RULE: TypeAdapter[QueueRule] = TypeAdapter(QueueRule)


@dataclass(frozen=True, slots=True, eq=False)
class QueueInput:
    """What rules look at beside the pool; None where it is not there.

    outcome: a selection on the pool. mass: (n,) float64, the least probability on the digits of
    any turn of a row by the active scorers, NaN where it is unknown. rank_difference: (n,)
    float64 in [0, 1], how differently two scorers rank a row's turns at most, NaN likewise.
    """

    outcome: Outcome | None = None
    mass: NDArray[np.float64] | None = None
    rank_difference: NDArray[np.float64] | None = None


def choose_rows(
    rule: QueueRule, table: PoolTable, given: QueueInput | None = None, within: Rows | None = None
) -> Rows:
    """The rows of a queue in its order: (k,) int64, k up to the size of the rule.

    within: only these rows; the kind "rows" takes them in their order. Raises ReviewError when
    what the rule looks at is not there, or no row is left, saying what to do.
    """
    order = _ORDERS[rule.kind](rule, table, given or QueueInput(), within)
    if within is not None and rule.kind != "rows":
        order = order[np.isin(order, within)]
    if rule.per_cluster is not None:
        order = _of_each_cluster(order, rule.per_cluster, table)
    if not len(order):
        raise ReviewError(
            f"no row is left for a queue of {KIND_WORDS[rule.kind]}: choose another rule or view"
        )
    return order[: rule.size]


def _rows(rule: QueueRule, table: PoolTable, given: QueueInput, within: Rows | None) -> Rows:
    if within is None:
        raise ReviewError("a queue of given rows needs them: name rows, or choose another rule")
    _, first = np.unique(within, return_index=True)
    return within[np.sort(first)]


def _random(rule: QueueRule, table: PoolTable, given: QueueInput, within: Rows | None) -> Rows:
    return random_order(np.arange(len(table)), rule.seed)


def _top(rule: QueueRule, table: PoolTable, given: QueueInput, within: Rows | None) -> Rows:
    outcome = _outcome(given)
    kept = outcome.kept
    return kept[np.lexsort((kept, -np.nan_to_num(outcome.scores[kept], nan=-np.inf)))]


def _boundary(rule: QueueRule, table: PoolTable, given: QueueInput, within: Rows | None) -> Rows:
    """Alternately the row next nearest to the cut and the one next nearest to flipping."""
    outcome = _outcome(given)
    cut, flip = rows_near_cut(outcome), rows_near_flip(outcome, table)
    rank = np.full((2, len(table)), np.inf)
    for place, order in enumerate((cut, flip)):
        rank[place, order] = np.arange(len(order))
    best = rank.min(axis=0)
    near = np.flatnonzero(np.isfinite(best))
    return near[np.lexsort((near, np.argmin(rank[:, near], axis=0), best[near]))]


def rows_near_cut(outcome: Outcome) -> Rows:
    """Rows kept or below the cut, by the distance of their rank from where the budget filled.

    (k,) int64; empty when the budget never filled.
    """
    trace = outcome.trace
    if not trace.filled:
        return np.empty(0, np.int64)
    rows = np.flatnonzero(np.isin(trace.status, (st.KEPT, st.BELOW_CUT)) & (trace.rank > 0))
    distance = np.abs(trace.rank[rows] - trace.rank_reached - 0.5)
    return rows[np.lexsort((rows, distance))]


def rows_near_flip(outcome: Outcome, table: PoolTable) -> Rows:
    """Rows that the pass visited, by how far the threshold is from where they enter or leave.

    (k,) int64. The budget is left out of it: see `analysis.thresholds`. Empty where no thresholds
    are known: without a similarity graph, under quotas, or by another strategy.
    """
    try:
        spans = kept_spans(outcome, table)
    except SelectionError:
        return np.empty(0, np.int64)
    threshold, counts = outcome.rule.threshold, np.diff(spans.bounds)
    low, high = (np.where(edge > spans.floor, edge, -np.inf) for edge in (spans.low, spans.high))
    high = np.where(high < 1.0, high, np.inf)
    edge = np.minimum(np.abs(low - threshold), np.abs(high - threshold))
    distance = np.full(len(spans.order), np.inf)
    # From the end of its last span on a row is out, up to 1.0, where every row is in.
    some = np.flatnonzero(counts)
    if len(some):
        distance[some] = np.minimum.reduceat(edge, spans.bounds[some])
    visited = outcome.trace.rank[spans.order] <= outcome.trace.rank_reached
    places = np.flatnonzero(np.isfinite(distance) & visited & ~spans.pinned)
    return spans.order[places[np.lexsort((places, distance[places]))]]


def _low_mass(rule: QueueRule, table: PoolTable, given: QueueInput, within: Rows | None) -> Rows:
    if given.mass is None or np.isnan(given.mass).all():
        raise ReviewError(
            "no active scorer says how much probability it puts on the digits: score with a "
            "language model, or choose another rule"
        )
    return _ascending(given.mass)


def _disagree(rule: QueueRule, table: PoolTable, given: QueueInput, within: Rows | None) -> Rows:
    if given.rank_difference is None or np.isnan(given.rank_difference).all():
        raise ReviewError(
            f"there are no two scorers of {rule.dimension} to differ: score with another one too"
        )
    return _ascending(-given.rank_difference)


def _flagged(rule: QueueRule, table: PoolTable, given: QueueInput, within: Rows | None) -> Rows:
    if unknown := sorted(set(rule.flags) - set(table.flag_names)):
        known = ", ".join(table.flag_names) or "none"
        raise ReviewError(f"no row of this pool has the flag {unknown[0]!r}; it has {known}")
    rows = np.flatnonzero(table.has_flag(*(rule.flags or table.flag_names)))
    return rows[random_order(rows, rule.seed)]


def _outcome(given: QueueInput) -> Outcome:
    if given.outcome is None:
        raise ReviewError("this queue looks at a selection: name one, or choose another rule")
    return given.outcome


def _ascending(values: NDArray[np.float64]) -> Rows:
    """Rows with a value, the lowest first, ties by row."""
    rows = np.flatnonzero(np.isfinite(values))
    return rows[np.argsort(values[rows], kind="stable")]


def _of_each_cluster(order: Rows, most: int, table: PoolTable) -> Rows:
    """The first rows of each cluster, in the order; rows of no cluster are left out."""
    if table.cluster is None:
        raise ReviewError("this pool has no clusters: make the similarity graph first")
    cluster = table.cluster[order]
    by_cluster = np.argsort(cluster, kind="stable")
    _, first, size = np.unique(cluster[by_cluster], return_index=True, return_counts=True)
    nth = np.empty(len(order), np.int64)
    nth[by_cluster] = np.arange(len(order)) - np.repeat(first, size)
    return order[(nth < most) & (cluster >= 0)]


_ORDERS: Final[Mapping[str, Callable[[QueueRule, PoolTable, QueueInput, Rows | None], Rows]]] = {
    "rows": _rows,
    "random": _random,
    "top": _top,
    "boundary": _boundary,
    "low-mass": _low_mass,
    "disagree": _disagree,
    "flagged": _flagged,
}
