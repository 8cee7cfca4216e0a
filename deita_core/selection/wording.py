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
        parts.append(f"{_rows(counts.near_duplicates)} too close to a better one")
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
    if strategy.uses_threshold:
        how = f"at {similarity_text(rule.threshold)}"
    elif rule.strategy == "random":
        how = f"at random (seed {rule.seed})"
    else:
        how = f"by {strategy.label.lower()}"
    return f"{counts.selected:,} of {counts.total:,} selected {how}"


def _end_of_pass(trace: st.SelectionTrace, counts: RowCounts) -> str:
    if not counts.total:
        return ": the pool is empty"
    if not trace.rank.any():
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
        blocker = int(trace.blocker[row])
        return (
            f"near-duplicate of row {blocker:,}, kept at rank {int(trace.rank[blocker]):,}: "
            f"similarity {float(trace.similarity[row]):.3f}; its own rank is {rank:,}"
        )
    if code == st.BELOW_CUT:
        return f"below the cut: rank {rank:,}, the budget filled after rank {trace.rank_reached:,}"
    label = st.STATUSES[code].label
    return f"{label}: {filtered_by or st.STATUSES[code].meaning}"


def _rows(number: int) -> str:
    return "1 row was" if number == 1 else f"{number:,} rows were"
