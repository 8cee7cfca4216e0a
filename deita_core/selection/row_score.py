"""The evol score of every row under a rule, kept with the pool it belongs to."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deita_core.selection.evol import aggregate, evol_scores, turn_scores
from deita_core.selection.order import from_highest
from deita_core.selection.rule import SelectionRule
from deita_core.selection.table import SelectionInput

LOWEST_QUALITY: Final = 1.0


def score_key(rule: SelectionRule) -> Hashable:
    """All of a rule that its scores depend on."""
    weights = (rule.complexity_weight, rule.quality_weight)
    return rule.aggregation, weights, rule.include_no_response


def rule_scores(rule: SelectionRule, table: SelectionInput) -> NDArray[np.float64]:
    """Evol scores under the rule: (n,) float64, NaN where there is none.

    Kept with the table and must not be changed.
    """
    return table.remember(("scores", score_key(rule)), lambda: _scores(rule, table))


def ranked_rows(rule: SelectionRule, table: SelectionInput) -> NDArray[np.int64]:
    """Places in `table.vectors` from the highest score of their row down: (m,) int64.

    Ties by place, those without a score last. Kept with the table and must not be changed.
    """

    def made() -> NDArray[np.int64]:
        return from_highest(rule_scores(rule, table)[table.vector_rows])

    return table.remember(("ranked", score_key(rule)), made)


def _scores(rule: SelectionRule, table: SelectionInput) -> NDArray[np.float64]:
    rows, a, b = len(table), rule.complexity_weight, rule.quality_weight
    turns = (table.turn_row, table.turn_complexity, table.turn_quality)
    scores = evol_scores(*turns, rows, rule.aggregation, a, b)
    if rule.include_no_response:
        lowest = np.full(len(table.turn_row), LOWEST_QUALITY)
        of_turns = turn_scores(table.turn_complexity, lowest, a, b)
        alone = aggregate(table.turn_row, of_turns, rows, rule.aggregation)
        bare = table.no_response & np.isnan(scores)
        scores[bare] = alone[bare]
    scores.flags.writeable = False
    return scores
