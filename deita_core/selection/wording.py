"""Selections in plain words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from deita_core.selection import status as st
from deita_core.selection.rule import SelectionRule, similarity_text
from deita_core.selection.strategies import find_strategy


class RowCounts(Protocol):
    """What `outcome_sentence` needs of `outcome.Counts`."""

    @property
    def selected(self) -> int: ...
    @property
    def total(self) -> int: ...
    @property
    def near_duplicates(self) -> int: ...
    @property
    def excluded(self) -> int: ...
    @property
    def filtered(self) -> int: ...
    @property
    def not_scored(self) -> int: ...
    @property
    def not_embedded(self) -> int: ...


def outcome_sentence(
    rule: SelectionRule,
    trace: st.SelectionTrace,
    counts: RowCounts,
    filtered: Mapping[str, int],
) -> str:
    """How many rows were selected, where the pass stopped, and why the others are out.

    filtered: rows left out by each filter.
    """
    parts = [f"{_head(rule, counts)}{_end_of_pass(trace, counts)}"]
    if counts.near_duplicates:
        other = find_strategy(rule.strategy).duplicate_of
        parts.append(f"{_rows(counts.near_duplicates)} too close to {other}")
    if counts.filtered:
        by = ", ".join(
            name if number == counts.filtered else f"{name} {number:,}"
            for name, number in filtered.items()
        )
        parts.append(f"{_rows(counts.filtered)} filtered out ({by})")
    if counts.excluded:
        parts.append(f"{_rows(counts.excluded)} excluded")
    missing = [
        f"{number:,} {'has' if number == 1 else 'have'} no {what}"
        for number, what in ((counts.not_scored, "score"), (counts.not_embedded, "embedding"))
        if number
    ]
    return "; ".join(parts + missing)


def _head(rule: SelectionRule, counts: RowCounts) -> str:
    strategy = find_strategy(rule.strategy)
    how = strategy.phrase
    if rule.strategy == "repr_filter":
        how = f"at {similarity_text(rule.threshold)}"
    elif strategy.uses_threshold:
        how += f" at {similarity_text(rule.threshold)}"
    elif rule.strategy == "random":
        how += f" (seed {rule.seed})"
    return f"{counts.selected:,} of {counts.total:,} selected {how}"


def _end_of_pass(trace: st.SelectionTrace, counts: RowCounts) -> str:
    if not counts.total:
        return ": the pool is empty"
    if not trace.rank.any() and not counts.near_duplicates:
        return ": no row has all it takes to be selected"
    if trace.budget is None:
        return " without a budget"
    if trace.budget == 0:
        return ": the budget is 0"
    if trace.filled:
        return f": the budget filled after rank {trace.rank_reached:,}"
    return f": the pool ran out, only {counts.selected:,} of the {trace.budget:,} asked for"


def why_sentence(trace: st.SelectionTrace, row: int, filtered_by: str | None) -> str:
    """What became of one row."""
    code, rank = int(trace.status[row]), int(trace.rank[row])
    if code == st.KEPT:
        return f"kept at rank {rank:,}"
    if code == st.NEAR_DUPLICATE:
        return _why_near_duplicate(trace, row)
    if code == st.BELOW_CUT and not rank:
        return f"below the cut: the budget filled with {len(trace.kept):,} rows that came first"
    if code == st.BELOW_CUT:
        return f"below the cut: rank {rank:,}, the budget filled after rank {trace.rank_reached:,}"
    label = st.STATUSES[code].label
    return f"{label}: {filtered_by or st.STATUSES[code].meaning}"


def _why_near_duplicate(trace: st.SelectionTrace, row: int) -> str:
    blocker, rank = int(trace.blocker[row]), int(trace.rank[row])
    status, blocker_rank = int(trace.status[blocker]), int(trace.rank[blocker])
    fate = st.STATUSES[status].label
    if status in (st.KEPT, st.PINNED):
        fate += f" at rank {blocker_rank:,}"
    else:  # strategies that drop near-duplicates beforehand also hold rows against those
        fate = f"itself {fate}"
    own = f"; its own rank is {rank:,}" if rank else ""
    return (
        f"near-duplicate of row {blocker:,}, {fate}: "
        f"similarity {float(trace.similarity[row]):.3f}{own}"
    )


def _rows(number: int) -> str:
    return "1 row was" if number == 1 else f"{number:,} rows were"
