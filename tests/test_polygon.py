"""Points in a lasso against a plain ray-casting loop."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.map.outline import points_in_box, points_in_polygon

SQUARE = np.array([[0, 0], [2, 0], [2, 2], [0, 2]], dtype=float)


def naive(xy: NDArray[np.float32], polygon: NDArray[np.float64]) -> list[bool]:
    found = []
    for px, py in xy.astype(np.float64):
        odd = False
        for i in range(len(polygon)):
            (x1, y1), (x2, y2) = sorted((polygon[i], polygon[i - 1]), key=lambda corner: corner[1])
            if y1 <= py < y2 and px < x1 + (py - y1) * ((x2 - x1) / (y2 - y1)):
                odd = not odd
        found.append(odd)
    return found


numbers = st.one_of(st.integers(-3, 3).map(float), st.floats(-3, 3, width=32))
points = st.lists(st.tuples(numbers, numbers), min_size=0, max_size=30)
corners = st.lists(st.tuples(numbers, numbers), min_size=3, max_size=12)


@settings(max_examples=300, deadline=None)
@given(points, corners)
def test_every_polygon_holds_the_points_that_ray_casting_finds(
    xy: list[tuple[float, float]], polygon: list[tuple[float, float]]
) -> None:
    at = np.array(xy, dtype=np.float32).reshape(-1, 2)
    shape = np.array(polygon)
    assert points_in_polygon(at, shape).tolist() == naive(at, shape)


@settings(max_examples=100, deadline=None)
@given(points, numbers)
def test_two_halves_of_a_square_share_its_points_without_overlap(
    xy: list[tuple[float, float]], cut: float
) -> None:
    at = np.array(xy, dtype=np.float32).reshape(-1, 2)
    left = np.array([[-4, -4], [cut, -4], [-cut, 4], [-4, 4]])
    right = np.array([[cut, -4], [4, -4], [4, 4], [-cut, 4]])
    assert (points_in_polygon(at, left) ^ points_in_polygon(at, right)).all()


def test_a_long_lasso_over_many_points_is_the_loop_of_them() -> None:
    rng = np.random.default_rng(0)
    xy = rng.normal(size=(2000, 2)).astype(np.float32)
    angle = np.linspace(0, 2 * np.pi, 200, endpoint=False)
    lasso = np.c_[np.cos(angle), np.sin(angle)] * rng.uniform(0.5, 1.5, (200, 1))
    found = points_in_polygon(xy, lasso)
    assert found.tolist() == naive(xy, lasso)
    assert 500 < found.sum() < 1500


def test_what_a_lasso_encloses_twice_is_outside() -> None:
    star = np.array([[0, 3], [2, -3], [-3, 1], [3, 1], [-2, -3]], dtype=float)
    found = points_in_polygon(np.array([[0, 0], [0, 2]], dtype=np.float32), star)
    assert found.tolist() == [False, True]


def test_a_point_without_coordinates_is_outside() -> None:
    xy = np.array([[np.nan, 1], [1, np.nan], [1, 1]], dtype=np.float32)
    assert points_in_polygon(xy, SQUARE).tolist() == [False, False, True]
    assert points_in_box(xy, 0, 0, 2, 2).tolist() == [False, False, True]


def test_a_box_holds_its_edge() -> None:
    xy = np.array([[0, 0], [2, 2], [2.01, 1], [1, -0.01]], dtype=np.float32)
    assert points_in_box(xy, 0, 0, 2, 2).tolist() == [True, True, False, False]


@pytest.mark.parametrize(
    ("xy", "polygon", "message"),
    [
        (np.zeros((4, 3)), SQUARE, r"points must be \(n, 2\), got \(4, 3\)"),
        (np.zeros((4, 2)), SQUARE[:2], r"at least 3 corners, got \(2, 2\)"),
        (np.zeros((4, 2)), SQUARE * np.nan, "must be finite"),
    ],
)
def test_other_shapes_are_refused(
    xy: NDArray[np.float32], polygon: NDArray[np.float64], message: str
) -> None:
    with pytest.raises(SelectionError, match=message):
        points_in_polygon(xy, polygon)
