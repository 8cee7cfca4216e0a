"""Rows that occur several times, for searches that look at each distinct row once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Copies:
    """Which rows are the same, bit for bit. The m distinct rows are in order of first sight.

    first: (m,) int64, the first row of each. of: (n,) int64, the distinct row each row is.
    rows: (n,) int64, all rows, those of distinct row j at start[j]:start[j + 1], ascending.
    start: (m + 1,) int64.
    """

    first: NDArray[np.int64]
    of: NDArray[np.int64]
    rows: NDArray[np.int64]
    start: NDArray[np.int64]


def find_copies(vectors: NDArray[np.float32]) -> Copies | None:
    """The copies among the rows of (n, d), C-contiguous; None when all rows differ."""
    whole = vectors.view(np.dtype((np.void, vectors.dtype.itemsize * vectors.shape[1])))[:, 0]
    _, first, of = np.unique(whole, return_index=True, return_inverse=True)
    if len(first) == len(vectors):
        return None
    by_sight = np.argsort(first)
    rank = np.empty_like(by_sight)
    rank[by_sight] = np.arange(len(first))
    of = rank[of]
    start = np.concatenate([[0], np.cumsum(np.bincount(of))])
    return Copies(first[by_sight], of, np.argsort(of, kind="stable"), start)


def with_copies(
    copies: Copies, near: NDArray[np.int64], similarities: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """From neighbours among distinct rows to neighbours among all rows.

    near, similarities: (m, c), the distinct rows nearest to each distinct row, itself included;
    c is k + 1, or m when there are fewer. Returns (n, k) int32 and (n, k) float32, by
    similarity descending, ties by index, without the row itself.
    """
    n = len(copies.of)
    indices = np.empty((n, k), dtype=np.int32)
    values = np.empty((n, k), dtype=np.float32)
    for group in range(len(copies.first)):
        rows, found = _members(copies, near[group], similarities[group], k + 1)
        for row in copies.rows[copies.start[group] : copies.start[group + 1]].tolist():
            others = np.flatnonzero(rows != row)[:k]
            indices[row], values[row] = rows[others], found[others]
    return indices, values


def _members(
    copies: Copies, near: NDArray[np.int64], similarities: NDArray[np.float32], count: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The `count` rows nearest to a distinct row, among all rows."""
    # Of equally near copies only the first `count` can be among the nearest.
    parts = [
        copies.rows[copies.start[j] : min(copies.start[j + 1], copies.start[j] + count)]
        for j in near
    ]
    rows = np.concatenate(parts)
    found = np.repeat(similarities, [len(part) for part in parts])
    order = np.lexsort((rows, -found))[:count]
    return rows[order], found[order]
