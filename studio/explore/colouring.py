"""What the map of the pool can be coloured by, before anything is selected."""

from __future__ import annotations

import numpy as np

from studio.charts.colours import Coloured, colour_by_category, colour_by_score
from studio.shell.resources import Opened, arrays, scores

COLOURINGS = ("evol", "complexity", "quality", "language", "file", "turns", "flag")
_TURNS = np.array(["1 turn", "2 turns", "3 to 5 turns", "6 to 10 turns", "more than 10 turns"])


def colouring(opened: Opened, name: str) -> Coloured:
    """Codes (n,) uint8 of the rows under one of `COLOURINGS`, and their groups."""
    pool = arrays(opened)
    match name:
        case "complexity" | "quality":
            return colour_by_score(getattr(scores(opened), name))
        case "evol":
            values = scores(opened).evol
            known = values[np.isfinite(values)]
            # A few very long chats would leave one colour to all others.
            high = float(np.quantile(known, 0.98)) if len(known) else None
            return colour_by_score(values, high=high)
        case "language":
            names = np.asarray(pool.language_names)[pool.language]
        case "file":
            names = np.asarray(pool.source_names)[pool.source]
        case "turns":
            names = _TURNS[np.searchsorted([1, 2, 5, 10], pool.turns)]
        case _:
            names = np.full(len(pool), "no flag", object)
            for flag in pool.flag_names:
                names[pool.has_flag(flag)] = flag
    return colour_by_category(names.tolist())
