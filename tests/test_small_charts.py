"""Small charts: what goes to the browser."""

from __future__ import annotations

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from studio.charts.charts import count_by_group
from studio.charts.small_charts import Line, Mark, Panel, panel_data, read_brush

X = np.array([0.5, 0.75, 1.0])
BARS = count_by_group(np.array([1.0, 2.0, 2.0, 6.0]), np.array([0, 1, 1, 1]), 2, bins=5)


def test_bars_go_as_counts_by_group_and_stack_to_the_top() -> None:
    data = panel_data(Panel("t", "a", bars=BARS))
    assert data["bars"]["counts"] == [[1, 0, 0, 0, 0], [0, 2, 0, 0, 1]]
    assert data["x"] == [1.0, 6.0]
    assert data["y"][0] == 0.0 < 2.0 < data["y"][1]


def test_a_gap_in_a_line_goes_as_null() -> None:
    line = Line("l", X, np.array([1.0, np.nan, 3.0]))
    assert panel_data(Panel("t", "a", lines=(line,)))["lines"][0]["y"] == [1.0, None, 3.0]


def test_the_x_axis_of_lines_is_theirs() -> None:
    assert panel_data(Panel("t", "a", lines=(Line("l", X, X),)))["x"] == [0.5, 1.0]


def test_the_y_axis_can_begin_near_the_least_value() -> None:
    panel = Panel("t", "a", lines=(Line("l", X, X + 3),), from_zero=False)
    low, high = panel_data(panel)["y"]
    assert 3 < low < 3.5 < 4 < high


@pytest.mark.parametrize("y", [np.full(3, np.nan), np.zeros(3)])
def test_lines_without_a_height_still_have_an_axis(y: np.ndarray) -> None:
    low, high = panel_data(Panel("t", "a", lines=(Line("l", X, y),)))["y"]
    assert low < high


def test_a_mark_can_have_a_dot() -> None:
    assert panel_data(Panel("t", "a", marks=(Mark(0.8, dot=4.0),)))["marks"][0]["dot"] == 4.0


def page_with_charts() -> None:
    import numpy as np

    from studio.charts.small_charts import Line, Panel, small_charts

    small_charts([Panel("t", "a", lines=(Line("l", np.arange(3.0), np.arange(3.0)),))], key="c")


def test_a_page_with_charts_runs() -> None:
    assert not AppTest.from_function(page_with_charts, default_timeout=20).run().exception


@pytest.mark.parametrize(
    ("sent", "read"),
    [
        ({"panel": 1, "low": 3, "high": 2.5}, (1, 2.5, 3.0)),
        ({"panel": 2, "low": 1, "high": 2}, None),
        ({"panel": "1", "low": 1, "high": 2}, None),
        ({"panel": 0, "low": float("nan"), "high": 2}, None),
        ({"panel": 0, "low": 1}, None),
        ("brush", None),
    ],
)
def test_a_brush_is_read_and_what_is_none_dropped(sent, read):
    assert read_brush(sent, 2) == read
