"""From a rule and a pool to the rows selected, and what became of every other row, in words."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.progress import FilterProgress, finish
from deita_core.selection import status as st
from deita_core.selection.candidates import Candidates, Limits, open_ledger
from deita_core.selection.filters import (
    apply_filters,
    filter_names,
    ranked_rows,
    rule_quotas,
    rule_scores,
)
from deita_core.selection.pool_table import PoolTable
from deita_core.selection.rule import SelectionRule
from deita_core.selection.strategies import find_strategy

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

    def sentence(self) -> str:
        """How many rows were selected, where the pass stopped, and why the others are out.

        One sentence, no full stop.
        """
        rule, count = self.rule, self.trace.count
        strategy = find_strategy(rule.strategy)
        how = rule.how(strategy.phrase if rule.strategy != "repr_filter" else "")
        selected = f"{len(self.kept):,} of {len(self.scores):,} selected {how.strip()}"
        parts = [selected + self._end_of_pass()]
        if pins := count(st.PINNED):
            parts.append(f"{pins:,} of them {'is' if pins == 1 else 'are'} pinned")
        for code, why in (
            (st.NEAR_DUPLICATE, f"too close to {strategy.duplicate_of}"),
            (st.OVER_QUOTA, f"over quota ({_listed(self.trace.quota, self.quota_names)})"),
            (st.FILTERED, f"filtered out ({_listed(self.filtered_by, filter_names(rule))})"),
            (st.EXCLUDED, "excluded"),
        ):
            if number := count(code):
                parts.append(f"{number:,} {'row was' if number == 1 else 'rows were'} {why}")
        for code, what in ((st.NOT_SCORED, "score"), (st.NOT_EMBEDDED, "embedding")):
            if number := count(code):
                parts.append(f"{number:,} {'has' if number == 1 else 'have'} no {what}")
        return "; ".join(parts)

    def _end_of_pass(self) -> str:
        trace, budget = self.trace, self.trace.budget
        if not len(trace.status):
            return ": the pool is empty"
        if not trace.rank.any() and not trace.count(st.PINNED, st.NEAR_DUPLICATE):
            return ": no row has all it takes to be selected"
        if budget is None:
            return " without a budget"
        if budget == 0:
            return ": the budget is 0"
        got = f"{self.tokens:,} of {budget:,} tokens" if trace.by_tokens else f"{len(self.kept):,}"
        if trace.filled:
            return f": the budget filled {self._end}" + (f" ({got})" if trace.by_tokens else "")
        if trace.by_tokens:
            return f": the pool ran out, only {got} asked for"
        return f": the pool ran out, only {got} of the {budget:,} asked for"

    @property
    def _end(self) -> str:
        reached = self.trace.rank_reached
        return f"after rank {reached:,}" if reached else "with the pins"

    def why(self, row: int) -> str:
        """What became of this row and why, in one phrase."""
        code, rank = int(self.trace.status[row]), int(self.trace.rank[row])
        status = st.STATUSES[code]
        if code == st.KEPT:
            return f"kept at rank {rank:,}"
        if code == st.NEAR_DUPLICATE:
            return self._why_near_duplicate(row)
        if code == st.BELOW_CUT and not rank:  # the strategy finds its order as it goes
            return f"below the cut: the budget filled with {len(self.kept):,} rows that came first"
        if code == st.BELOW_CUT:
            return f"below the cut: rank {rank:,}, the budget filled {self._end}"
        if code == st.PINNED:
            return f"pinned: {status.meaning}" + (f", at rank {rank:,}" if rank else "")
        if code == st.OVER_QUOTA and self.trace.quota is not None:
            return f"over quota: {self.quota_names[self.trace.quota[row]]}; its rank is {rank:,}"
        if code == st.FILTERED:
            return f"{status.label}: {filter_names(self.rule)[self.filtered_by[row]]}"
        return f"{status.label}: {status.meaning}"

    def _why_near_duplicate(self, row: int) -> str:
        trace, rank = self.trace, int(self.trace.rank[row])
        blocker = int(trace.blocker[row])
        status = int(trace.status[blocker])
        its_status = st.STATUSES[status].label
        if status in st.SELECTED:
            its_status += f" at rank {int(trace.rank[blocker]):,}"
        else:  # strategies that drop near-duplicates beforehand also hold rows against those
            its_status = f"itself {its_status}"
        own = f"; its own rank is {rank:,}" if rank else ""
        similarity = float(trace.similarity[row])
        return f"near-duplicate of row {blocker:,}, {its_status}: similarity {similarity:.3f}{own}"


def _listed(codes: NDArray[np.integer] | None, names: tuple[str, ...]) -> str:
    """The names whose codes occur, with how often; one needs no number, of many five will do."""
    if codes is None:
        return ""
    counts: NDArray[np.int64] = np.bincount(codes[codes >= 0], minlength=len(names))
    found: list[int] = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)].tolist()
    if len(found) == 1:
        return names[found[0]]
    listed = ", ".join(f"{names[code]}: {counts[code]:,}" for code in found[:5])
    return listed if len(found) <= 5 else f"{listed} and {len(found) - 5} more"


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
    trace = _of_pool(trace, rows, status)
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


def _of_pool(
    trace: st.SelectionTrace, rows: NDArray[np.int64], status: NDArray[np.int8]
) -> st.SelectionTrace:
    """A trace of some rows of a pool as a trace of the whole pool.

    rows: (m,) int64, the pool's number of each row of `trace`. status: (n,) int8, the status of
    every row of the pool, negative for those whose status the trace knows.
    """
    everyone = len(status)
    result = status.copy()
    known = np.flatnonzero(status[rows] < 0)
    result[rows[known]] = trace.status[known]
    near = np.flatnonzero(trace.blocker >= 0)
    blocker = rows[trace.blocker[near]].astype(np.int32)
    return replace(
        trace,
        kept=rows[trace.kept],
        status=result,
        rank=st.scattered(trace.rank, rows, everyone, 0),
        blocker=st.scattered(blocker, rows[near], everyone, -1),
        similarity=st.scattered(trace.similarity[near], rows[near], everyone, np.nan),
        quota=None if trace.quota is None else st.scattered(trace.quota, rows, everyone, -1),
    )
