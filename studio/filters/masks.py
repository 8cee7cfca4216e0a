"""Which rows pass a filter, kept for as long as nothing that it looks at has changed."""

from __future__ import annotations

import threading
from contextlib import suppress
from dataclasses import replace

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from deita_core.embedding.protocol import Embedder
from deita_core.errors import SelectionError
from deita_core.filtering import Filter, PoolColumns, matching_rows, parse_filter
from deita_core.filtering.columns import embedder_of
from deita_core.filtering.filter import Near, Search, Where
from deita_core.filtering.nearness import Nearest, nearest
from deita_core.filtering.settling import for_rule
from deita_core.project.ledger import decisions_version
from deita_core.project.pins import pins_version
from deita_core.project.selections import selections_version
from deita_core.project.vectors import EmbedderRecord
from deita_core.selection.filters import packed_rows
from deita_core.selection.pool_table import PoolTable
from deita_core.selection.rule import SelectionRule
from studio.shell.resources import AS_OF_NOW, Opened, arrays, pool_input

# An embedder is for one thread at a time, and all sessions share it.
_ONE_AT_A_TIME = threading.Lock()


def _as_of_now(opened: Opened) -> tuple[str, int, int, int, int]:
    project = opened.project
    by_hand = (pins_version(project), decisions_version(project))
    return (opened.key, project.data_version(), *by_hand, selections_version(project))


@st.cache_resource(show_spinner="Filtering", max_entries=16, hash_funcs={Opened: _as_of_now})
def mask_of(opened: Opened, text: str) -> NDArray[np.bool_]:
    """Rows that pass the filter of this short text: (n,) bool; DeitaError where it cannot be
    applied to this pool."""
    wanted = parse_filter(text).strict()
    with _ONE_AT_A_TIME:
        return matching_rows(wanted, columns_of(opened, with_vectors=_needs_vectors(wanted)))


@st.cache_resource(show_spinner=False, max_entries=4, hash_funcs=AS_OF_NOW)
def nearest_rows(opened: Opened, text: str) -> Nearest:
    """Rows that pass the one closeness of this short text, the closest first."""
    (part,) = parse_filter(text).strict().parts
    if not isinstance(part, Near):
        raise TypeError(f"a filter of one closeness is ordered by it, got {text!r}")
    with _ONE_AT_A_TIME:
        return nearest(part, columns_of(opened, with_vectors=True))


def settled_rule(opened: Opened, rule: SelectionRule) -> SelectionRule:
    """The rule with the rows that pass its filter as of now; DeitaError where it has none."""
    if not rule.filter:
        return rule
    return replace(rule, passing=_packed(opened, rule.filter))


def table_for(opened: Opened, rule: SelectionRule) -> PoolTable:
    """The pool with its vectors, and with what the rule asks of the project (see `for_rule`).

    Raises FilterError where examples cannot be embedded, SelectionError where vectors are missing.
    """
    with _ONE_AT_A_TIME:
        table = pool_input(opened)
        return for_rule(table, rule, PoolColumns(opened.project, table, load=_embedder))


@st.cache_data(show_spinner=False, max_entries=16, hash_funcs={Opened: _as_of_now})
def _packed(opened: Opened, text: str) -> str:
    return packed_rows(mask_of(opened, text))


@st.cache_resource(show_spinner=False, max_entries=2, hash_funcs={Opened: _as_of_now})
def columns_of(opened: Opened, *, with_vectors: bool = False) -> PoolColumns:
    """The pool's columns as of now; what is read of them once stays."""
    table: PoolTable = arrays(opened)
    if with_vectors:
        with suppress(SelectionError):  # what is missing is said by whatever needs it
            table = pool_input(opened)
    return PoolColumns(opened.project, table, load=_embedder)


def _which(record: EmbedderRecord) -> tuple[object, ...]:
    return (record.model, record.revision, *sorted(record.parameters.items()))


@st.cache_resource(show_spinner=False, max_entries=1, hash_funcs={EmbedderRecord: _which})
def _embedder(record: EmbedderRecord) -> Embedder:
    """Loaded once: the columns come and go with each pin, the model stays."""
    return embedder_of(record)


@st.cache_data(show_spinner=False, max_entries=4, hash_funcs={Opened: _as_of_now})
def column_names(opened: Opened) -> list[str]:
    """Every column that a filter can name."""
    return columns_of(opened).names()


def _needs_vectors(wanted: Filter) -> bool:
    def needs(column: str) -> bool:
        return column == "nearest_similarity" or column.startswith("status.")

    return any(
        isinstance(part, Near)
        or (isinstance(part, Where) and "nearest_similarity" in part.sql)
        or (not isinstance(part, (Near, Search, Where)) and needs(part.column))
        for part in wanted.parts
    )
