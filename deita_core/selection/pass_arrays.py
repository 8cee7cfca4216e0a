"""What the compiled greedy pass reads and writes; `pass_kernel` itself is imported late."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from deita_core.similarity.graph import GraphEdges


class Ledger(NamedTuple):
    """What a selection has taken of its budget and quotas, as the compiled pass counts it.

    room: (1,) int64, left of the budget; -1 without one. in_tokens: it is in tokens, not rows.
    tokens: (n,) int64, empty when nothing counts them. used: (c,) int64, what counts in each
    quota so far. codes, limit, by_tokens: see `quotas.QuotaTable`.
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
