"""What a strategy is: the rows it may select, the limits it keeps to, and what they leave.

Also the arrays that the compiled pass (`pass_kernel`, imported late) reads and writes.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.progress import FilterProgress
from deita_core.selection.evol import from_highest
from deita_core.selection.pool_table import BudgetUnit, PoolTable
from deita_core.selection.status import SelectionTrace
from deita_core.similarity.graph import GraphEdges

PinPlace = Literal["first", "rank"]


@dataclass(frozen=True, slots=True)
class QuotaTable:
    """The quotas that each of n rows of a pool counts in.

    codes: (n, q) int32, quotas of a row, -1 for none. limit: (c,) int64. by_tokens: (c,) bool,
    True where tokens count, not rows. names: (c,) what each quota limits, in plain words.
    """

    codes: NDArray[np.int32]
    limit: NDArray[np.int64]
    by_tokens: NDArray[np.bool_]
    names: tuple[str, ...]


NO_QUOTAS = QuotaTable(np.empty((0, 0), np.int32), np.empty(0, np.int64), np.empty(0, np.bool_), ())


class Ledger(NamedTuple):
    """What a selection has taken of its budget and quotas, as the compiled pass counts it.

    room: (1,) int64, left of the budget; -1 without one. in_tokens: it is in tokens, not rows.
    tokens: (n,), empty when nothing counts them. used: (c,), what counts in each quota so far.
    codes, limit, by_tokens: see `QuotaTable`.
    """

    room: NDArray[np.int64]
    in_tokens: bool
    tokens: NDArray[np.int64]
    codes: NDArray[np.int32]
    limit: NDArray[np.int64]
    by_tokens: NDArray[np.bool_]
    used: NDArray[np.int64]

    def copy(self) -> Ledger:
        """A ledger of its own that goes on from here."""
        return self._replace(room=self.room.copy(), used=self.used.copy())

    def has_room_for(self, rows: NDArray[np.int64]) -> bool:
        """True when the budget has room for all of these rows and no quota is in play."""
        cost = int(self.tokens[rows].sum()) if self.in_tokens else len(rows)
        return not self.codes.shape[1] and (self.room[0] < 0 or cost <= self.room[0])


def open_ledger(
    budget: int | None,
    unit: BudgetUnit,
    table: PoolTable,
    pinned: NDArray[np.int64],
    quotas: QuotaTable = NO_QUOTAS,
) -> Ledger:
    """The ledger in which only the pinned rows (k,) count so far.

    They may overfill quotas; SelectionError when they do not fit into the budget.
    """
    in_tokens = budget is not None and unit == "tokens"
    counts_tokens = in_tokens or bool(quotas.by_tokens.any())
    tokens = table.cost("tokens") if counts_tokens else np.empty(0, np.int64)
    room = -1
    if budget is not None:
        taken = int(tokens[pinned].sum()) if in_tokens else len(pinned)
        room = budget - taken
        if room < 0:
            raise SelectionError(
                f"the pinned conversations take {taken:,} {unit}, but the budget is "
                f"{budget:,}: raise the budget, or take pins out"
            )
    used = np.zeros(len(quotas.limit), np.int64)
    if len(used):
        row, column = np.nonzero(quotas.codes[pinned] >= 0)
        quota = quotas.codes[pinned[row], column]
        np.add.at(used, quota, np.where(quotas.by_tokens[quota], table.tokens[pinned[row]], 1))
    return Ledger(
        np.array([room]), in_tokens, tokens, quotas.codes, quotas.limit, quotas.by_tokens, used
    )


@dataclass(frozen=True, slots=True)
class Candidates:
    """The rows of a pool that may be selected, by place in `table.vectors`: arrays (m,).

    scores: float64, NaN where not eligible, and for a pinned row without a score. eligible: bool,
    rows that may be selected, pinned ones among them; their vectors are finite and not zero.
    pinned: bool, rows that must be selected. ledger: budget and quotas by row of the pool, in
    which the pins count. ranked: int64, all places from the highest score down, ties by place,
    those without one last; None: not known yet.
    """

    table: PoolTable
    scores: NDArray[np.float64]
    eligible: NDArray[np.bool_]
    pinned: NDArray[np.bool_]
    ledger: Ledger
    ranked: NDArray[np.int64] | None = None

    def best_first(self) -> NDArray[np.int64]:
        """Eligible places from the highest score down, ties by place: (k,) int64."""
        ranked = from_highest(self.scores) if self.ranked is None else self.ranked
        order: NDArray[np.int64] = ranked[self.eligible[ranked]]
        return order

    @property
    def rows(self) -> NDArray[np.int64]:
        """The row of the pool of each place."""
        return self.table.vector_rows

    def clusters(self) -> NDArray[np.int32]:
        """The cluster of each place, -1 for none: (m,); SelectionError when no row has one."""
        cluster = self.table.cluster
        if cluster is None or not (cluster[self.rows] >= 0).any():
            raise SelectionError(
                "this strategy looks at clusters, and there are none: make the similarity graph, "
                "which makes them too (`graph` on the command line), or choose a strategy that "
                "needs none"
            )
        of_places: NDArray[np.int32] = cluster[self.rows]
        return of_places

    def tags(self) -> NDArray[np.bool_]:
        """Which tags each place has: (m, k); SelectionError when no row has one."""
        tags = self.table.tags
        if tags is None or not tags[self.rows].any():
            raise SelectionError(
                "this strategy looks at tags, and no row has one: tag rows first (on the Explore "
                "page or by `tag` on the command line; for InsTag by `tags`, which asks a chat "
                "model), or choose a strategy that needs none"
            )
        of_places: NDArray[np.bool_] = tags[self.rows]
        return of_places


@dataclass(frozen=True, slots=True)
class Limits:
    """threshold: cosine similarity in [-1, 1]. seed: >= 0.

    budget: rows or tokens (`budget_unit`), None for no limit. pin_place: "first" or "rank".
    """

    threshold: float
    budget: int | None
    seed: int = 0
    budget_unit: BudgetUnit = "rows"
    pin_place: PinPlace = "first"


Steps = Generator[FilterProgress, None, SelectionTrace]


@dataclass(frozen=True, slots=True)
class Strategy:
    """A way of selecting rows.

    name: for files. label: for people. phrase: for sentences, "300 rows selected by top score".
    source: where it comes from and what it does, in one or two sentences.
    steps: a generator of progress that returns the trace, by place like its candidates.
    uses_threshold: the threshold of the rule changes something. uses_score: scores do more than
    break ties or choose the first row. needs_graph, needs_clusters, needs_tags: SelectionError
    without them. tags_from: the column that they are in: what people called rows, or a chat model.
    duplicate_of: what its near-duplicates are too close to, e.g. "a better one"; "" without any.
    """

    name: str
    label: str
    phrase: str
    source: str
    steps: Callable[[Candidates, Limits], Steps]
    uses_threshold: bool = False
    uses_score: bool = False
    needs_graph: bool = False
    needs_clusters: bool = False
    needs_tags: bool = False
    tags_from: Literal["tag", "instag"] = "tag"
    duplicate_of: str = ""


class Blockers(NamedTuple):
    """Which rows of a stretch of the order block which; no row does where `group` is empty.

    known, alone: (s,) bool, by position in the stretch: known to be too close to a row kept
    before the stretch (empty: none is); known to have no other row above the threshold.
    group: (s,) int32, the row's place among `edges`. seat: (g,) int32, by group, place in
    `Decisions.kept` of the first row kept of it, or -1; the pass fills it in.
    """

    known: NDArray[np.bool_]
    alone: NDArray[np.bool_]
    group: NDArray[np.int32]
    edges: GraphEdges
    seat: NDArray[np.int32]
    threshold: float

    @staticmethod
    def none() -> Blockers:
        """No row blocks another."""
        nothing, nobody = np.empty(0, np.bool_), np.empty(0, np.int32)
        edges = GraphEdges.of(np.zeros(1, np.int64), nobody, np.empty(0))
        return Blockers(nothing, nothing, nobody, edges, nobody.copy(), 1.0)

    @staticmethod
    def of_pairs(
        known: NDArray[np.bool_], first: NDArray[np.int64], second: NDArray[np.int64]
    ) -> Blockers:
        """A stretch like `known` in which these pairs of positions block each other."""
        places = len(known)
        ends = np.concatenate((first, second))
        by_end = np.argsort(ends, kind="stable")
        start = np.zeros(places + 1, np.int64)
        np.cumsum(np.bincount(ends, minlength=places), out=start[1:])
        others = np.concatenate((second, first))[by_end].astype(np.int32)
        return Blockers(
            known=known,
            alone=np.diff(start) == 0,
            group=np.arange(places, dtype=np.int32),
            edges=GraphEdges.of(start, others, np.ones(len(others))),
            seat=np.full(places, -1, np.int32),
            threshold=0.0,
        )


class Decisions(NamedTuple):
    """What the pass decided, by position in the order of k rows.

    status: (k,) int8, BELOW_CUT where nothing was decided. kept: (k,) int64, positions in the
    order kept. blocker: (k,) int32, place in `kept` of the blocking row, else -1. similarity:
    (k,) float32, to it. quota: (k,) int16, the quota that was full, else -1.
    state: (3,) int64: rows kept, the position at which the budget ended the pass (-1: it has
    not), pins still to come.
    """

    status: NDArray[np.int8]
    kept: NDArray[np.int64]
    blocker: NDArray[np.int32]
    similarity: NDArray[np.float32]
    quota: NDArray[np.int16]
    state: NDArray[np.int64]
