"""One meaning per colour, in the whole app.

Every mark that says what happened to a row (on the map, in a histogram, as a badge) takes its
colour from `OUTCOMES`, so that a colour learnt on one page is true on all others. Languages and
sources use `CATEGORIES`, scores use `SCORE_STEPS`; neither repeats the role of an outcome.

Each `Shade` has two variants of one hue, the first for light and the second for dark
backgrounds. The tests hold them to a contrast of 3:1 with the background and to being told apart
with protanopia and deuteranopia.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple


class Shade(NamedTuple):
    """One colour as `#rrggbb`, for light and for dark backgrounds."""

    light: str
    dark: str

    def on(self, *, dark: bool) -> str:
        """The variant for a dark or a light background."""
        return self.dark if dark else self.light


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a selection did with a row, in words and in colour.

    opacity: of its points on the map, in [0, 1]; outcomes that are background recede.
    badge: the name of the nearest colour of `st.badge`.
    """

    label: str
    shade: Shade
    opacity: float
    badge: str


KEPT = Outcome("kept", Shade("#0072B2", "#4FA3DE"), 0.95, "blue")
NEAR_DUPLICATE = Outcome("near-duplicate", Shade("#C96A00", "#F0A136"), 0.75, "orange")
BELOW_CUT = Outcome("below the cut", Shade("#858E98", "#76818C"), 0.5, "gray")
PINNED = Outcome("pinned", Shade("#3B1F8F", "#E4DCFF"), 1.0, "violet")
EXCLUDED = Outcome("excluded", Shade("#B3123F", "#FF94AD"), 0.9, "red")
FILTERED = Outcome("filtered", Shade("#A8935C", "#76673A"), 0.4, "gray")

OUTCOMES = (KEPT, NEAR_DUPLICATE, BELOW_CUT, PINNED, EXCLUDED, FILTERED)

# Languages, sources, clusters: the largest first; everything after the last one is `OTHER`.
CATEGORIES = (
    Shade("#0072B2", "#4FA3DE"),
    Shade("#B86E00", "#E59A2F"),
    Shade("#00805C", "#2FB58C"),
    Shade("#B0408A", "#DB7FBB"),
    Shade("#3D8FC4", "#8CCBF0"),
    Shade("#A14A00", "#E07B45"),
    Shade("#6B5FB5", "#A79BE8"),
    Shade("#5F6B2D", "#A9B665"),
)
OTHER = Shade("#858E98", "#7C8691")

# Scores from low to high. The far end stands out from the background: dark on light, bright on
# dark, so "more ink" means "more score" in both themes.
SCORE_STEPS = (
    Shade("#A9C1D6", "#37495B"),
    Shade("#8FB2CE", "#3C5A76"),
    Shade("#72A3C8", "#3F6C93"),
    Shade("#5493C1", "#407FB0"),
    Shade("#3A82B6", "#4293C9"),
    Shade("#2570A6", "#55A8D8"),
    Shade("#175D92", "#77BCE0"),
    Shade("#0E4A7A", "#9CCFE6"),
    Shade("#083861", "#C2E1EC"),
    Shade("#042747", "#EAF4F2"),
)
NO_SCORE = Shade("#C98A8A", "#8F5C5C")


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
