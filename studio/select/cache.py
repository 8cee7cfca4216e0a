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

from deita_core.jobs.curate import selection_input
from deita_core.progress import FilterProgress, finish, told_as
from deita_core.project.browse import search_rows
from deita_core.project.pins import Pins, pins, pins_version
from deita_core.selection.analysis.changes import Changes, changes
from deita_core.selection.analysis.diversity import Diversity, diversity_steps
from deita_core.selection.analysis.frontier import Frontier, FrontierProgress, frontier_steps
from deita_core.selection.analysis.measures import (
    AggregationEffect,
    Comparison,
    aggregation_effects,
    compare,
    random_baseline,
)
from deita_core.selection.analysis.similarities import (
    NearestSimilarities,
    SimilarityHistogram,
    Suggestion,
    nearest_similarities,
    typical_similarity,
)
from deita_core.selection.outcome import Outcome, select_steps
from deita_core.selection.pool_table import PoolTable
from deita_core.selection.rule import SelectionRule
from studio.shell.resources import Opened, arrays, open_at

Step = TypeVar("Step")
Result = TypeVar("Result")
_PATIENCE_SECONDS = 0.7
_OUTCOME = "outcome"


@st.cache_resource(show_spinner="Loading the embeddings", max_entries=1)
def _input(path: str, version: int) -> PoolTable:
    opened = open_at(path)
    return selection_input(opened.project, arrays(opened))


def pool_input(opened: Opened) -> PoolTable:
    """The pool as `select` takes it; raises SelectionError saying what is missing."""
    return _input(opened.key, opened.project.data_version())


@st.cache_data(show_spinner=False, max_entries=8)
def _pins(path: str, version: int) -> Pins:
    return pins(open_at(path).project)


def current_pins(opened: Opened) -> Pins:
    """Pins and exclusions as of now."""
    return _pins(opened.key, pins_version(opened.project))


# Filled by the functions below, because a cached function cannot show its progress. Apart, so
# that many steps of the slider do not drive out what took longer.
@st.cache_resource(show_spinner=False, max_entries=8)
def _outcomes(path: str, version: int, rule: str) -> dict[str, object]:
    return {}


@st.cache_resource(show_spinner=False, max_entries=16)
def _others(path: str, version: int, what: str, rule: str) -> dict[str, object]:
    return {}


def _made(opened: Opened, what: str, rule: SelectionRule, make: Callable[[], Result]) -> Result:
    place = opened.key, opened.project.data_version()
    text = rule.to_json()
    box = _outcomes(*place, text) if what == _OUTCOME else _others(*place, what, text)
    if "made" not in box:
        box["made"] = make()
    result: Result = box["made"]  # type: ignore[assignment]
    return result


def outcome(opened: Opened, rule: SelectionRule) -> Outcome:
    """What the rule selects from the pool as of now.

    Long passes (large budgets without a graph) show their progress, and any other click on the
    page ends them.
    """
    table = pool_input(opened)

    def words(step: FilterProgress) -> tuple[float, str]:
        share = step.visited / max(1, step.total)
        return share, f"Selecting: {step.visited:,} rows looked at, {step.kept:,} kept"

    return _made(opened, _OUTCOME, rule, lambda: _shown(select_steps(rule, table), words))


def frontier_of(opened: Opened, rule: SelectionRule) -> Frontier:
    """What every threshold would give under the rest of the rule."""
    table = pool_input(opened)
    lowest = 0.0 if table.graph is None else max(table.graph.floor, 0.0)
    anywhere = replace(rule, threshold=max(lowest, 0.5))  # the same for every place of the slider

    def words(step: FrontierProgress) -> tuple[float, str]:
        return step.done / max(1, step.total), f"Trying thresholds: {step.done} of {step.total}"

    return _made(
        opened, "frontier", anywhere, lambda: _shown(frontier_steps(anywhere, table), words)
    )


def comparison(opened: Opened, rule: SelectionRule) -> Comparison:
    """The rule's selection beside the pool and a random selection of the same size."""
    found = outcome(opened, rule)
    return _made(opened, "comparison", rule, lambda: compare(pool_input(opened), found))


def random_rows(opened: Opened, rule: SelectionRule) -> NDArray[np.int64]:
    """The baseline: as many rows, drawn by seed from the same candidates."""
    found = outcome(opened, rule)
    return _made(opened, "random", rule, lambda: random_baseline(found))


def diversity_of(opened: Opened, rule: SelectionRule) -> tuple[Diversity, Diversity]:
    """How different the selected rows are from each other, and the random ones."""
    table = pool_input(opened)
    level = None if table.graph is None else typical_similarity(table.graph)
    sets = {"selection": outcome(opened, rule).kept, "random rows": random_rows(opened, rule)}

    def named(name: str) -> Callable[[str], str]:
        return lambda step: f"Diversity of the {name}: {step.replace('_', ' ')}"

    def steps() -> Generator[str, None, tuple[Diversity, Diversity]]:
        made = []
        for name, rows in sets.items():
            made.append((yield from told_as(diversity_steps(table, rows, level), named(name))))
        return made[0], made[1]

    return _made(opened, "diversity", rule, lambda: _shown(steps(), lambda text: (0.5, text)))


def effects(opened: Opened, rule: SelectionRule) -> tuple[AggregationEffect, ...]:
    """What each way of counting turns would give."""
    return _made(opened, "effects", rule, lambda: aggregation_effects(rule, pool_input(opened)))


def changes_between(opened: Opened, before: SelectionRule, after: SelectionRule) -> Changes:
    """Rows that entered and left from one rule to another."""
    found = outcome(opened, before), outcome(opened, after)
    return _made(opened, f"changes {before.to_json()}", after, lambda: changes(*found))


@dataclass(frozen=True, slots=True)
class Scale:
    """What the threshold is a threshold of: how near the nearest other row is, over the pool."""

    nearest: NearestSimilarities
    histogram: SimilarityHistogram
    start: Suggestion


@st.cache_resource(show_spinner=False, max_entries=2)
def _scale(path: str, version: int) -> Scale | None:
    graph = _input(path, version).graph
    if graph is None:
        return None
    found = nearest_similarities(graph)
    return Scale(found, found.histogram(), found.suggest())


def scale(opened: Opened) -> Scale | None:
    """The scale of the threshold; None without a similarity graph."""
    return _scale(opened.key, opened.project.data_version())


@st.cache_resource(show_spinner="Searching", max_entries=8)
def _found(path: str, version: int, text: str) -> NDArray[np.int64]:
    return np.asarray(search_rows(open_at(path).project, text), np.int64)


def rows_with(opened: Opened, text: str) -> NDArray[np.int64]:
    """Rows whose text contains `text`, ascending."""
    return _found(opened.key, opened.project.data_version(), text)


def _shown(
    steps: Generator[Step, None, Result], words: Callable[[Step], tuple[float, str]]
) -> Result:
    """The result of the steps; a bar shows how far they are once it takes long."""
    started, bar = time.monotonic(), None

    def tell(step: Step) -> None:
        nonlocal bar
        if time.monotonic() - started > _PATIENCE_SECONDS:
            share, text = words(step)
            bar = bar or st.progress(0.0)
            bar.progress(min(1.0, share), text)

    result = finish(steps, tell)
    if bar is not None:
        bar.empty()
    return result
