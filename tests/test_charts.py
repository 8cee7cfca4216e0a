"""Counts for charts, the charts themselves, and the colours they share with the map."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest

from studio.charts import charts
from studio.charts.charts import count_by_group, count_grid, rank_shares
from studio.charts.colours import (
    CATEGORIES,
    OTHER,
    SCORE_STEPS,
    STATUS_STYLES,
    colour_by_category,
)

STATUS_COUNT = len(STATUS_STYLES)
BACKGROUNDS = ("#FFFFFF", "#14181D")  # as in .streamlit/config.toml, light and dark
# Linear RGB as seen with protanopia and deuteranopia (Machado, Oliveira, Fernandes 2009, table 1).
SEEN = {
    "all cones": np.eye(3),
    "protanopia": np.array(
        [[0.1523, 1.0526, -0.2049], [0.1145, 0.7863, 0.0992], [-0.0039, -0.0481, 1.052]]
    ),
    "deuteranopia": np.array(
        [[0.3673, 0.8606, -0.228], [0.2801, 0.6725, 0.0475], [-0.0118, 0.0429, 0.9689]]
    ),
}


def linear_rgb(colour: str) -> np.ndarray:
    """(3,) in [0, 1], proportional to light (sRGB)."""
    rgb = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)


def contrast(one: str, other: str) -> float:
    """Contrast ratio, 1 to 21 (WCAG 2.2: 3 for graphics, 4.5 for text)."""
    darker, lighter = sorted(linear_rgb(c) @ [0.2126, 0.7152, 0.0722] for c in (one, other))
    return float((lighter + 0.05) / (darker + 0.05))


def lab(colour: str, seen: str) -> np.ndarray:
    """CIE L*a*b* (D65) of a colour as seen; distances there are near to those felt."""
    linear = SEEN[seen] @ linear_rgb(colour)
    to_xyz = np.array(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    ratio = to_xyz @ np.clip(linear, 0, 1) / [0.9505, 1, 1.089]
    f = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    return np.array([116 * f[1] - 16, 500 * (f[0] - f[1]), 200 * (f[1] - f[2])])


@pytest.mark.parametrize("mode", [0, 1])
def test_every_status_and_category_stands_out_from_the_background(mode):
    shades = [s.shade for s in STATUS_STYLES] + [*CATEGORIES, OTHER]
    assert min(contrast(shade[mode], BACKGROUNDS[mode]) for shade in shades) >= 2.95


@pytest.mark.parametrize("mode", [0, 1])
@pytest.mark.parametrize("seen", SEEN)
def test_statuses_of_a_selection_can_be_told_apart(seen, mode):
    places = [lab(style.shade[mode], seen) for style in STATUS_STYLES[:6]]
    assert min(np.linalg.norm(a - b) for a, b in combinations(places, 2)) >= 14


@pytest.mark.parametrize("mode", [0, 1])
def test_higher_scores_stand_out_more(mode):
    ratios = [contrast(step[mode], BACKGROUNDS[mode]) for step in SCORE_STEPS]
    assert ratios == sorted(ratios)


def test_categories_beyond_the_palette_share_one_colour():
    _, groups = colour_by_category(list("abcdefghij"), most=10)
    assert [group.shade for group in groups[8:10]] == [OTHER, OTHER]


def test_the_theme_has_the_same_chart_colours():
    import tomllib
    from pathlib import Path

    config = Path(__file__).parents[1] / ".streamlit" / "config.toml"
    theme = tomllib.loads(config.read_text(encoding="utf-8"))["theme"]
    for mode, name in enumerate(("light", "dark")):
        assert theme[name]["chartCategoricalColors"] == [shade[mode] for shade in CATEGORIES]
        assert theme[name]["chartSequentialColors"] == [shade[mode] for shade in SCORE_STEPS]
        assert theme[name]["backgroundColor"] == BACKGROUNDS[mode]


def test_counts_by_group_agree_with_numpy():
    rng = np.random.default_rng(0)
    values, codes = rng.uniform(1, 6, 500), rng.integers(3, size=500)
    found = count_by_group(values, codes, 3, bins=7, extent=(1, 6))
    for group in range(3):
        expected, _ = np.histogram(values[codes == group], bins=7, range=(1, 6))
        assert found.counts[group].tolist() == expected.tolist()


def test_bars_add_up_to_the_rows_that_have_a_value():
    values = np.array([1, 6, 0.5, 7, np.nan, np.inf])
    found = count_by_group(values, np.array([0, 0, 1, 1, 1, 1]), 2, bins=5, extent=(1, 6))
    assert found.counts.tolist() == [[1, 0, 0, 0, 1], [1, 0, 0, 0, 2]]


@pytest.mark.parametrize("values", [[], [np.nan], [3.0, 3.0]])
def test_values_without_a_spread_can_be_counted(values):
    found = count_by_group(np.array(values, float), bins=4)
    assert found.counts.sum() == np.isfinite(values).sum()
    assert (np.diff(found.edges) > 0).all()


def test_the_grid_counts_rows_that_have_both_scores():
    x, y = np.array([1, 1, 6, np.nan]), np.array([1, 6, 6, 2.0])
    assert count_grid(x, y, bins=2, extent=(1, 6)).counts.tolist() == [[1, 0], [1, 1]]


def test_an_empty_grid_is_empty():
    assert count_grid(np.array([]), np.array([]), bins=3).counts.sum() == 0


def test_what_does_not_fit_among_the_shares_becomes_other():
    assert rank_shares({"a": 1, "b": 5, "c": 2, "d": 2}, 2) == [
        ("b", 5), ("c", 2), ("other (2 more)", 3)
    ]  # fmt: skip


def test_a_histogram_has_one_colour_per_status_that_occurs():
    counted = count_by_group(np.array([1.0, 2, 3]), np.array([0, 0, 2]), STATUS_COUNT, bins=3)
    figure = charts.histogram_figure(counted, STATUS_STYLES, title="quality", unit="1 to 6")
    assert [bar.name for bar in figure.data] == ["kept", "below the cut"]
    assert figure.data[0].marker.color == STATUS_STYLES[0].shade.light
    assert figure.layout.xaxis.title.text == "quality (1 to 6)"


def test_empty_cells_of_the_density_stay_empty():
    grid = count_grid(np.array([1.0, 1, 6]), np.array([1.0, 1, 6]), bins=2, extent=(1, 6))
    heat = charts.density_figure(grid, x_title="complexity", y_title="quality").data[0]
    assert np.isnan(heat.z).tolist() == [[False, True], [True, False]]
    assert heat.customdata[0][0] == 2


def test_shares_are_written_beside_the_bars_and_names_stay_text():
    bars = charts.shares_figure({"en": 3, "<b>x</b>": 1}).data[0]
    assert bars.text == ("3 · 75.0%", "1 · 25.0%")
    assert "<" not in "".join(bars.y)
