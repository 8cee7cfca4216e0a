"""A selection, and the status of one row in it, in plain words."""

from __future__ import annotations

from collections.abc import Mapping

from deita_core.selection import status as st
from deita_core.selection.rule import SelectionRule, similarity_text
from deita_core.selection.strategies import find_strategy


def outcome_sentence(
    rule: SelectionRule,
    trace: st.SelectionTrace,
    filtered: Mapping[str, int],
    full: Mapping[str, int],
    tokens: int,
) -> str:
    """How many rows were selected, where the pass stopped, and why the others are out.

    filtered, full: rows left out by each filter, and by each quota. tokens: of the rows selected.
    """
    counts = trace.counts
    parts = [f"{_head(rule, counts)}{_end_of_pass(trace, counts, tokens)}"]
    if counts.pinned:
        parts.append(f"{counts.pinned:,} of them {'is' if counts.pinned == 1 else 'are'} pinned")
    if counts.near_duplicates:
        other = find_strategy(rule.strategy).duplicate_of
        parts.append(f"{_rows(counts.near_duplicates)} too close to {other}")
    if counts.over_quota:
        parts.append(f"{_rows(counts.over_quota)} over quota ({_listed(full)})")
    if counts.filtered:
        parts.append(f"{_rows(counts.filtered)} filtered out ({_listed(filtered)})")
    if counts.excluded:
        parts.append(f"{_rows(counts.excluded)} excluded")
    missing = [
        f"{number:,} {'has' if number == 1 else 'have'} no {what}"
        for number, what in ((counts.not_scored, "score"), (counts.not_embedded, "embedding"))
        if number
    ]
    return "; ".join(parts + missing)


def _listed(numbers: Mapping[str, int]) -> str:
    """The names with their numbers; one name needs none, and of many the first five will do."""
    if len(numbers) == 1:
        return next(iter(numbers))
    most = sorted(numbers.items(), key=lambda item: -item[1])[:5]
    listed = ", ".join(f"{name}: {number:,}" for name, number in most)
    return listed if len(numbers) <= 5 else f"{listed} and {len(numbers) - 5} more"


def _head(rule: SelectionRule, counts: st.Counts) -> str:
    strategy = find_strategy(rule.strategy)
    how = strategy.phrase
    if rule.strategy == "repr_filter":
        how = f"at {similarity_text(rule.threshold)}"
    elif strategy.uses_threshold:
        how += f" at {similarity_text(rule.threshold)}"
    elif rule.strategy == "random":
        how += f" (seed {rule.seed})"
    return f"{counts.selected:,} of {counts.total:,} selected {how}"


def _end_of_pass(trace: st.SelectionTrace, counts: st.Counts, tokens: int) -> str:
    if not counts.total:
        return ": the pool is empty"
    if not trace.rank.any() and not (counts.pinned or counts.near_duplicates):
        return ": no row has all it takes to be selected"
    if trace.budget is None:
        return " without a budget"
    if trace.budget == 0:
        return ": the budget is 0"
    got = f"{tokens:,} of {trace.budget:,} tokens" if trace.by_tokens else f"{counts.selected:,}"
    if trace.filled:
        after = f"after rank {trace.rank_reached:,}" if trace.rank_reached else "with the pins"
        return f": the budget filled {after}" + (f" ({got})" if trace.by_tokens else "")
    if trace.by_tokens:
        return f": the pool ran out, only {got} asked for"
    return f": the pool ran out, only {got} of the {trace.budget:,} asked for"


def why_sentence(trace: st.SelectionTrace, row: int, reason: str | None) -> str:
    """The status of one row; reason: the filter that left it out, or the quota that was full."""
    code, rank = int(trace.status[row]), int(trace.rank[row])
    if code == st.KEPT:
        return f"kept at rank {rank:,}"
    if code == st.NEAR_DUPLICATE:
        return _why_near_duplicate(trace, row)
    if code == st.BELOW_CUT and not rank:  # the strategy finds its order as it goes
        return f"below the cut: the budget filled with {len(trace.kept):,} rows that came first"
    if code == st.BELOW_CUT:
        end = f"after rank {trace.rank_reached:,}" if trace.rank_reached else "with the pins"
        return f"below the cut: rank {rank:,}, the budget filled {end}"
    if code == st.OVER_QUOTA:
        return f"over quota: {reason or st.STATUSES[code].meaning}; its rank is {rank:,}"
    if code == st.PINNED:
        return f"pinned: {st.STATUSES[code].meaning}" + (f", at rank {rank:,}" if rank else "")
    return f"{st.STATUSES[code].label}: {reason or st.STATUSES[code].meaning}"


def _why_near_duplicate(trace: st.SelectionTrace, row: int) -> str:
    blocker, rank = int(trace.blocker[row]), int(trace.rank[row])
    status = int(trace.status[blocker])
    its_status = st.STATUSES[status].label
    if status in (st.KEPT, st.PINNED):
        its_status += f" at rank {int(trace.rank[blocker]):,}"
    else:  # strategies that drop near-duplicates beforehand also hold rows against those
        its_status = f"itself {its_status}"
    own = f"; its own rank is {rank:,}" if rank else ""
    similarity = float(trace.similarity[row])
    return f"near-duplicate of row {blocker:,}, {its_status}: similarity {similarity:.3f}{own}"


def _rows(number: int) -> str:
    return "1 row was" if number == 1 else f"{number:,} rows were"
