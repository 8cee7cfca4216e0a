"""From a rule and a pool to the rows selected, and what became of every other row."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.progress import FilterProgress, finish
from deita_core.selection import status as st
from deita_core.selection.candidates import Candidates, Limits
from deita_core.selection.filters import (
    apply_filters,
    filter_names,
    ranked_rows,
    rule_quotas,
    rule_scores,
)
from deita_core.selection.pool_table import PoolTable
from deita_core.selection.quotas import open_ledger
from deita_core.selection.rule import SelectionRule
from deita_core.selection.strategies import find_strategy
from deita_core.selection.wording import outcome_sentence, why_sentence

_CANDIDATE: Final = -1


@dataclass(frozen=True)
class Outcome:
    """A selection and its reasons.

    scores: (n,) float64, evol scores under the rule, NaN where there is none.
    filtered_by: (n,) int8, index into `filter_names(rule)` of the first filter that left a row out;
        else -1. tokens: of the rows selected.
    quota_names: what each number in `trace.quota` limits, in plain words.
    """

    rule: SelectionRule
    trace: st.SelectionTrace
    scores: NDArray[np.float64]
    filtered_by: NDArray[np.int8]
    tokens: int = 0
    quota_names: tuple[str, ...] = ()

    @property
    def kept(self) -> NDArray[np.int64]:
        """(k,) int64, rows selected, in the order kept."""
        return self.trace.kept

    @property
    def counts(self) -> st.Counts:
        """Rows by status."""
        return self.trace.counts

    def sentence(self) -> str:
        """The outcome in one sentence with its numbers (no full stop)."""
        filtered = _named_counts(self.filtered_by, filter_names(self.rule))
        quotas = self.trace.quota
        full = {} if quotas is None else _named_counts(quotas, self.quota_names)
        return outcome_sentence(self.rule, self.trace, filtered, full, self.tokens)

    def why(self, row: int) -> str:
        """What became of this row and why, in one phrase."""
        code = int(self.filtered_by[row])
        if code >= 0:
            return why_sentence(self.trace, row, filter_names(self.rule)[code])
        quota = -1 if self.trace.quota is None else int(self.trace.quota[row])
        return why_sentence(self.trace, row, self.quota_names[quota] if quota >= 0 else None)


def _named_counts(codes: NDArray[np.integer], names: tuple[str, ...]) -> dict[str, int]:
    """How often each name's code occurs, those that do not left out."""
    counts = np.bincount(codes[codes >= 0], minlength=len(names)).tolist()
    return {name: number for name, number in zip(names, counts, strict=True) if number}


def select(rule: SelectionRule, table: PoolTable) -> Outcome:
    """Applies the rule: a pure function, the same inputs give the same rows.

    Rows without an evol score or an embedding are selected only when pinned; their status says
    so. Raises SelectionError when the pins do not fit the pool or the budget.
    """
    return finish(select_steps(rule, table))


def select_steps(rule: SelectionRule, table: PoolTable) -> Generator[FilterProgress, None, Outcome]:
    """`select` as a generator: yields progress, returns the outcome."""
    scores, filtered_by = rule_scores(rule, table), apply_filters(rule, table)
    pinned, excluded = _by_hand(rule, table)
    by_hand = np.concatenate((pinned, excluded))
    if len(by_hand):
        filtered_by = filtered_by.copy()
        filtered_by[by_hand] = -1
    status = np.full(len(table), _CANDIDATE, np.int8)
    status[table.place < 0] = st.NOT_EMBEDDED
    status[np.isnan(scores)] = st.NOT_SCORED
    status[filtered_by >= 0] = st.FILTERED
    status[excluded] = st.EXCLUDED
    # Pinned rows with a vector go through the pass, because they block others; the rest cannot.
    inside = table.place[pinned] >= 0
    outside = pinned[~inside]
    status[pinned[inside]] = _CANDIDATE
    status[outside] = st.PINNED
    quotas = rule_quotas(rule, table)
    rows = table.vector_rows
    is_pinned = np.zeros(len(rows), np.bool_)
    is_pinned[table.place[pinned[inside]]] = True
    candidates = Candidates(
        table=table,
        scores=scores[rows],
        eligible=status[rows] == _CANDIDATE,
        pinned=is_pinned,
        ledger=open_ledger(rule.budget, rule.budget_unit, table, pinned, quotas),
        ranked=ranked_rows(rule, table),
    )
    limits = Limits(rule.threshold, rule.budget, rule.seed, rule.budget_unit, rule.pin_place)
    trace = yield from find_strategy(rule.strategy).steps(candidates, limits)
    trace = st.spread(trace, rows, status)
    if len(outside):
        parts = (outside, trace.kept) if rule.pin_place == "first" else (trace.kept, outside)
        trace = replace(trace, kept=np.concatenate(parts))
    tokens = int(table.tokens[trace.kept].sum(dtype=np.int64))
    return Outcome(rule, trace, scores, filtered_by, tokens, quotas.names)


def _by_hand(rule: SelectionRule, table: PoolTable) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Rows pinned and rows excluded, ascending."""
    pinned, excluded = table.rows_of(rule.pinned), table.rows_of(rule.excluded)
    if (pinned < 0).any():
        missing = rule.pinned[int((pinned < 0).argmax())]
        raise SelectionError(
            f"{int((pinned < 0).sum())} pinned conversations are not in this pool, first "
            f"{missing}: import the file that has them, or take them out of the pins"
        )
    # An exclusion of what is not there excludes nothing, as it says.
    return np.unique(pinned), np.unique(excluded[excluded >= 0])
