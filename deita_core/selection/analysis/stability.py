"""Stability of a selection: how much of it is left when something is changed that was a choice.

The rule is applied again with another threshold, aggregation, seed or embedder, and the share of
the rows selected before that are selected again is its stability under that change.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.progress import Stage
from deita_core.selection.evol import AGGREGATIONS
from deita_core.selection.outcome import select
from deita_core.selection.pool_table import PoolTable
from deita_core.selection.rule import SelectionRule, similarity_text
from deita_core.selection.strategies import find_strategy

Rows = NDArray[np.int64]
Kind = Literal["as it stands", "threshold", "aggregation", "seed", "embedder", "clusters", "chance"]

STEP: Final = 0.02
MORE_SEEDS: Final = 2
_DECIMALS: Final = 6
_NO_CHANGE: Final = ("as it stands", "chance")


@dataclass(frozen=True, slots=True)
class Survival:
    """What is left of a selection under one change.

    change: in plain words. rows: how many the changed rule selects. survived: of the selection's
    own rows, those that it selects too. share: survived by the selection's rows, 0 to 1.
    reason: why the change could not be tried; rows and survived are 0 then, share NaN.
    """

    kind: Kind
    change: str
    rows: int
    survived: int
    share: float
    reason: str = ""


def stability(
    rule: SelectionRule,
    table: PoolTable,
    rows: Rows,
    others: Mapping[tuple[Kind, str], PoolTable],
) -> Generator[Stage, None, tuple[Survival, ...]]:
    """Tries each change of `changes_of`, then each other table; yields which one it is at.

    rows: (k,) int64, what the rule gave when it was saved. others: tables of the same pool, with
    another embedder's vectors, say, by the kind and the words of the change. The last line is
    chance: what a random draw of as many rows would share, on average.

    Raises SelectionError for a selection without rows.
    """
    if not len(rows):
        raise SelectionError("the selection holds no rows: there is nothing to try")
    tries = [(kind, change, one, table) for kind, change, one in changes_of(rule)]
    tries += [(kind, change, rule, other) for (kind, change), other in others.items()]
    found = []
    for done, (kind, change, changed, pool) in enumerate(tries):
        yield Stage(change, done, len(tries))
        found.append(_survival(kind, change, changed, pool, rows))
    ready = max(int(np.count_nonzero(table.place >= 0)), len(rows))
    expected = len(rows) * len(rows) / ready
    chance = Survival("chance", "random rows", len(rows), round(expected), len(rows) / ready)
    return (*found, chance)


def stability_sentence(found: Sequence[Survival]) -> str:
    """What `stability` found in one sentence (no full stop): the least and most that is left."""
    tried = [one for one in found if not one.reason and one.kind not in _NO_CHANGE]
    if not tried:
        return "no other choice could be tried"
    least = min(tried, key=_share)
    shares = dict.fromkeys(f"{one.share:.1%}" for one in (least, max(tried, key=_share)))
    said = f"other choices keep {' to '.join(shares)} of it, least: {least.change}"
    chance = [one for one in found if one.kind == "chance"]
    return said + "".join(f"; random rows would share {one.share:.1%}" for one in chance)


def _share(one: Survival) -> float:
    return one.share


def changes_of(rule: SelectionRule) -> tuple[tuple[Kind, str, SelectionRule], ...]:
    """The changes of a rule: none, a threshold 0.02 lower and higher (for strategies that use
    one), every other aggregation, and other seeds (for strategies that draw lots)."""
    found: list[tuple[Kind, str, SelectionRule]] = [("as it stands", "the rule as it stands", rule)]
    if find_strategy(rule.strategy).uses_threshold:
        for step in (-STEP, STEP):
            threshold = round(min(1.0, max(-1.0, rule.threshold + step)), _DECIMALS)
            if threshold != rule.threshold:
                words = similarity_text(threshold)
                found.append(("threshold", words, replace(rule, threshold=threshold)))
    for way in AGGREGATIONS:
        if way.name != rule.aggregation:
            changed = replace(rule, aggregation=way.name)
            found.append(("aggregation", f"turns: {way.name}", changed))
    if rule.strategy == "random":
        for more in range(1, MORE_SEEDS + 1):
            changed = replace(rule, seed=rule.seed + more)
            found.append(("seed", f"seed {changed.seed}", changed))
    return tuple(found)


def _survival(
    kind: Kind, change: str, rule: SelectionRule, table: PoolTable, rows: Rows
) -> Survival:
    try:
        kept = select(rule, table).kept
    except SelectionError as error:  # the other embedder has no graph, say
        return Survival(kind, change, 0, 0, float("nan"), str(error))
    survived = int(np.isin(rows, kept).sum())
    return Survival(kind, change, len(kept), survived, survived / len(rows))
