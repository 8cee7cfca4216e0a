"""What a rule makes of a pool before any row is selected: scores, filters and quotas.

All of it is kept with the pool for the next time the same part of a rule is asked for.
"""

from __future__ import annotations

import math
from collections.abc import Hashable, Sequence
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.selection.candidates import NO_QUOTAS, QuotaTable
from deita_core.selection.evol import (
    RowScores,
    aggregate,
    evol_scores,
    from_highest,
    row_scores,
    turn_scores,
)
from deita_core.selection.pool_table import BudgetUnit, PoolTable
from deita_core.selection.rule import EACH, Condition, Quota, SelectionRule, number_text

LOWEST_QUALITY: Final = 1.0


def score_key(rule: SelectionRule) -> Hashable:
    """All of a rule that its scores depend on."""
    weights = (rule.complexity_weight, rule.quality_weight)
    return rule.aggregation, weights, rule.include_no_response


def rule_scores(rule: SelectionRule, table: PoolTable) -> NDArray[np.float64]:
    """Evol scores under the rule: (n,) float64, NaN where there is none.

    Kept with the table and must not be changed.
    """
    return table.remember(("scores", score_key(rule)), lambda: _scores(rule, table))


def ranked_rows(rule: SelectionRule, table: PoolTable) -> NDArray[np.int64]:
    """Places in `table.vectors` from the highest score of their row down: (m,) int64.

    Ties by place, those without a score last. Kept with the table and must not be changed.
    """

    def made() -> NDArray[np.int64]:
        return from_highest(rule_scores(rule, table)[table.vector_rows])

    return table.remember(("ranked", score_key(rule)), made)


def _scores(rule: SelectionRule, table: PoolTable) -> NDArray[np.float64]:
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


FILTERS: Final = ("language", "source", "flag", "turns", "tokens", "no response", "not admitted")
# Each condition has three codes after the filters.
_BELOW, _ABOVE, _UNKNOWN = range(3)


def filter_names(rule: SelectionRule) -> tuple[str, ...]:
    """What each code of `apply_filters` stands for: `FILTERS`, then three for each condition."""
    names = list(FILTERS)
    for condition in rule.conditions:
        column = condition.column.replace("_", " ")
        names += [
            f"{column} below {number_text(condition.low or 0.0)}",
            f"{column} above {number_text(condition.high or 0.0)}",
            f"{column} not known",
        ]
    return tuple(names)


def apply_filters(rule: SelectionRule, table: PoolTable) -> NDArray[np.int8]:
    """Index into `filter_names` of the first that leaves a row out, else -1: (n,) int8.

    Kept with the table and must not be changed.
    """
    by_score = any(c.column == "evol_score" for c in rule.conditions)
    key: Hashable = (
        "filters",
        rule.languages,
        rule.sources,
        rule.excluded_flags,
        (rule.min_turns, rule.max_turns, rule.min_tokens, rule.max_tokens),
        rule.include_no_response,
        rule.conditions,
        score_key(rule) if by_score else None,
    )
    return table.remember(key, lambda: _filtered(rule, table))


def _filtered(rule: SelectionRule, table: PoolTable) -> NDArray[np.int8]:
    admitted = table.admitted
    first = np.full(len(table), -1, np.int8)
    for place in reversed(range(len(rule.conditions))):
        _apply_condition(rule.conditions[place], len(FILTERS) + 3 * place, rule, table, first)
    if admitted is not None:
        first[~admitted] = FILTERS.index("not admitted")
    if not rule.include_no_response:
        first[table.no_response] = FILTERS.index("no response")
    _apply_range(table.tokens, rule.min_tokens, rule.max_tokens, "tokens", first)
    _apply_range(table.turns, rule.min_turns, rule.max_turns, "turns", first)
    if rule.excluded_flags:
        first[table.has_flag(*rule.excluded_flags)] = FILTERS.index("flag")
    if rule.sources:
        first[~_named(table.source, table.source_names, rule.sources)] = FILTERS.index("source")
    if rule.languages:
        out = ~_named(table.language, table.language_names, rule.languages)
        first[out] = FILTERS.index("language")
    first.flags.writeable = False
    return first


def _apply_condition(
    condition: Condition,
    code: int,
    rule: SelectionRule,
    table: PoolTable,
    first: NDArray[np.int8],
) -> None:
    values = numeric_column(condition.column, rule, table)
    if condition.low is not None:
        first[values < condition.low] = code + _BELOW
    if condition.high is not None:
        first[values > condition.high] = code + _ABOVE
    if values.dtype.kind == "f":
        first[np.isnan(values)] = code + _UNKNOWN
    elif condition.column == "cluster":
        first[values < 0] = code + _UNKNOWN


def numeric_column(column: str, rule: SelectionRule, table: PoolTable) -> NDArray[Any]:
    """A column that conditions look at: (n,), NaN (cluster: -1) where there is no value.

    Raises SelectionError when the pool does not have it.
    """
    if column == "evol_score":
        return rule_scores(rule, table)
    if column in ("complexity", "quality"):
        means = mean_scores(table)
        return means.complexity if column == "complexity" else means.quality
    values: NDArray[Any] | None = getattr(table, column)
    if values is None:
        remedy = "make the similarity graph first" if column == "cluster" else "load it with them"
        name = column.replace("_", " ")
        raise SelectionError(f"the pool has no {name} to put a condition on: {remedy}")
    return values


def mean_scores(table: PoolTable) -> RowScores:
    """Mean complexity and quality of each row, kept with the table."""
    turns = (table.turn_row, table.turn_complexity, table.turn_quality)
    return table.remember("mean scores", lambda: row_scores(*turns, len(table)))


def _named(
    codes: NDArray[np.integer], names: tuple[str, ...], wanted: tuple[str, ...]
) -> NDArray[np.bool_]:
    is_wanted = np.array([name in wanted for name in names], np.bool_)
    chosen: NDArray[np.bool_] = is_wanted[codes]
    return chosen


def _apply_range(
    values: NDArray[np.integer],
    low: int | None,
    high: int | None,
    name: str,
    first: NDArray[np.int8],
) -> None:
    if low is not None:
        first[values < low] = FILTERS.index(name)
    if high is not None:
        first[values > high] = FILTERS.index(name)


def rule_quotas(rule: SelectionRule, table: PoolTable) -> QuotaTable:
    """The rule's quotas for the n rows of the pool; kept with the table."""
    key = ("quotas", rule.quotas, rule.budget, rule.budget_unit)
    return table.remember(
        key, lambda: quota_table(rule.quotas, rule.budget, rule.budget_unit, table)
    )


def quota_table(
    quotas: Sequence[Quota], budget: int | None, unit: BudgetUnit, table: PoolTable
) -> QuotaTable:
    """The quotas of a rule for the n rows of the pool.

    Raises SelectionError for a share without a budget, and for clusters that are not known.
    """
    if not quotas:
        return NO_QUOTAS
    columns: list[NDArray[np.int32]] = []
    limits: list[int] = []
    by_tokens: list[bool] = []
    names: list[str] = []
    for quota in quotas:
        limit = quota.most if quota.most is not None else _share(quota.share, budget)
        for column, labels in _columns(quota, table):
            columns.append(np.where(column >= 0, column + len(limits), -1).astype(np.int32))
            limits += [limit] * len(labels)
            counts_tokens = quota.share is not None and unit == "tokens"
            by_tokens += [counts_tokens] * len(labels)
            what = "tokens" if counts_tokens else "rows"
            names += [f"{label}: at most {limit:,} {what}" for label in labels]
    return QuotaTable(
        np.stack(columns, axis=1) if columns else np.empty((len(table), 0), np.int32),
        np.array(limits, np.int64),
        np.array(by_tokens, np.bool_),
        tuple(names),
    )


def _share(share: float | None, budget: int | None) -> int:
    if share is None or budget is None:
        raise SelectionError("a quota as a share needs a budget: set one, or give rows")
    return math.floor(round(share * budget, 6))  # 0.29 x 100 is 29, not 28.999...


def _columns(quota: Quota, table: PoolTable) -> list[tuple[NDArray[np.integer], tuple[str, ...]]]:
    """Columns of numbers from 0 (-1: none), each with what its numbers stand for."""
    if quota.column == "flag":
        wanted = [n for n in table.flag_names if quota.name in (EACH, n)]
        return [(np.where(table.has_flag(name), 0, -1), (f"flag {name}",)) for name in wanted]
    codes, names = _codes(quota, table)
    wanted = [n for n in dict.fromkeys(names) if quota.name in (EACH, n)]
    place = {name: number for number, name in enumerate(wanted)}
    # The last place is for code -1, which is none.
    number_of = np.array([*(place.get(name, -1) for name in names), -1], np.int32)
    return [(number_of[codes], tuple(f"{quota.column} {name}" for name in wanted))]


def _codes(quota: Quota, table: PoolTable) -> tuple[NDArray[np.integer], tuple[str, ...]]:
    if quota.column == "source":
        return table.source, table.source_names
    if quota.column == "language":
        return table.language, table.language_names
    if table.cluster is None:
        raise SelectionError(
            "a quota on clusters needs clusters: make the similarity graph first, or take the "
            "quota out"
        )
    count = int(table.cluster.max(initial=-1)) + 1
    return table.cluster, tuple(map(str, range(count)))
