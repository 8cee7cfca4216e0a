"""What the aggregation of turns does to a selection: the sum favours long chats."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace

import numpy as np

from deita_core.selection.evol import AGGREGATIONS
from deita_core.selection.measures import mean_or_nan
from deita_core.selection.outcome import select
from deita_core.selection.rule import SelectionRule
from deita_core.selection.table import SelectionInput
from deita_core.stepwise import finish


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
    tokens_total: int
    multi_turn: float
    shared: float


def aggregation_effects(
    rule: SelectionRule, table: SelectionInput
) -> tuple[AggregationEffect, ...]:
    """The effect of each of `AGGREGATIONS`, everything else as the rule says."""
    return finish(aggregation_effects_steps(rule, table))


def aggregation_effects_steps(
    rule: SelectionRule, table: SelectionInput
) -> Generator[int, None, tuple[AggregationEffect, ...]]:
    """`aggregation_effects` as a generator: yields how many are done."""
    kept = {}
    for info in AGGREGATIONS:
        kept[info.name] = select(replace(rule, aggregation=info.name), table).kept
        yield len(kept)
    present = kept[rule.aggregation]  # type: ignore[index]
    return tuple(
        AggregationEffect(
            aggregation=name,
            rows=len(rows),
            turns=mean_or_nan(table.turns[rows]),
            tokens=mean_or_nan(table.tokens[rows]),
            tokens_total=int(table.tokens[rows].sum(dtype=np.int64)),
            multi_turn=mean_or_nan((table.turns[rows] > 1).astype(np.float64)),
            shared=mean_or_nan(np.isin(rows, present).astype(np.float64)),
        )
        for name, rows in kept.items()
    )
