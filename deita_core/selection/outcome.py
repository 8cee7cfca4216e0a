"""From a rule and a pool to the rows selected, and what became of every other row."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deita_core.selection import status as st
from deita_core.selection.evol import aggregate, evol_scores
from deita_core.selection.progress import FilterProgress, finish
from deita_core.selection.rule import SelectionRule
from deita_core.selection.strategies import Candidates, Choice, find_strategy
from deita_core.selection.table import SelectionInput
from deita_core.selection.wording import outcome_sentence, why_sentence

FILTERS: Final = ("language", "source", "flag", "turns", "tokens", "no response", "not admitted")
LOWEST_QUALITY: Final = 1.0
_CANDIDATE: Final = -1


@dataclass(frozen=True, slots=True)
class Counts:
    """Rows by what became of them; they add up to the pool."""

    kept: int
    near_duplicates: int
    below_cut: int
    pinned: int
    excluded: int
    filtered: int
    not_scored: int
    not_embedded: int

    @property
    def selected(self) -> int:
        """Rows in the selection: kept on their score, or pinned."""
        return self.kept + self.pinned

    @property
    def total(self) -> int:
        """All rows of the pool."""
        out = self.near_duplicates + self.below_cut + self.excluded + self.filtered
        return self.selected + out + self.not_scored + self.not_embedded


@dataclass(frozen=True)
class Outcome:
    """A selection and its reasons.

    scores: (n,) float64, evol scores under the rule, NaN where there is none.
    filtered_by: (n,) int8, index into `FILTERS` of the first filter that left a row out; else -1.
    """

    rule: SelectionRule
    trace: st.SelectionTrace
    scores: NDArray[np.float64]
    filtered_by: NDArray[np.int8]

    @property
    def kept(self) -> NDArray[np.int64]:
        """(k,) int64, rows selected, in the order kept."""
        return self.trace.kept

    @property
    def counts(self) -> Counts:
        """Rows by status."""
        return Counts(
            kept=self.trace.count(st.KEPT),
            near_duplicates=self.trace.count(st.NEAR_DUPLICATE),
            below_cut=self.trace.count(st.BELOW_CUT),
            pinned=self.trace.count(st.PINNED),
            excluded=self.trace.count(st.EXCLUDED),
            filtered=self.trace.count(st.FILTERED),
            not_scored=self.trace.count(st.NOT_SCORED),
            not_embedded=self.trace.count(st.NOT_EMBEDDED),
        )

    def sentence(self) -> str:
        """The outcome in one sentence with its numbers (no full stop)."""
        by = np.bincount(self.filtered_by[self.filtered_by >= 0], minlength=len(FILTERS)).tolist()
        filtered = {name: number for name, number in zip(FILTERS, by, strict=True) if number}
        return outcome_sentence(self.rule, self.trace, self.counts, filtered)

    def why(self, row: int) -> str:
        """What became of this row and why, in one phrase."""
        code = int(self.filtered_by[row])
        return why_sentence(self.trace, row, FILTERS[code] if code >= 0 else None)


def select(rule: SelectionRule, table: SelectionInput) -> Outcome:
    """Applies the rule: a pure function, the same inputs give the same rows.

    Rows without an evol score or an embedding are never selected; their status says so.
    """
    return finish(select_steps(rule, table))


def select_steps(
    rule: SelectionRule, table: SelectionInput
) -> Generator[FilterProgress, None, Outcome]:
    """`select` as a generator: yields progress, returns the outcome."""
    scores = rule_scores(rule, table)
    filtered_by = apply_filters(rule, table)
    status = np.full(len(table), _CANDIDATE, np.int8)
    status[table.place < 0] = st.NOT_EMBEDDED
    status[np.isnan(scores)] = st.NOT_SCORED
    status[filtered_by >= 0] = st.FILTERED
    rows = table.vector_rows.astype(np.int64)
    candidates = Candidates(table.vectors, scores[rows], status[rows] == _CANDIDATE, rows)
    choice = Choice(rule.threshold, rule.budget, rule.seed)
    trace = yield from find_strategy(rule.strategy).steps(candidates, choice)
    return Outcome(rule, st.spread(trace, rows, status), scores, filtered_by)


def rule_scores(rule: SelectionRule, table: SelectionInput) -> NDArray[np.float64]:
    """Evol scores under the rule: (n,) float64, NaN where there is none."""
    rows = len(table)
    turns = (table.turn_row, table.turn_complexity, table.turn_quality)
    scores = evol_scores(*turns, rows, rule.aggregation)
    if rule.include_no_response:
        lowest = table.turn_complexity * LOWEST_QUALITY
        alone = aggregate(table.turn_row, lowest, rows, rule.aggregation)
        bare = table.no_response & np.isnan(scores)
        scores[bare] = alone[bare]
    return scores


def apply_filters(rule: SelectionRule, table: SelectionInput) -> NDArray[np.int8]:
    """Index into `FILTERS` of the first filter that leaves a row out, else -1: (n,) int8."""
    nobody = np.zeros(len(table), np.bool_)
    admitted = table.admitted
    out = (
        ~_named(table.language, table.language_names, rule.languages),
        ~_named(table.source, table.source_names, rule.sources),
        table.has_flag(rule.excluded_flags),
        ~_within(table.turns, rule.min_turns, rule.max_turns),
        ~_within(table.tokens, rule.min_tokens, rule.max_tokens),
        nobody if rule.include_no_response else table.no_response,
        nobody if admitted is None else ~admitted,
    )
    first = np.full(len(table), -1, np.int8)
    for code in reversed(range(len(out))):
        first[out[code]] = code
    return first


def _named(
    codes: NDArray[np.integer], names: tuple[str, ...], wanted: tuple[str, ...]
) -> NDArray[np.bool_]:
    if not wanted:
        return np.ones(len(codes), np.bool_)
    return np.isin(codes, [code for code, name in enumerate(names) if name in wanted])


def _within(values: NDArray[np.integer], low: int | None, high: int | None) -> NDArray[np.bool_]:
    inside = np.ones(len(values), np.bool_)
    if low is not None:
        inside &= values >= low
    if high is not None:
        inside &= values <= high
    return inside
