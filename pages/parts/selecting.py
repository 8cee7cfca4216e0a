"""What the Select page caches: the pool with its vectors, outcomes of rules, comparisons.

Keys carry the data version of the pool and the rule. Pins and saved selections have versions of
their own, so neither reads the pool again.
"""

from __future__ import annotations

import time

import streamlit as st

from deita_core.curate import selection_input
from deita_core.selection.measures import Comparison, compare
from deita_core.selection.outcome import Outcome, select_steps
from deita_core.selection.rule import SelectionRule
from deita_core.selection.table import SelectionInput
from pages.parts.resources import Opened, arrays, open_at


@st.cache_resource(show_spinner="Loading the embeddings", max_entries=1)
def _input(path: str, version: int) -> SelectionInput:
    return _load(open_at(path))


def _load(opened: Opened) -> SelectionInput:
    return selection_input(opened.project, arrays(opened))


def pool_input(opened: Opened) -> SelectionInput:
    """The pool as `select` takes it; raises SelectionError saying what is missing."""
    return _input(opened.key, opened.project.data_version())


@st.cache_resource(show_spinner=False, max_entries=8)
def _outcome_box(path: str, version: int, rule: str) -> dict[str, Outcome]:
    return {}  # filled by `outcome`, because a cached function cannot show its progress


def outcome(opened: Opened, rule: SelectionRule) -> Outcome:
    """What the rule selects from the pool as of now.

    Long passes (large budgets) show their progress, and any other click on the page ends them.
    """
    box = _outcome_box(opened.key, opened.project.data_version(), rule.to_json())
    if _DONE not in box:
        box[_DONE] = _select(rule, pool_input(opened))
    return box[_DONE]


def _select(rule: SelectionRule, table: SelectionInput) -> Outcome:
    steps, started, bar = select_steps(rule, table), time.monotonic(), None
    while True:
        try:
            step = next(steps)
        except StopIteration as end:
            if bar is not None:
                bar.empty()
            result: Outcome = end.value
            return result
        if time.monotonic() - started > _PATIENCE_SECONDS:
            bar = bar or st.progress(0.0)
            share = step.visited / max(1, step.total)
            bar.progress(share, f"Selecting: {step.visited:,} rows looked at, {step.kept:,} kept")


_DONE = "outcome"
_PATIENCE_SECONDS = 0.7


@st.cache_resource(show_spinner="Comparing with a random selection", max_entries=8)
def _comparison(path: str, version: int, rule: str) -> Comparison:
    return compare(_input(path, version), _outcome_box(path, version, rule)[_DONE])


def comparison(opened: Opened, rule: SelectionRule) -> Comparison:
    """The rule's selection beside the pool and a random selection of the same size."""
    return _comparison(opened.key, opened.project.data_version(), rule.to_json())
