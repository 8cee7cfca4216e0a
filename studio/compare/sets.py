"""The two sets that are compared: chosen on the page, kept in the address, compared once.

A set is a saved selection, the pool, seeded random rows, or a file from elsewhere, of which only
its matches with the pool are kept.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from deita_core.jobs.compare_sets import (
    FileSet,
    file_key,
    kept_match,
    match_key,
    saved_set,
    selection_key,
)
from deita_core.jobs.kinds import MatchSpec
from deita_core.project.graphs import load_clusters
from deita_core.project.selections import SavedSelection, selections, selections_version
from deita_core.selection.analysis.compare import (
    SEEDS,
    RowSet,
    SetComparison,
    compare_sets,
    random_set,
)
from deita_core.selection.filters import rule_scores
from deita_core.selection.pool_table import PoolTable
from deita_core.selection.rule import SelectionRule
from studio.pool.loader import one_file
from studio.select.cache import input_of
from studio.shell import state
from studio.shell.jobs_panel import active_job, again, ask_once
from studio.shell.resources import AS_OF_NOW, Opened, arrays, errors_shown, stop_without
from studio.shell.text import escape, plural

POOL, RANDOM, FILE = "pool", "random", "file"
_LABELS = {POOL: "The whole pool", RANDOM: "Random rows", FILE: "A file from elsewhere"}


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One of the two sets. key: as a job knows it, see `sets_of_keys`. saved: the selection that it
    is, if it is one. file: what was read of it, if it is a file."""

    rows: RowSet
    key: str
    saved: SavedSelection | None = None
    file: FileSet | None = None

    @property
    def is_random(self) -> bool:
        """It is the first of several draws."""
        return self.key == RANDOM

    @property
    def rule(self) -> SelectionRule | None:
        """The rule of a saved selection."""
        return None if self.saved is None else SelectionRule.from_json(self.saved.rule)


Pair = tuple[Side, Side]


@st.cache_resource(show_spinner=False, max_entries=2, hash_funcs=AS_OF_NOW)
def light_table(opened: Opened) -> PoolTable:
    """The pool with its clusters and without vectors, which take longest to read."""
    return replace(arrays(opened), cluster=load_clusters(opened.project))


def chosen_sets(opened: Opened) -> Pair | None:
    """Draw the two choices; None when one of them stands for no rows yet."""
    saved = {str(one.selection): one for one in selections(opened.project)}
    if not saved:
        missing = "There is no saved selection yet: save one on the Select page first."
        stop_without(missing, "bookmark", page="select", page_icon="filter_alt")
    options = {key: one.name for key, one in saved.items()} | _LABELS
    marked = next((key for key, one in saved.items() if one.current), next(iter(saved)))
    other = next((key for key in saved if key != marked), RANDOM)
    sides: list[Side | None] = []
    columns = st.columns(2, gap="medium")
    for column, label, key, default in (
        (columns[0], "A", state.COMPARE_A, marked),
        (columns[1], "B", state.COMPARE_B, other),
    ):
        with column:
            chosen = state.bound_choice(label, options, key=key, default=default, kind="list")
            sides.append(_side_of(opened, chosen, saved.get(chosen), key))
    return _drawn(opened, sides)


def _side_of(opened: Opened, key: str, saved: SavedSelection | None, place: str) -> Side | None:
    """What was chosen, random rows still without any; None for a file that is not there yet."""
    if saved is not None:
        return Side(_rows_of(opened, saved.selection), selection_key(saved), saved)
    if key == POOL:
        return Side(RowSet("the pool", np.arange(len(arrays(opened)))), POOL)
    if key == RANDOM:
        return Side(RowSet(f"random rows (seed {SEEDS[0]})", np.empty(0, np.int64)), RANDOM)
    with st.container(horizontal=True):
        with st.popover("Choose the file", icon=":material/upload_file:"):
            given = one_file("File", key=f"compare_{place}")
        if given is None:
            st.caption("Its conversations are matched with the pool by their content.")
            return None
        with errors_shown():
            return _file_side(opened, given)
    return None


def _file_side(opened: Opened, given: Path) -> Side | None:
    """What the pool has of a file; None while a job finds that out."""
    found = kept_match(opened.project, arrays(opened), given)
    if found is None:
        spec = MatchSpec(file=given)
        ask_once(opened, spec, match_key(arrays(opened), given))
        if not active_job(opened, spec.kind):
            again(opened, spec, "Read the file")
        return None
    if found.unknown:
        _unmatched(found)
    st.caption(f"{escape(found.sentence())}.")
    return Side(found.found, file_key(given), file=found)


def _unmatched(found: FileSet) -> None:
    """The rows of the file that the pool does not have."""
    with st.popover(f"{plural(found.unknown)} not in the pool"):
        shown = {
            "row of the file": [position for position, _ in found.unmatched],
            "how it begins": [text for _, text in found.unmatched],
        }
        st.dataframe(shown, hide_index=True, height=220, alt="Rows that the pool does not have")
        if (more := found.unknown - len(found.unmatched)) > 0:
            st.caption(f"The first {len(found.unmatched):,}; {more:,} more are not shown.")


def _drawn(opened: Opened, sides: list[Side | None]) -> Pair | None:
    """Both sets, random rows drawn as many as the other has; None where one is not known."""
    a, b = sides
    if a is None or b is None:
        return None
    if a.is_random and b.is_random:
        st.info("Random rows of how many? Choose a set that has rows on one side.")
        return None
    pair = a, b
    if a.is_random or b.is_random:
        count = len((b if a.is_random else a).rows.rows)
        drawn = random_set(arrays(opened), evol_scores_of(opened, pair), count, SEEDS[0])
        a, b = (
            replace(one, rows=RowSet(one.rows.name, drawn)) if one.is_random else one
            for one in pair
        )
    return a, b


_SAVED = {Opened: lambda opened: (opened.key, selections_version(opened.project))}


@st.cache_resource(show_spinner=False, max_entries=8, hash_funcs=_SAVED)
def _rows_of(opened: Opened, selection: int) -> RowSet:
    (saved,) = [one for one in selections(opened.project) if one.selection == selection]
    return saved_set(opened.project, saved)


def evol_scores_of(opened: Opened, pair: Pair) -> NDArray[np.float64]:
    """Evol scores of all rows, under the rule of A, or of B, or the paper's: (n,) float64."""
    saved = pair[0].saved or pair[1].saved
    rule = SelectionRule() if saved is None else SelectionRule.from_json(saved.rule)
    table = arrays(opened) if rule.closeness is None else input_of(opened, rule)
    return rule_scores(rule, table)


def set_key(one: RowSet) -> tuple[str, bytes]:
    """What a cache knows a set by."""
    return one.name, one.rows.tobytes()


def compared(opened: Opened, pair: Pair, scores: NDArray[np.float64]) -> SetComparison:
    """What the two sets share and how they differ, as of now."""
    return _compared(opened, pair[0].rows, pair[1].rows, scores)


@st.cache_resource(
    show_spinner="Comparing", max_entries=8, hash_funcs={**AS_OF_NOW, RowSet: set_key}
)
def _compared(opened: Opened, a: RowSet, b: RowSet, scores: NDArray[np.float64]) -> SetComparison:
    return compare_sets(light_table(opened), a, b, scores)
