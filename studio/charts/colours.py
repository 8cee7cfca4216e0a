"""One meaning per colour in the whole app, and rows put into groups by colour.

Every mark that says what happened to a row (on the map, in a histogram, as a badge) takes its
colour from `STATUS_STYLES`, so that a colour learnt on one page is true on all others. Languages,
sources and the like use `CATEGORIES`, scores and plain bars the teal of `SCORE_STEPS`; none of
them comes near the blue of kept or the orange of near-duplicate.

Rows are coloured by a code, uint8, which is the index of their `MapGroup`: the status of a
selection, ten steps of a score, or the commonest categories.

Each `Shade` has two variants of one hue, the first for light and the second for dark
backgrounds. The tests hold them to a contrast of 3:1 with the background and to being told apart
with protanopia and deuteranopia.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, repeat
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deita_core.selection.status import STATUSES

BadgeColour = Literal["red", "orange", "yellow", "blue", "green", "violet", "gray", "primary"]


class Shade(NamedTuple):
    """One colour as `#rrggbb`, for light and for dark backgrounds."""

    light: str
    dark: str

    def on(self, *, dark: bool) -> str:
        """The variant for a dark or a light background."""
        return self.dark if dark else self.light


@dataclass(frozen=True, slots=True)
class MapGroup:
    """One colour of a map or chart: what it stands for, and the opacity of points in [0, 1].

    total: how many rows are of it when those that were filtered out count, too; None: not said.
    """

    label: str
    shade: Shade
    opacity: float = 0.8
    total: int | None = None


def legend(groups: Sequence[MapGroup]) -> dict[str, list[str]]:
    """Labels and colours of the groups, as the components in the browser take them."""
    return {
        "labels": [group.label for group in groups],
        "light": [group.shade.light for group in groups],
        "dark": [group.shade.dark for group in groups],
    }


@dataclass(frozen=True, slots=True)
class StatusStyle(MapGroup):
    """How a status of a selection looks. badge: the nearest colour of `st.badge`."""

    badge: BadgeColour = field(default="gray", kw_only=True)


# What has no score or no vector.
NO_SCORE = Shade("#A98B8B", "#8A6A6A")
_LOOKS: dict[str, tuple[Shade, float, BadgeColour]] = {
    "kept": (Shade("#0072B2", "#4FA3DE"), 0.95, "blue"),
    "near_duplicate": (Shade("#C96A00", "#F0A136"), 0.75, "orange"),
    "below_cut": (Shade("#858E98", "#76818C"), 0.5, "gray"),
    "pinned": (Shade("#3B1F8F", "#E4DCFF"), 1.0, "violet"),
    "excluded": (Shade("#B3123F", "#FF94AD"), 0.9, "red"),
    "filtered": (Shade("#A8935C", "#76673A"), 0.2, "gray"),
    "not_scored": (NO_SCORE, 0.4, "gray"),
    "not_embedded": (NO_SCORE, 0.4, "gray"),
    "over_quota": (Shade("#8C7A1E", "#8F8340"), 0.5, "yellow"),
}

# Indexed by `Status.code`, so that `SelectionTrace.status` gives the codes of these groups.
STATUS_STYLES = tuple(
    StatusStyle(status.label, shade, opacity, badge=badge)
    for status in STATUSES
    for shade, opacity, badge in [_LOOKS[status.key]]
)

# Languages, sources, clusters: the largest first; everything after the last one is `OTHER`.
CATEGORIES = (
    Shade("#00807A", "#3DBDB2"),
    Shade("#A2479E", "#D98AD6"),
    Shade("#77770A", "#C4C24A"),
    Shade("#7A4A26", "#C99469"),
    Shade("#3E8E3E", "#84CC84"),
    Shade("#6A5ACD", "#A79BF0"),
    Shade("#C4456B", "#F08CA8"),
    Shade("#4A5B78", "#93A8CC"),
)
OTHER = Shade("#858E98", "#76818C")
# Rows that a filter leaves out: so pale that even many of them over each other are not "other".
OUTSIDE = MapGroup("filtered out", Shade("#D5D9DD", "#343A41"), 0.4)

# Scores from low to high. The far end stands out from the background: dark on light, bright on
# dark, so "more ink" means "more score" in both themes.
SCORE_STEPS = (
    Shade("#B9D3CC", "#2C4546"),
    Shade("#9FC5BC", "#2E5556"),
    Shade("#82B5AB", "#316767"),
    Shade("#64A49A", "#377A79"),
    Shade("#479389", "#408E8B"),
    Shade("#2F8178", "#51A29C"),
    Shade("#1D6E67", "#6EB6AE"),
    Shade("#105A55", "#93CAC1"),
    Shade("#084643", "#BBDED5"),
    Shade("#043230", "#E6F3EC"),
)
PLAIN = SCORE_STEPS[5]
# Lines over bars of any colour.
INK = Shade("#1B232C", "#E4E8EC")

Coloured = tuple[NDArray[np.uint8], tuple[MapGroup, ...]]


def colour_by_score(
    values: NDArray[np.floating], low: float | None = None, high: float | None = None
) -> Coloured:
    """Ten equal steps of a score from `low` to `high` (default: its extent), and "no score".

    values: (n,) float, NaN where the score is missing. Scores outside go to the nearest step.
    """
    scored = np.isfinite(values)
    least, most = (values[scored].min(), values[scored].max()) if scored.any() else (0.0, 1.0)
    low = float(least) if low is None else low
    high = float(most) if high is None else high
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
    shades = chain(CATEGORIES, repeat(OTHER))
    groups = [MapGroup(name, shade) for (name, _), shade in zip(ranked, shades, strict=False)]
    return codes, (*groups, MapGroup("other", OTHER, 0.5))


def greyed(coloured: Coloured, mask: NDArray[np.bool_]) -> Coloured:
    """The same colours with the rows outside of the mask (n,) bool in a grey of their own.

    Each group then knows its total, so that a legend can say "47 of 412".
    """
    codes, groups = coloured
    totals = np.bincount(codes, minlength=len(groups)).tolist()
    known = [
        # What is left stands out, be it few rows in a pale colour.
        replace(group, total=total, opacity=0.85 + 0.15 * group.opacity)
        for group, total in zip(groups, totals, strict=True)
    ]
    return np.where(mask, codes, len(groups)).astype(np.uint8), (*known, OUTSIDE)
