"""Which turns chains start from: rows by rule, and the turn of each that can evolve.

A rule puts all rows that may be taken in an order; the seeds are the first of them that can evolve.
So the seeds of a pilot are the first seeds of the run, and more seeds are the same and others.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from deita_core.conversation import Conversation
from deita_core.errors import EvolvingError
from deita_core.evolving.elimination import seed_fault
from deita_core.evolving.plan import MOST_SEED, BorderModel, EvolvePlan, lot
from deita_core.evolving.variant import Seed

SeedKind = Literal["clusters", "random", "rows"]
MOST_SEEDS: Final = 1_000_000


class SeedRule(BorderModel):
    """Which rows, and how many of them. A value out of range is an EvolvingError.

    kind: "clusters" takes as many of each cluster as of any other, as far as it has them; "random"
    draws from all; "rows" takes them as they are given. size: seeds at most. seed: of the draws.
    """

    called = "a rule for seeds"

    kind: SeedKind = "clusters"
    size: int = Field(default=200, ge=1, le=MOST_SEEDS)
    seed: int = Field(default=0, ge=0, le=MOST_SEED)


def seed_order(
    rule: SeedRule, rows: NDArray[np.integer], clusters: NDArray[np.integer] | None = None
) -> NDArray[np.int64]:
    """The rows in the order in which they are taken: (n,) int64.

    rows: (n,) that may be taken, none twice. clusters: (n,) of each of them, -1 for none (which
    counts as a cluster). A lot depends on the row's number and the seed alone. Raises EvolvingError
    for the kind "clusters" without clusters, and where there are no rows.
    """
    if not len(rows):
        raise EvolvingError("there is no row to take a seed from: choose others, or another view")
    if rule.kind == "rows":
        return rows.astype(np.int64)
    lots = np.array([lot("seed", rule.seed, int(row)) for row in rows], np.uint64)
    drawn = np.argsort(lots, kind="stable")
    if rule.kind == "random":
        return rows[drawn].astype(np.int64)
    if clusters is None:
        raise EvolvingError("the pool has no clusters to spread seeds over: make them, or draw")
    return rows[drawn[_in_turns(clusters[drawn], rule.seed)]].astype(np.int64)


def _in_turns(clusters: NDArray[np.integer], seed: int) -> NDArray[np.intp]:
    """Places in an order that takes one of each cluster, then the second of each, and so on."""
    _, of_cluster = np.unique(clusters, return_inverse=True)
    grouped = np.argsort(of_cluster, kind="stable")
    sizes = np.bincount(of_cluster)
    turn = np.empty(len(clusters), np.int64)
    turn[grouped] = np.arange(len(clusters)) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    # Which cluster comes first in a turn is drawn as well: the last turn may be cut short.
    lots = [lot("cluster", seed, int(cluster)) for cluster in np.unique(clusters)]
    return np.lexsort((np.array(lots, np.uint64)[of_cluster], turn))


@dataclass(frozen=True, slots=True)
class Unfit:
    """A row that was due and cannot be a seed, and why."""

    row: int
    reason: str


def take_seeds(
    rows: Iterable[tuple[int, Conversation]], size: int, plan: EvolvePlan
) -> tuple[list[Seed], list[Unfit]]:
    """The first `size` rows that can evolve, as seeds of chains 0, 1, ...; and those passed over.

    rows: in the order in which they are taken; read no further than needed. Of a conversation the
    first turn is taken: what comes later cannot be understood without what was before.
    """
    seeds: list[Seed] = []
    unfit: list[Unfit] = []
    for row, conversation in rows:
        if not conversation.turns:
            unfit.append(Unfit(row, "it has no turn"))
            continue
        turn = conversation.turns[0]
        if fault := seed_fault(turn.instruction, turn.response, plan):
            unfit.append(Unfit(row, fault.detail))
            continue
        seeds.append(Seed(len(seeds), row, turn.index, turn.instruction, turn.response))
        if len(seeds) == size:
            break
    return seeds, unfit
