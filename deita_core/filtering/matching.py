"""Which rows of a pool a filter lets through."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import FilterError
from deita_core.filtering.columns import Column, PoolColumns
from deita_core.filtering.filter import (
    Bounds,
    Contains,
    Filter,
    Near,
    OneOf,
    Part,
    Search,
    Where,
)
from deita_core.filtering.nearness import near_rows
from deita_core.filtering.search import found_rows
from deita_core.filtering.sql import where_mask

Mask = NDArray[np.bool_]


def matching_rows(wanted: Filter, columns: PoolColumns) -> Mask:
    """Rows that pass every part: (n,) bool. FilterError for what cannot be applied here."""
    mask = np.ones(len(columns), np.bool_)
    for part in wanted.parts:
        mask &= part_mask(part, columns)
    return mask


def part_mask(part: Part, columns: PoolColumns) -> Mask:
    """Rows that pass one part of a filter: (n,) bool."""
    match part:
        case Bounds():
            return _bounds(part, _of_kind(part.column, columns, "number"))
        case OneOf():
            return _one_of(part, _of_kind(part.column, columns, "name", "names"))
        case Contains():
            return _contains(part, _of_kind(part.column, columns, "name", "names"))
        case Search():
            return _only(found_rows(columns.project, part.query), len(columns))
        case Near():
            return _only(near_rows(part, columns), len(columns))
        case Where():
            return where_mask(part.sql, columns)


def _only(rows: NDArray[np.int64], count: int) -> Mask:
    mask = np.zeros(count, np.bool_)
    mask[rows[rows < count]] = True  # rows may have been added since the columns were read
    return mask


def _of_kind(name: str, columns: PoolColumns, *kinds: str) -> Column:
    column = columns[name]
    if name == "cluster" and "number" in kinds:  # a cluster's number can be bounded, too
        numbers = np.where(column.values < 0, np.nan, column.values.astype(np.float64))
        return Column("number", numbers)
    if column.kind in kinds:
        return column
    remedy = f"{name}=LOW..HIGH" if column.kind == "number" else f"{name}=NAME or {name}~TEXT"
    raise FilterError(
        f"{name} is a column of {'numbers' if column.kind == 'number' else 'names'}: write {remedy}"
    )


def _bounds(part: Bounds, column: Column) -> Mask:
    values: NDArray[Any] = column.values
    mask: Mask = ~np.isnan(values)
    if part.low is not None:
        mask &= values >= part.low
    if part.high is not None:
        mask &= values <= part.high
    return mask


def _one_of(part: OneOf, column: Column) -> Mask:
    unknown = [name for name in part.names if name not in column.names]
    if unknown:
        there = ", ".join(column.names[:20]) or "none"
        more = f" and {len(column.names) - 20:,} more" if len(column.names) > 20 else ""
        raise FilterError(
            f"no row of the pool has the {part.column} {unknown[0]!r}; there are {there}{more}"
        )
    wanted = np.array([name in part.names for name in column.names], np.bool_)
    return _with_names(wanted, column) ^ part.without


def _contains(part: Contains, column: Column) -> Mask:
    text = part.text.casefold()
    wanted = np.array([text in name.casefold() for name in column.names], np.bool_)
    return _with_names(wanted, column) ^ part.without


def _with_names(wanted: Mask, column: Column) -> Mask:
    """Rows with one of the names that are wanted."""
    if column.kind == "names":
        some: Mask = np.asarray(column.values[:, wanted].any(axis=1), np.bool_)
        return some
    by_code = np.zeros(len(wanted) + 1, np.bool_)  # the last place is for code -1
    by_code[:-1] = wanted
    found: Mask = np.asarray(by_code[column.values], np.bool_)
    return found
