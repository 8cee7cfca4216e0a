"""What a rule makes of a pool before any row is selected: scores, filters and quotas.

All of it is kept with the pool for the next time the same part of a rule is asked for, and must
not be changed.
"""

from __future__ import annotations

import base64
import binascii
import math
import zlib
from collections.abc import Hashable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deita_core.describe import NO_RESPONSE
from deita_core.errors import SelectionError
from deita_core.selection.candidates import NO_QUOTAS, QuotaTable
from deita_core.selection.evol import RowScores, evol_scores, from_highest, row_scores
from deita_core.selection.pool_table import PoolTable
from deita_core.selection.rule import EACH, Closeness, Quota, SelectionRule, number_text

LOWEST_QUALITY: Final = 1.0


def score_key(rule: SelectionRule) -> Hashable:
    """All of a rule that its scores depend on."""
    weights = (rule.complexity_weight, rule.quality_weight)
    return rule.aggregation, weights, rule.include_no_response, rule.closeness


def rule_scores(rule: SelectionRule, table: PoolTable) -> NDArray[np.float64]:
    """Evol scores under the rule: (n,) float64, NaN where there is none."""
    return table.remember(("scores", score_key(rule)), lambda: _scores(rule, table))


def ranked_rows(rule: SelectionRule, table: PoolTable) -> NDArray[np.int64]:
    """Places in `table.vectors` from the highest score of their row down: (m,) int64.

    Ties by place, those without a score last.
    """
    scores, rows = rule_scores(rule, table), table.vector_rows
    return table.remember(("ranked", score_key(rule)), lambda: from_highest(scores[rows]))


def _scores(rule: SelectionRule, table: PoolTable) -> NDArray[np.float64]:
    settings = (len(table), rule.aggregation, rule.complexity_weight, rule.quality_weight)
    complexity, quality = table.turn_complexity, table.turn_quality
    scores = evol_scores(table.turn_row, complexity, quality, *settings)
    if rule.include_no_response:
        bare = table.has_flag(NO_RESPONSE) & np.isnan(scores)
        quality = np.where(bare[table.turn_row], LOWEST_QUALITY, quality)
        scores = evol_scores(table.turn_row, complexity, quality, *settings)
    if rule.closeness is not None:
        if rule.complexity_weight == rule.quality_weight == 0:
            scores = np.ones(len(table))  # not the number of turns: closeness alone
        scores = scores * _closeness(rule.closeness, table)
    scores.flags.writeable = False
    return scores


def _closeness(wanted: Closeness, table: PoolTable) -> NDArray[np.float64]:
    """The factor of each row's score: (n,) float64 in [0, 1]; 0 where it is not known."""
    if table.closeness is None or table.closeness_to != wanted.examples:
        raise SelectionError(
            "the rule asks for closeness to examples, and the pool came without it: load it with "
            "selection_input(project, rule=rule)"
        )
    factors: NDArray[np.float64] = np.nan_to_num(table.closeness).clip(0.0, 1.0) ** wanted.weight
    return factors


FILTERS: Final = (
    "language",
    "source",
    "flag",
    "turns",
    "tokens",
    "no response",
    "not admitted",
    "filter",
)


def filter_names(rule: SelectionRule) -> tuple[str, ...]:
    """What each code of `apply_filters` stands for: `FILTERS`, then three for each condition."""
    names = list(FILTERS)
    if rule.filter:
        names[-1] = rule.filter if len(rule.filter) <= 80 else f"{rule.filter[:79]}…"
    for condition in rule.conditions:
        column = condition.column.replace("_", " ")
        names += [
            f"{column} below {number_text(condition.low or 0.0)}",
            f"{column} above {number_text(condition.high or 0.0)}",
            f"{column} not known",
        ]
    return tuple(names)


def apply_filters(rule: SelectionRule, table: PoolTable) -> NDArray[np.int8]:
    """Index into `filter_names` of the first that leaves a row out, else -1: (n,) int8."""
    by_score = any(c.column == "evol_score" for c in rule.conditions)
    names = (rule.languages, rule.sources, rule.excluded_flags)
    ranges = (rule.min_turns, rule.max_turns, rule.min_tokens, rule.max_tokens)
    scores = score_key(rule) if by_score else None
    other = (rule.include_no_response, rule.conditions, scores, rule.filter, rule.passing)
    key: Hashable = ("filters", names, ranges, other)
    return table.remember(key, lambda: _filtered(rule, table))


def _filtered(rule: SelectionRule, table: PoolTable) -> NDArray[np.int8]:
    first = np.full(len(table), -1, np.int8)
    for place, condition in reversed([*enumerate(rule.conditions)]):
        values = numeric_column(condition.column, rule, table)
        below = len(FILTERS) + 3 * place
        _leave_out(first, values, condition.low, condition.high, below, below + 1)
        unknown = values < 0 if condition.column == "cluster" else np.isnan(values)
        first[unknown] = below + 2
    if rule.filter:
        first[~_passing(rule, len(table))] = FILTERS.index("filter")
    if table.admitted is not None:
        first[~table.admitted] = FILTERS.index("not admitted")
    if not rule.include_no_response:
        first[table.has_flag(NO_RESPONSE)] = FILTERS.index("no response")
    for name, values, low, high in (
        ("tokens", table.tokens, rule.min_tokens, rule.max_tokens),
        ("turns", table.turns, rule.min_turns, rule.max_turns),
    ):
        _leave_out(first, values, low, high, FILTERS.index(name), FILTERS.index(name))
    if rule.excluded_flags:
        first[table.has_flag(*rule.excluded_flags)] = FILTERS.index("flag")
    for name, codes, names, wanted in (
        ("source", table.source, table.source_names, rule.sources),
        ("language", table.language, table.language_names, rule.languages),
    ):
        if wanted:
            unwanted = np.array([one not in wanted for one in names], np.bool_)
            first[unwanted[codes]] = FILTERS.index(name)
    first.flags.writeable = False
    return first


def packed_rows(mask: NDArray[np.bool_]) -> str:
    """Which rows pass, (n,) bool, as a short text: how many rows, a colon, bits in base64."""
    bits = base64.b64encode(zlib.compress(np.packbits(mask).tobytes(), 9)).decode()
    return f"{len(mask)}:{bits}"


def unpacked_rows(text: str) -> NDArray[np.bool_]:
    """The inverse of `packed_rows`; SelectionError for what it did not write."""
    count, _, bits = text.partition(":")
    try:
        packed = zlib.decompress(base64.b64decode(bits, validate=True))
        mask = np.unpackbits(np.frombuffer(packed, np.uint8), count=int(count))
    except (ValueError, binascii.Error, zlib.error) as error:
        raise SelectionError(
            f"the rows that pass the rule's filter cannot be read ({error}): leave them out, and "
            "let the filter be applied anew"
        ) from None
    return mask.astype(np.bool_)


def _passing(rule: SelectionRule, rows: int) -> NDArray[np.bool_]:
    """Rows that passed the filter when it was applied: (rows,) bool; later ones did not."""
    if not rule.passing:
        raise SelectionError(
            f"the filter {rule.filter!r} is not applied to a project yet: use settled(rule, "
            "columns) of deita_core.filtering, or select_and_save"
        )
    found = unpacked_rows(rule.passing)
    if len(found) > rows:
        raise SelectionError(
            f"the filter {rule.filter!r} was applied to a pool of {len(found):,} rows, and this "
            f"one has {rows:,}: apply it to this pool"
        )
    mask = np.zeros(rows, np.bool_)
    mask[: len(found)] = found
    return mask


def _leave_out(
    first: NDArray[np.int8],
    values: NDArray[np.number],
    low: float | None,
    high: float | None,
    below: int,
    above: int,
) -> None:
    """Writes the code `below` for values under `low`, and `above` for those over `high`."""
    if low is not None:
        first[values < low] = below
    if high is not None:
        first[values > high] = above


def numeric_column(column: str, rule: SelectionRule, table: PoolTable) -> NDArray[np.number]:
    """A column that conditions look at: (n,), NaN (cluster: -1) where there is no value.

    Raises SelectionError when the pool does not have it.
    """
    if column == "evol_score":
        return rule_scores(rule, table)
    source = mean_scores(table) if column in ("complexity", "quality") else table
    values: NDArray[np.number] | None = getattr(source, column)
    if values is None:
        remedy = "make the similarity graph first" if column == "cluster" else "load it with them"
        name = column.replace("_", " ")
        raise SelectionError(f"the pool has no {name} to put a condition on: {remedy}")
    return values


def mean_scores(table: PoolTable) -> RowScores:
    """Mean complexity and quality of each row, kept with the table."""
    turns = (table.turn_row, table.turn_complexity, table.turn_quality)
    return table.remember("mean scores", lambda: row_scores(*turns, len(table)))


def rule_quotas(rule: SelectionRule, table: PoolTable) -> QuotaTable:
    """The rule's quotas for the n rows of the pool; SelectionError for clusters not known."""
    key = ("quotas", rule.quotas, rule.budget, rule.budget_unit)
    return table.remember(key, lambda: _quotas(rule, table)) if rule.quotas else NO_QUOTAS


def _quotas(rule: SelectionRule, table: PoolTable) -> QuotaTable:
    columns: list[NDArray[np.int32]] = []
    limits: list[int] = []
    by_tokens: list[bool] = []
    names: list[str] = []
    for quota in rule.quotas:
        counts_tokens = quota.share is not None and rule.budget_unit == "tokens"
        if quota.most is not None:
            limit = quota.most
        else:  # 0.29 x 100 is 29, not 28.999...
            limit = math.floor(round((quota.share or 0.0) * (rule.budget or 0), 6))
        for column, labels in _columns(quota, table):
            columns.append(np.where(column >= 0, column + len(limits), -1).astype(np.int32))
            limits += [limit] * len(labels)
            by_tokens += [counts_tokens] * len(labels)
            what = "tokens" if counts_tokens else "rows"
            names += [f"{label}: at most {limit:,} {what}" for label in labels]
    return QuotaTable(
        np.stack(columns, axis=1) if columns else np.empty((len(table), 0), np.int32),
        np.array(limits, np.int64),
        np.array(by_tokens, np.bool_),
        tuple(names),
    )


def _columns(quota: Quota, table: PoolTable) -> list[tuple[NDArray[np.integer], tuple[str, ...]]]:
    """Columns of numbers from 0 (-1: none), each with what its numbers stand for."""
    if quota.column == "flag":
        wanted = [n for n in table.flag_names if quota.name in (EACH, n)]
        return [(np.where(table.has_flag(name), 0, -1), (f"flag {name}",)) for name in wanted]
    codes: NDArray[np.integer] | None = getattr(table, quota.column)
    if codes is None:
        raise SelectionError(
            "a quota on clusters needs clusters: make the similarity graph first, or take the "
            "quota out"
        )
    if quota.column == "cluster":
        names = tuple(map(str, range(int(codes.max(initial=-1)) + 1)))
    else:
        names = getattr(table, f"{quota.column}_names")
    wanted = [n for n in dict.fromkeys(names) if quota.name in (EACH, n)]
    place = {name: number for number, name in enumerate(wanted)}
    # The last place is for code -1, which is none.
    number_of = np.array([*(place.get(name, -1) for name in names), -1], np.int32)
    return [(number_of[codes], tuple(f"{quota.column} {name}" for name in wanted))]
