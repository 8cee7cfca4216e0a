"""What the map can be coloured by: statuses, scores, categories; each as codes and groups."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pages.parts.colours import NO_SCORE, OTHER, SCORE_STEPS, STATUS_STYLES, category_shades
from pages.parts.map_payload import MapGroup

Coloured = tuple[NDArray[np.uint8], tuple[MapGroup, ...]]


def status_groups() -> tuple[MapGroup, ...]:
    """One group per status of a selection, so that `SelectionTrace.status` gives the codes."""
    return tuple(MapGroup(s.label, s.shade, s.opacity) for s in STATUS_STYLES)


def colour_by_score(
    values: NDArray[np.floating], low: float | None = None, high: float | None = None
) -> Coloured:
    """Ten equal steps of a score from `low` to `high` (default: its extent), and "no score".

    values: (n,) float, NaN where the score is missing. Scores outside go to the nearest step.
    """
    scored = np.isfinite(values)
    low = low if low is not None else float(values[scored].min()) if scored.any() else 0.0
    high = high if high is not None else float(values[scored].max()) if scored.any() else 1.0
    steps = len(SCORE_STEPS)
    width = (high - low) / steps or 1.0
    place = np.floor((np.where(scored, values, low) - low) / width)
    codes = np.where(scored, np.clip(place, 0, steps - 1), steps).astype(np.uint8)
    groups = [
        # High scores are drawn over low ones, because the map draws the most opaque group last.
        MapGroup(
            f"{low + i * width:.1f} to {low + (i + 1) * width:.1f}", shade, 0.7 + 0.25 * i / steps
        )
        for i, shade in enumerate(SCORE_STEPS)
    ]
    return codes, (*groups, MapGroup("no score", NO_SCORE, 0.5))


def colour_by_category(values: Sequence[str | None], most: int = 8) -> Coloured:
    """The `most` commonest values, each its own group, and "other" for the rest.

    values: n names; None becomes "unknown". Ties are broken by name.
    """
    names = ["unknown" if value is None else value for value in values]
    ranked = sorted(Counter(names).items(), key=lambda item: (-item[1], item[0]))[:most]
    code_of = {name: code for code, (name, _) in enumerate(ranked)}
    codes = np.fromiter((code_of.get(n, len(ranked)) for n in names), np.uint8, len(names))
    shades = category_shades(len(ranked))
    groups = [MapGroup(name, shade) for (name, _), shade in zip(ranked, shades, strict=True)]
    return codes, (*groups, MapGroup("other", OTHER, 0.5))
