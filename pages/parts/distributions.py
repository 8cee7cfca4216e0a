"""What became of the rows by score and by length, beside the map."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deita_core.selection.outcome import Outcome
from deita_core.selection.status import STATUSES
from pages.parts.chart_data import count_by_group
from pages.parts.colours import INK
from pages.parts.map_groups import status_groups
from pages.parts.resources import Opened, arrays, scores
from pages.parts.selecting import random_rows
from pages.parts.small_charts import Line, Panel, small_charts

_SCORES = (1.0, 6.0)


def distributions(opened: Opened, result: Outcome) -> None:
    """Evol score, complexity, quality and tokens, stacked by status; dashed, a random selection."""
    groups = status_groups()
    known = scores(opened, result.rule.aggregation)
    tokens = arrays(opened).tokens.astype(np.float64)
    status = result.trace.status
    drawn = random_rows(opened, result.rule)
    panels = [
        _panel(name, note, values, status, drawn, extent)
        for name, note, values, extent in (
            ("Evol score", f"{result.rule.aggregation} over turns", result.scores, None),
            ("Complexity", "1 to 6", known.complexity, _SCORES),
            ("Quality", "1 to 6", known.quality, _SCORES),
            ("Tokens", "estimated", tokens, None),
        )
    ]
    small_charts(panels, groups, key="select-distributions")


def _panel(
    name: str,
    note: str,
    values: NDArray[np.float64],
    status: NDArray[np.int8],
    drawn: NDArray[np.int64],
    extent: tuple[float, float] | None,
) -> Panel:
    if extent is None:
        extent = _most(values)
        note += "; longer tails count in the last bar"
    bars = count_by_group(values, status, len(STATUSES), extent=extent)
    middles = (bars.edges[:-1] + bars.edges[1:]) / 2
    random = count_by_group(values[drawn], extent=extent).counts[0].astype(np.float64)
    line = Line("random selection", middles, random, INK, dashed=True)
    alt = f"What became of the rows by {name.lower()}; dashed, a random selection of as many"
    return Panel(name, alt, note, bars=bars, lines=(line,))


def _most(values: NDArray[np.float64]) -> tuple[float, float]:
    """From 0 to the 99th percentile: the longest chats reach far beyond the rest."""
    present = values[np.isfinite(values)]
    return (0.0, float(np.quantile(present, 0.99)) or 1.0) if len(present) else (0.0, 1.0)
