"""The two sets that are compared: chosen on the page, kept in the address, compared once.

A set is a saved selection, the pool, seeded random rows, or a file from elsewhere, of which only
its matches with the pool are kept.
"""

from __future__ import annotations

import re
import shutil
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import streamlit as st
from numpy.typing import NDArray
from streamlit.runtime.uploaded_file_manager import UploadedFile

from deita_core.errors import SelectionError
from deita_core.jobs.compare_sets import FileSet, match_file, saved_set
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
from studio.pool.loader import FILE_TYPES
from studio.select.cache import input_of, pool_input
from studio.shell import state
from studio.shell.resources import AS_OF_NOW, Opened, arrays, errors_shown, stop_without
from studio.shell.text import escape

POOL, RANDOM, FILE = "pool", "random", "file"
_LABELS = {POOL: "The whole pool", RANDOM: "Random rows", FILE: "A file from elsewhere"}


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One of the two sets. saved: the selection that it is, if it is one."""

    rows: RowSet
    saved: SavedSelection | None = None

    @property
    def rule(self) -> SelectionRule | None:
        """The rule of a saved selection."""
        return None if self.saved is None else SelectionRule.from_json(self.saved.rule)


Pair = tuple[Side, Side]


def best_table(opened: Opened) -> PoolTable:
    """The pool with its vectors, or without where it is not scored or not embedded yet."""
    try:
        return pool_input(opened)
    except SelectionError:
        return arrays(opened)


def chosen_sets(opened: Opened) -> Pair | None:
    """Draw the two choices; None when one of them stands for no rows yet."""
    saved = {str(one.selection): one for one in selections(opened.project)}
    if not saved:
        missing = "There is no saved selection yet: save one on the Select page first."
        stop_without(missing, "bookmark", page="select", page_icon="filter_alt")
    options = {key: one.name for key, one in saved.items()} | _LABELS
    marked = next((key for key, one in saved.items() if one.current), next(iter(saved)))
    other = next((key for key in saved if key != marked), RANDOM)
    sets: list[RowSet | None] = []
    keys = []
    columns = st.columns(2, gap="medium")
    for column, label, key, default in (
        (columns[0], "A", state.COMPARE_A, marked),
        (columns[1], "B", state.COMPARE_B, other),
    ):
        with column:
            keys.append(state.bound_choice(label, options, key=key, default=default, kind="list"))
            sets.append(_set_of(opened, keys[-1], saved.get(keys[-1]), key))
    if keys == [RANDOM, RANDOM]:
        st.info("Random rows of how many? Choose a set that has rows on one side.")
        return None
    scores = _scores(opened, saved.get(keys[0]), saved.get(keys[1]))
    for side, key in enumerate(keys):
        there = sets[1 - side]
        if key == RANDOM and there is not None:
            drawn = random_set(best_table(opened), scores, len(there.rows), SEEDS[0])
            sets[side] = RowSet(f"random rows (seed {SEEDS[0]})", drawn)
    a, b = sets
    if a is None or b is None:
        return None
    return Side(a, saved.get(keys[0])), Side(b, saved.get(keys[1]))


def _set_of(opened: Opened, key: str, saved: SavedSelection | None, place: str) -> RowSet | None:
    """The rows of a choice; None for random rows, and for a file that is not there yet."""
    if saved is not None:
        return _rows_of(opened, saved.selection)
    if key == POOL:
        return RowSet("the pool", np.arange(len(arrays(opened))))
    if key == FILE:
        given = st.file_uploader("File", type=FILE_TYPES, key=f"compare_file_{place}")
        if given is None:
            st.caption("Its conversations are matched with the pool by their content.")
            return None
        with errors_shown():
            found = _matched(opened, given)
            st.caption(f"{escape(found.sentence())}.")
            return found.found
    return None


_SAVED = {Opened: lambda opened: (opened.key, selections_version(opened.project))}


@st.cache_resource(show_spinner=False, max_entries=8, hash_funcs=_SAVED)
def _rows_of(opened: Opened, selection: int) -> RowSet:
    (saved,) = [one for one in selections(opened.project) if one.selection == selection]
    return saved_set(opened.project, saved)


@st.cache_resource(
    show_spinner="Reading the file",
    max_entries=4,
    hash_funcs={**AS_OF_NOW, UploadedFile: lambda file: (file.file_id, file.name)},
)
def _matched(opened: Opened, given: UploadedFile) -> FileSet:
    """What the pool has of an upload; the file is gone again afterwards.

    On the disk it has a name of ours: one from a browser may be longer than a file's can be.
    """
    ending = re.search(r"(\.\w{1,8}){1,2}$", given.name)
    with tempfile.TemporaryDirectory(prefix="deita-compare-") as folder:
        path = Path(folder) / f"upload{ending[0] if ending else ''}"
        given.seek(0)
        with path.open("wb") as out:
            shutil.copyfileobj(given, out, 1 << 20)
        found = match_file(arrays(opened), path)
    return replace(found, found=replace(found.found, name=given.name))


def _scores(
    opened: Opened, first: SavedSelection | None, second: SavedSelection | None
) -> NDArray[np.float64]:
    """Evol scores under the rule of the first saved selection, or the paper's."""
    saved = first or second
    rule = SelectionRule() if saved is None else SelectionRule.from_json(saved.rule)
    table = best_table(opened) if rule.closeness is None else input_of(opened, rule)
    return rule_scores(rule, table)


def evol_scores_of(opened: Opened, pair: Pair) -> NDArray[np.float64]:
    """Evol scores of all rows, under the rule of A, or of B, or the paper's: (n,) float64."""
    return _scores(opened, pair[0].saved, pair[1].saved)


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
    return compare_sets(best_table(opened), a, b, scores)
