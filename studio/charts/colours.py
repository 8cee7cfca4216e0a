"""One meaning per colour, in the whole app.

Every mark that says what happened to a row (on the map, in a histogram, as a badge) takes its
colour from `STATUS_STYLES`, so that a colour learnt on one page is true on all others. Languages,
sources and the like use `CATEGORIES`, scores and plain bars the teal of `SCORE_STEPS`; none of
them comes near the blue of kept or the orange of near-duplicate.

Each `Shade` has two variants of one hue, the first for light and the second for dark
backgrounds. The tests hold them to a contrast of 3:1 with the background and to being told apart
with protanopia and deuteranopia.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

from deita_core.selection.status import STATUSES, Status

BadgeColour = Literal["red", "orange", "yellow", "blue", "green", "violet", "gray", "primary"]


class Shade(NamedTuple):
    """One colour as `#rrggbb`, for light and for dark backgrounds."""

    light: str
    dark: str

    def on(self, *, dark: bool) -> str:
        """The variant for a dark or a light background."""
        return self.dark if dark else self.light


@dataclass(frozen=True, slots=True)
class StatusStyle:
    """How a status of `deita_core.selection` looks.

    opacity: of its points on the map, in [0, 1]; what is background recedes.
    badge: the name of the nearest colour of `st.badge`.
    """

    status: Status
    shade: Shade
    opacity: float
    badge: BadgeColour

    @property
    def label(self) -> str:
        """The status in words."""
        return self.status.label


_LOOKS: dict[str, tuple[Shade, float, BadgeColour]] = {
    "kept": (Shade("#0072B2", "#4FA3DE"), 0.95, "blue"),
    "near_duplicate": (Shade("#C96A00", "#F0A136"), 0.75, "orange"),
    "below_cut": (Shade("#858E98", "#76818C"), 0.5, "gray"),
    "pinned": (Shade("#3B1F8F", "#E4DCFF"), 1.0, "violet"),
    "excluded": (Shade("#B3123F", "#FF94AD"), 0.9, "red"),
    "filtered": (Shade("#A8935C", "#76673A"), 0.4, "gray"),
    "not_scored": (Shade("#A98B8B", "#8A6A6A"), 0.4, "gray"),
    "not_embedded": (Shade("#A98B8B", "#8A6A6A"), 0.4, "gray"),
    "over_quota": (Shade("#8C7A1E", "#8F8340"), 0.5, "yellow"),
}

# Indexed by `Status.code`.
STATUS_STYLES = tuple(StatusStyle(status, *_LOOKS[status.key]) for status in STATUSES)

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
NO_SCORE = Shade("#A98B8B", "#8A6A6A")


def category_shades(count: int) -> tuple[Shade, ...]:
    """Shades for `count` categories, the largest first; those without a colour get `OTHER`."""
    if count < 0:
        raise ValueError(f"count must be 0 or more, got {count}")
    return tuple(CATEGORIES[i] if i < len(CATEGORIES) else OTHER for i in range(count))


def relative_luminance(colour: str) -> float:
    """Relative luminance of `#rrggbb` in [0, 1] (WCAG 2.2, section 3, sRGB)."""
    channels = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (
        c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    """Contrast ratio of two colours, 1 to 21 (WCAG 2.2: 3 for graphics, 4.5 for text)."""
    darker, lighter = sorted((relative_luminance(one), relative_luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)
