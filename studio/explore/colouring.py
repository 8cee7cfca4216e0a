"""What the map of the pool can be coloured by, before anything is selected."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from studio.charts.colours import Coloured, colour_by_category, colour_by_score
from studio.shell.resources import Opened, arrays, scores


def _complexity(opened: Opened) -> Coloured:
    return colour_by_score(scores(opened).complexity)


def _quality(opened: Opened) -> Coloured:
    return colour_by_score(scores(opened).quality)


def _evol(opened: Opened) -> Coloured:
    values = scores(opened).evol
    known = values[np.isfinite(values)]
    # A few very long chats would leave one colour to all others.
    high = float(np.quantile(known, 0.98)) if len(known) else None
    return colour_by_score(values, high=high)


def _turns(opened: Opened) -> Coloured:
    turns = arrays(opened).turns
    names = np.array(["1 turn", "2 turns", "3 to 5 turns", "6 to 10 turns", "more than 10 turns"])
    return _named(names[np.searchsorted([1, 2, 5, 10], turns)])


def _language(opened: Opened) -> Coloured:
    pool = arrays(opened)
    return _named(np.asarray(pool.language_names)[pool.language])


def _source(opened: Opened) -> Coloured:
    pool = arrays(opened)
    return _named(np.asarray(pool.source_names)[pool.source])


def _flag(opened: Opened) -> Coloured:
    pool = arrays(opened)
    names = np.full(len(pool), "no flag", object)
    for flag in pool.flag_names:
        names[pool.has_flag(flag)] = flag
    return _named(names)


def _named(names: NDArray[np.str_] | NDArray[np.object_]) -> Coloured:
    return colour_by_category(names.tolist())


COLOURINGS: dict[str, Callable[[Opened], Coloured]] = {
    "evol": _evol,
    "complexity": _complexity,
    "quality": _quality,
    "language": _language,
    "file": _source,
    "turns": _turns,
    "flag": _flag,
}


def colouring(opened: Opened, name: str) -> Coloured:
    """Codes (n,) uint8 and their groups."""
    return COLOURINGS[name](opened)
