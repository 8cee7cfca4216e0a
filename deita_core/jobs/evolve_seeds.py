"""Which turns of the pool are evolved: by a choice, made once when a run begins."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from deita_core.conversation import Conversation
from deita_core.errors import EvolvingError
from deita_core.evolving.plan import BorderModel, EvolvePlan
from deita_core.evolving.seeds import SeedKind, SeedRule, seed_order, take_seeds
from deita_core.filtering import PoolColumns, matching_rows, parse_filter
from deita_core.project import Project
from deita_core.project.graphs import load_clusters

_FETCHED_AT_ONCE = 500


class SeedChoice(BorderModel):
    """Which rows seeds are taken from. A value out of range is an EvolvingError.

    by: "spread" is "clusters" where the pool has clusters, else "random"; see `SeedRule`. size:
    seeds at most. filter: only rows that pass it (its short text). ids: only these rows, in their
    order. seed: of the draws.
    """

    called = "a choice of seeds"

    by: Literal["spread", "clusters", "random"] = "spread"
    size: int = Field(default=200, ge=1)
    filter: str = ""
    ids: tuple[str, ...] = ()
    seed: int = Field(default=0, ge=0)


@dataclass(frozen=True, slots=True)
class ChosenSeeds:
    """seeds: row and turn of each, in the order of their chains; the first ones are a sample of
    all. unfit: why rows were passed over, and how many."""

    seeds: list[tuple[int, int]]
    unfit: dict[str, int]


def chosen_seeds(project: Project, choice: SeedChoice, plan: EvolvePlan) -> ChosenSeeds:
    """The seeds by a choice.

    Raises EvolvingError where no row is left, or none can evolve; FilterError for a filter that
    cannot be applied here.
    """
    rows: NDArray[np.int64] = np.arange(project.number("SELECT count(*) FROM conversations"))
    if choice.ids:
        rows = _rows_of(project, choice.ids)
    if choice.filter:
        wanted = parse_filter(choice.filter).strict()
        rows = rows[matching_rows(wanted, PoolColumns(project))[rows]]
    clusters = load_clusters(project)
    kind: SeedKind = "rows"
    if not choice.ids:
        spread: SeedKind = "random" if clusters is None else "clusters"
        kind = spread if choice.by == "spread" else choice.by
    of_rows = None if clusters is None else clusters[rows]
    order = seed_order(SeedRule(kind=kind, size=choice.size, seed=choice.seed), rows, of_rows)
    seeds, unfit = take_seeds(_texts(project, order), choice.size, plan)
    reasons = Counter(one.reason for one in unfit)
    if not seeds:
        why, count = reasons.most_common(1)[0]
        raise EvolvingError(
            f"none of {len(order):,} rows can evolve ({count:,} times: {why}): choose others"
        )
    return ChosenSeeds([(one.row, one.turn) for one in seeds], dict(reasons))


def _rows_of(project: Project, ids: Sequence[str]) -> NDArray[np.int64]:
    query = "SELECT id, row FROM conversations WHERE id IN (SELECT unnest(?::VARCHAR[]))"
    known = dict(project.rows(query, list(ids)))
    if missing := [one for one in ids if one not in known]:
        raise EvolvingError(
            f"{len(missing):,} of {len(ids):,} ids are not in this project, the first of them "
            f"{missing[0]!r}: name rows that it has"
        )
    return np.array(list(dict.fromkeys(known[one] for one in ids)), np.int64)


def _texts(project: Project, order: NDArray[np.int64]) -> Iterator[tuple[int, Conversation]]:
    """The conversations of these rows, read as far as they are asked for."""
    query = (
        "SELECT row, messages, tools FROM conversations WHERE row IN (SELECT unnest(?::INTEGER[]))"
    )
    for start in range(0, len(order), _FETCHED_AT_ONCE):
        rows = order[start : start + _FETCHED_AT_ONCE].tolist()
        found = {row: rest for row, *rest in project.rows(query, rows)}
        for row in rows:
            yield row, Conversation.from_json(*found[row])
