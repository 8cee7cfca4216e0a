"""How the map of Explore is coloured, and the filter that each entry of its legend stands for."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deita_core.filtering.filter import Bounds, Contains, OneOf, Part, Where
from studio.charts.colours import (
    OUTSIDE,
    SCORE_STEPS,
    Coloured,
    MapGroup,
    colour_by_category,
    colour_by_score,
)
from studio.filters.current import put_in_filter
from studio.filters.masks import columns_of
from studio.rows.clusters import NO_CLUSTER, cluster_labels, cluster_of_rows
from studio.shell.person import told
from studio.shell.resources import Opened, arrays, scores

COLOURINGS: Final = (
    "evol", "complexity", "quality", "language", "file", "turns", "flag", "cluster",
)  # fmt: skip
_SCORES: Final = {"evol": "evol_score", "complexity": "complexity", "quality": "quality"}
# The conditions that `group_part` writes, with their column.
_ON_ONE: Final = re.compile(r"(\w+) (?:IS (?:NOT )?NULL|NOT IN \([\d, ]*\))|len\((flag)s\) = 0")
_NO_FLAG: Final = "no flag"
_TURNS: Final = {
    "1 turn": (None, 1), "2 turns": (2, 2), "3 to 5 turns": (3, 5), "6 to 10 turns": (6, 10),
    "more than 10 turns": (11, None),
}  # fmt: skip


def colouring(opened: Opened, name: str) -> Coloured:
    """Codes (n,) uint8 of the rows under one of `COLOURINGS`, and their groups."""
    pool = arrays(opened)
    match name:
        case "complexity" | "quality" | "evol":
            values = scores(opened)[_SCORES[name].replace("_", " ")]
            return colour_by_score(values, *_extent(values))
        case "language":
            names = np.asarray(pool.language_names)[pool.language]
        case "file":
            names = np.asarray(pool.source_names)[pool.source]
        case "cluster":
            names = cluster_of_rows(opened)
        case "turns":
            names = np.array(list(_TURNS))[np.searchsorted([1, 2, 5, 10], pool.turns)]
        case _:
            names = np.full(len(pool), _NO_FLAG, object)
            for flag in pool.flag_names:
                names[pool.has_flag(flag)] = flag
    return colour_by_category(names.tolist())


def _extent(values: NDArray[np.float64]) -> tuple[float, float]:
    """Where the colours of a score begin and end: so that each begins at a round number."""
    known = values[np.isfinite(values)]
    if not len(known):
        return 0.0, 1.0
    # A few very long chats would leave one colour to all others.
    least, most = float(known.min()), float(np.quantile(known, 0.98))
    width = max((most - least) / len(SCORE_STEPS), 1e-6)
    digits = max(1, -math.floor(math.log10(width)))
    unit = 10.0**-digits
    low = math.floor(least / unit) * unit
    width = math.ceil((most - low) / len(SCORE_STEPS) / unit) * unit
    return round(low, digits), round(low + width * len(SCORE_STEPS), digits)


def legend_filter(opened: Opened, name: str, coloured: Coloured) -> Callable[[int], None]:
    """What a click on the name of a group does: it filters to the rows of this colour.

    It takes the place of a filter on the same column.
    """
    groups = [group for group in coloured[1] if group != OUTSIDE]

    @told
    def picked(code: int) -> None:
        part = group_part(opened, name, groups, code)
        columns = {column_of(part), *({"cluster", "cluster_name"} if name == "cluster" else ())}
        put_in_filter(part, instead_of=lambda one: column_of(one) in columns)

    return picked


def column_of(part: Part) -> str | None:
    """The column that a part of a filter looks at, where it is one."""
    if isinstance(part, Where):
        found = _ON_ONE.fullmatch(part.sql)
        return (found[1] or found[2]) if found else None
    return part.column if isinstance(part, (Bounds, OneOf, Contains)) else None


def group_part(opened: Opened, name: str, groups: list[MapGroup], code: int) -> Part:
    """The filter for the rows of one group under one of `COLOURINGS`."""
    label = groups[code].label
    named = [group.label for group in groups[:-1]]
    rest, steps = code == len(groups) - 1, len(SCORE_STEPS)
    if name in _SCORES:
        column = _SCORES[name]
        if rest:
            return Where(sql=f"{column} IS NULL")
        low, high = _extent(scores(opened)[column.replace("_", " ")])
        first, end = (round(low + at * (high - low) / steps, 6) for at in (code, code + 1))
        return Bounds(
            column=column, low=first if code else None, high=None if code == steps - 1 else end
        )
    if name == "turns":
        low, most = _TURNS[label]
        return Bounds(column="turns", low=low, high=most)
    if name == "flag" and label == _NO_FLAG and not rest:
        return Where(sql="len(flags) = 0")
    if name == "cluster":
        return _cluster_part(opened, named if rest else [label], without=rest)
    return OneOf(column=name, names=tuple(named) if rest else (label,), without=rest)


def _cluster_part(opened: Opened, chosen: list[str], *, without: bool) -> Part:
    """By name, or by number where several clusters are called so."""
    labels = cluster_labels(opened)
    numbers = [labels.index(label) for label in chosen if label != NO_CLUSTER]
    if without:
        known = NO_CLUSTER in chosen
        listed = ", ".join(map(str, numbers))
        if known:  # what is in no cluster is not among the rest: NULL is not in any list
            return Where(sql=f"cluster NOT IN ({listed})" if numbers else "cluster IS NOT NULL")
        return OneOf(column="cluster", names=tuple(map(str, numbers)), without=True)
    if not numbers:
        return Where(sql="cluster IS NULL")
    name = labels[numbers[0]]
    if name in columns_of(opened)["cluster_name"].names:
        return OneOf(column="cluster_name", names=(name,))
    return OneOf(column="cluster", names=(str(numbers[0]),))
