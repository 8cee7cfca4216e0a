"""What the Select page caches: the pool with its vectors, outcomes of rules, and what follows.

Keys carry the data version of the pool (a new similarity graph raises it too) and the rule. Pins
are part of the rule and saved selections have a version of their own: neither reads the pool again.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Generator
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from deita_core.filtering.search import found_rows
from deita_core.filtering.settling import needs_more
from deita_core.progress import FilterProgress, finish
from deita_core.project.ledger import decisions_version
from deita_core.project.pins import Pins, pins, pins_version
from deita_core.selection.analysis.changes import Changes, changes
from deita_core.selection.analysis.measures import (
    AggregationEffect,
    Comparison,
    Diversity,
    aggregation_effects,
    compare,
    diversity_steps,
    random_baseline,
)
from deita_core.selection.analysis.similarities import (
    NearestSimilarities,
    Suggestion,
    nearest_similarities,
    typical_similarity,
)
from deita_core.selection.analysis.thresholds import Frontier, frontier_steps
from deita_core.selection.outcome import Outcome, select_steps
from deita_core.selection.pool_table import PoolTable
from deita_core.selection.rule import SelectionRule
from deita_core.selection.strategies import find_strategy
from studio.filters.masks import table_for
from studio.shell.resources import AS_OF_NOW, Opened, pool_input

Progress = TypeVar("Progress")
Result = TypeVar("Result")
_PATIENCE_SECONDS = 0.7


# What the cache looks at of its arguments.
_OF_POOL = {**AS_OF_NOW, SelectionRule: SelectionRule.to_json}
_OF_PINS = {Opened: lambda opened: (opened.key, pins_version(opened.project))}


def input_of(opened: Opened, rule: SelectionRule) -> PoolTable:
    """The same, with the closeness to the examples of the rule, and the tags that its strategy
    looks at; raises FilterError, too."""
    if not needs_more(rule):
        return pool_input(opened)
    asked = SelectionRule(rule.strategy, closeness=rule.closeness)
    return _input_for(opened, asked, _tags_version(opened, rule))


@st.cache_resource(show_spinner="Reading examples and tags", max_entries=2, hash_funcs=_OF_POOL)
def _input_for(opened: Opened, rule: SelectionRule, tags: int) -> PoolTable:
    return table_for(opened, rule)


def _tags_version(opened: Opened, rule: SelectionRule) -> int:
    """What grows when tags change; 0 where the rule does not look at them."""
    looks = find_strategy(rule.strategy).needs_tags
    return decisions_version(opened.project) if looks else 0


@st.cache_data(show_spinner=False, max_entries=8, hash_funcs=_OF_PINS)
def current_pins(opened: Opened) -> Pins:
    """Pins and exclusions as of now."""
    return pins(opened.project)


@st.cache_resource(show_spinner="Searching", max_entries=8, hash_funcs=_OF_POOL)
def rows_with(opened: Opened, text: str) -> NDArray[np.int64]:
    """Rows that a search finds, ascending; FilterError for one that cannot be read."""
    return found_rows(opened.project, text)


@dataclass(frozen=True, slots=True)
class Scale:
    """What the threshold is a threshold of: how near the nearest other row is, over the pool."""

    nearest: NearestSimilarities
    histogram: tuple[NDArray[np.int64], NDArray[np.float64]]
    start: Suggestion


@st.cache_resource(show_spinner=False, max_entries=2, hash_funcs=_OF_POOL)
def scale(opened: Opened) -> Scale | None:
    """The scale of the threshold; None without a similarity graph."""
    graph = pool_input(opened).graph
    if graph is None:
        return None
    nearest = nearest_similarities(graph)
    return Scale(nearest, nearest.histogram(), nearest.suggest())


# Both are filled by `_made`, because a cached function cannot show its progress. They are apart,
# so that a drag of the slider does not drive out what took longer.
@st.cache_resource(show_spinner=False, max_entries=8, hash_funcs=_OF_POOL)
def _outcomes(opened: Opened, rule: SelectionRule, tags: int) -> dict[str, object]:
    return {}


@st.cache_resource(show_spinner=False, max_entries=16, hash_funcs=_OF_POOL)
def _others(opened: Opened, what: str, rule: SelectionRule, tags: int) -> dict[str, object]:
    return {}


def _made(opened: Opened, what: str, rule: SelectionRule, make: Callable[[], Result]) -> Result:
    tags = _tags_version(opened, rule)
    box = _outcomes(opened, rule, tags) if what == "outcome" else _others(opened, what, rule, tags)
    if "made" not in box:
        box["made"] = make()
    result: Result = box["made"]  # type: ignore[assignment]
    return result


def _shown(
    steps: Generator[Progress, None, Result], describe: Callable[[Progress], tuple[float, str]]
) -> Result:
    """The result of the generator; a bar shows how far it is once it takes long.

    Any other click on the page ends it.
    """
    started, bar = time.monotonic(), None

    def tell(progress: Progress) -> None:
        nonlocal bar
        if time.monotonic() - started > _PATIENCE_SECONDS:
            share, text = describe(progress)
            bar = bar or st.progress(0.0)
            bar.progress(min(1.0, share), text)

    result = finish(steps, tell)
    if bar is not None:
        bar.empty()
    return result


def outcome(opened: Opened, rule: SelectionRule) -> Outcome:
    """What the rule selects from the pool as of now."""
    table = input_of(opened, rule)

    def describe(at: FilterProgress) -> tuple[float, str]:
        text = f"Selecting: {at.visited:,} rows visited, {at.kept:,} kept"
        return at.visited / max(1, at.total), text

    return _made(opened, "outcome", rule, lambda: _shown(select_steps(rule, table), describe))


def changes_between(opened: Opened, before: SelectionRule, after: SelectionRule) -> Changes:
    """Rows that entered and left from one rule to another."""
    found = outcome(opened, before), outcome(opened, after)
    return _made(opened, f"changes {before.to_json()}", after, lambda: changes(*found))


def frontier_of(opened: Opened, rule: SelectionRule) -> Frontier:
    """What every threshold would give under the rest of the rule."""
    table = input_of(opened, rule)
    lowest = 0.0 if table.graph is None else max(table.graph.floor, 0.0)
    anywhere = replace(rule, threshold=max(lowest, 0.5))  # the same for every place of the slider

    def describe(at: tuple[int, int]) -> tuple[float, str]:
        return at[0] / max(1, at[1]), f"Trying thresholds: {at[0]} of {at[1]}"

    steps = frontier_steps(anywhere, table)
    return _made(opened, "frontier", anywhere, lambda: _shown(steps, describe))


def comparison(opened: Opened, rule: SelectionRule) -> Comparison:
    """The rule's selection beside the pool and a random selection of the same size."""
    found = outcome(opened, rule)
    return _made(opened, "comparison", rule, lambda: compare(input_of(opened, rule), found))


def random_rows(opened: Opened, rule: SelectionRule) -> NDArray[np.int64]:
    """The baseline: as many rows, drawn by seed from the same candidates."""
    found = outcome(opened, rule)
    return _made(opened, "random", rule, lambda: random_baseline(found))


def diversity_of(opened: Opened, rule: SelectionRule) -> tuple[Diversity, Diversity]:
    """How different the selected rows are from each other, and the random ones."""
    table = pool_input(opened)
    level = None if table.graph is None else typical_similarity(table.graph)
    kept, drawn = outcome(opened, rule).kept, random_rows(opened, rule)

    def figures(name: str, rows: NDArray[np.int64]) -> Diversity:
        return _shown(
            diversity_steps(table, rows, level),
            lambda figure: (0.5, f"Diversity of the {name}: {figure.replace('_', ' ')}"),
        )

    def both() -> tuple[Diversity, Diversity]:
        return figures("selection", kept), figures("random rows", drawn)

    return _made(opened, "diversity", rule, both)


def effects(opened: Opened, rule: SelectionRule) -> tuple[AggregationEffect, ...]:
    """What each way of counting turns would give."""
    return _made(opened, "effects", rule, lambda: aggregation_effects(rule, input_of(opened, rule)))
