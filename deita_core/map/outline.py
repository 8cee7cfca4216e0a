"""Which points of the map lie inside a lasso or a box."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError


def points_in_polygon(xy: NDArray[np.float32], polygon: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(n,) bool: the points inside the polygon, by the even-odd rule.

    xy: (n, 2) float32; a NaN point is outside. polygon: (m, 2), m >= 3, closed by itself; where
    it crosses itself, what it encloses twice is outside. A point counts as crossed by an edge
    when the edge passes its height (lower end included, upper end not) to its right, so that
    polygons which share an edge never share a point.

    Raises SelectionError for other shapes and for a polygon that is not finite.
    """
    xy = _checked(xy)
    polygon = np.asarray(polygon, dtype=np.float64)
    if polygon.ndim != 2 or polygon.shape[1] != 2 or len(polygon) < 3:
        raise SelectionError(
            f"a polygon must be (m, 2) with at least 3 corners, got {polygon.shape}"
        )
    if not np.isfinite(polygon).all():
        raise SelectionError("a polygon must be finite, got NaN or infinite corners")
    inside = np.zeros(len(xy), dtype=np.bool_)
    (left, bottom), (right, top) = polygon.min(axis=0), polygon.max(axis=0)
    near = np.flatnonzero(points_in_box(xy, left, bottom, right, top))
    # By height, so that the points an edge passes are one slice.
    near = near[np.argsort(xy[near, 1], kind="stable")]
    inside[near] = _odd_crossings(xy[near].astype(np.float64), polygon)
    return inside


def points_in_box(
    xy: NDArray[np.float32], left: float, bottom: float, right: float, top: float
) -> NDArray[np.bool_]:
    """(n,) bool: the points inside the box or on its edge. xy: (n, 2) float32."""
    x, y = _checked(xy).T
    found: NDArray[np.bool_] = (x >= left) & (x <= right) & (y >= bottom) & (y <= top)
    return found


def _checked(xy: NDArray[np.float32]) -> NDArray[np.float32]:
    xy = np.asarray(xy)
    if xy.ndim != 2 or xy.shape[1] != 2:
        raise SelectionError(f"points must be (n, 2), got {xy.shape}")
    return xy


def _odd_crossings(points: NDArray[np.float64], polygon: NDArray[np.float64]) -> NDArray[np.bool_]:
    """(n,) bool: an odd number of edges lie to the right. points: sorted by height."""
    x, y = np.ascontiguousarray(points.T)
    odd = np.zeros(len(points), dtype=np.bool_)
    for (x1, y1), (x2, y2) in zip(polygon, np.roll(polygon, -1, axis=0), strict=True):
        if y1 > y2:  # one direction, so that a shared edge is cut at the very same place
            x1, y1, x2, y2 = x2, y2, x1, y1
        part = slice(*np.searchsorted(y, [y1, y2], side="left"))
        if part.start < part.stop:
            odd[part] ^= x[part] < x1 + (y[part] - y1) * ((x2 - x1) / (y2 - y1))
    return odd
