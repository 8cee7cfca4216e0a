"""studio.explore.spread: bins, groups and correlations, against plain counting."""

from __future__ import annotations

import numpy as np
import pytest

from deita_core.filtering.columns import Column
from studio.explore.spread import (
    correlations,
    edges_of,
    groups_of,
    spread,
    stretch,
    whole_bins,
    within_tails,
)

NAN = np.nan
ROWS = np.arange(7)


def test_shares_are_those_of_a_count_bin_by_bin() -> None:
    values = np.array([1.0, 1.2, 2.5, 3.0, 3.9, 9.0, NAN, 0.5])
    edges = np.array([1.0, 2.0, 3.0, 4.0])
    found = spread("some", values, edges)
    plain = [0, 0, 0]
    for value in values[~np.isnan(values)]:
        place = sum(value >= edge for edge in edges) - 1
        plain[min(max(place, 0), 2)] += 1
    np.testing.assert_allclose(found.shares, np.array(plain) / 7)
    assert (found.rows, found.missing) == (7, 1)
    assert (found.low, found.median, found.high) == tuple(
        np.quantile(values[~np.isnan(values)], (0.1, 0.5, 0.9))
    )


def test_rows_without_any_value_have_no_shares_and_no_median() -> None:
    found = spread("none", np.full(3, NAN), np.array([0.0, 1.0]))
    assert (found.rows, found.missing, found.shares.tolist()) == (0, 3, [0.0])
    assert np.isnan(found.median)


def test_whole_numbers_get_whole_bins() -> None:
    edges = edges_of(np.append(np.repeat([1.0, 2.0, 4.0], 100), NAN))
    assert edges.tolist() == [1.0, 2.0, 3.0, 4.0, 5.0]


def test_a_few_huge_values_do_not_widen_the_bins() -> None:
    edges = edges_of(np.concatenate([np.linspace(0, 1, 1000), [1e9]]))
    assert edges[-1] < 1.01


def test_groups_come_largest_first_and_small_ones_together() -> None:
    codes = np.array([0, 1, 1, 2, 3, 1, -1], np.int32)
    column = Column("name", codes, ("a", "b", "c", "d"))
    found = groups_of(column, ROWS, most=1)
    assert [(one.name, one.rows.tolist()) for one in found] == [
        ("b", [1, 2, 5]),
        ("other (4 more)", [0, 3, 4, 6]),
    ]


def test_groups_are_of_the_rows_in_view_alone() -> None:
    column = Column("name", np.array([0, 1, 1, 0, -1, 1, 1], np.int32), ("a", "b"))
    found = groups_of(column, np.array([0, 3, 4, 5]), most=6)
    assert {one.name: one.rows.tolist() for one in found} == {"a": [0, 3], "none": [4], "b": [5]}


def test_a_row_with_two_names_is_in_both_groups() -> None:
    has = np.array([[True, True], [False, True], [False, False]])
    found = groups_of(Column("names", has, ("x", "y")), np.arange(3), most=6)
    assert {one.name: one.rows.tolist() for one in found} == {"y": [0, 1], "x": [0], "none": [2]}


def test_the_tails_are_moved_to_their_edge_and_nothing_else() -> None:
    values = np.concatenate([np.arange(1000.0), [NAN, 1e6]])
    moved = within_tails(values)
    assert np.nanmax(moved) < 1000
    assert moved[500] == 500
    assert np.isnan(moved[1000])


@pytest.mark.parametrize(("sizes", "expected"), [([1, 2, 3, 4], 1.0), ([4, 3, 2, 1], -1.0)])
def test_the_correlation_is_of_ranks_over_the_rows(sizes: list[int], expected: float) -> None:
    scores = {"quality": np.array([1.0, 10.0, 11.0, NAN, 500.0])}
    lengths = {"characters": np.array([*sizes[:3], 7, sizes[3]], float)}
    found = correlations(scores, lengths, np.arange(5))
    assert found["quality"]["characters"] == pytest.approx(expected)
    alone = correlations(scores, lengths, np.array([0]))
    assert np.isnan(alone["quality"]["characters"])


def test_a_stretch_of_the_axis_is_a_filter_that_is_open_where_the_last_bin_is() -> None:
    assert stretch("quality", 2.00004, 3.14159, top=5).describe() == "quality 2 to 3.142"
    assert stretch("quality", 2, 5.2, top=5).describe() == "quality at least 2"


@pytest.mark.parametrize(
    ("low", "high", "ends"),
    [(1.2, 1.2, (1, 2)), (1.2, 2.1, (1, 3)), (1, 2, (1, 2)), (-5, 0.5, (0, 1)), (9, 9, (3, 4))],
)
def test_a_brush_takes_whole_bins_and_a_click_one(low: float, high: float, ends: tuple) -> None:
    assert whole_bins(np.arange(5.0), low, high) == ends
