"""Rows that occur several times, for searches that look at each distinct row once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deita_core.geometry.similarity import unit_rows, usable_rows

BLOCK = 4096


@dataclass(frozen=True, slots=True, eq=False)
class Copies:
    """Which rows have the same unit vector, bit for bit: g groups in order of first sight.

    first: (g,) int64, the first row of each. of: (n,) int32, the group each row is in, -1 for
    rows without a direction (zero or not finite). rows: (n',) int32, the other rows, those of
    group j at start[j]:start[j + 1], ascending. start: (g + 1,) int64.
    """

    first: NDArray[np.int64]
    of: NDArray[np.int32]
    rows: NDArray[np.int32]
    start: NDArray[np.int64]


def find_copies(vectors: NDArray[np.floating]) -> Copies:
    """The copies among the rows of (n, d), any length."""
    usable = np.flatnonzero(usable_rows(vectors))
    hashes = _hashes(vectors, usable)
    _, first, of = np.unique(hashes, return_index=True, return_inverse=True)
    if not _same(vectors, usable, usable[first[of]]):
        first, of = _by_value(vectors, usable)
    by_sight = np.argsort(first)
    rank = np.empty(len(first), np.int32)
    rank[by_sight] = np.arange(len(first), dtype=np.int32)
    group = np.full(len(vectors), -1, np.int32)
    group[usable] = rank[of]
    start = np.concatenate([[0], np.cumsum(np.bincount(rank[of], minlength=len(first)))])
    rows = usable[np.argsort(rank[of], kind="stable")].astype(np.int32)
    return Copies(usable[first[by_sight]], group, rows, start.astype(np.int64))


def _units(vectors: NDArray[np.floating], rows: NDArray[np.int64]) -> NDArray[np.uint64]:
    """The bits of the unit rows; adding zero makes -0.0 and 0.0 the same."""
    return (unit_rows(vectors, rows) + 0.0).view(np.uint64)


def _hashes(vectors: NDArray[np.floating], rows: NDArray[np.int64]) -> NDArray[np.uint64]:
    """(k,) uint64: the same for the same unit row, and nearly surely only then."""
    random = np.random.default_rng(0)
    weights = random.integers(0, 2**63, vectors.shape[1], np.uint64) * np.uint64(2) + np.uint64(1)
    hashes = np.empty(len(rows), np.uint64)
    for start in range(0, len(rows), BLOCK):
        part = slice(start, start + BLOCK)
        bits = _units(vectors, rows[part])
        bits ^= bits >> np.uint64(31)  # short fractions have all their bits at the top
        bits *= weights
        bits ^= bits >> np.uint64(32)
        hashes[part] = bits.sum(axis=1, dtype=np.uint64)
    return hashes


def _same(
    vectors: NDArray[np.floating], rows: NDArray[np.int64], firsts: NDArray[np.int64]
) -> bool:
    """Is each row's unit row that of the first row of its group?"""
    copied = np.flatnonzero(rows != firsts)
    for start in range(0, len(copied), BLOCK):
        part = copied[start : start + BLOCK]
        differ = (vectors[rows[part]] != vectors[firsts[part]]).any(axis=1)
        rest = part[differ]  # scaled copies, if at all
        if not np.array_equal(_units(vectors, rows[rest]), _units(vectors, firsts[rest])):
            return False
    return True


def _by_value(
    vectors: NDArray[np.floating], rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First row and group of each row, from the unit rows themselves: slow, and needs no luck."""
    units = _units(vectors, rows)
    whole = units.view(np.dtype((np.void, 8 * units.shape[1])))[:, 0]
    _, first, of = np.unique(whole, return_index=True, return_inverse=True)
    return first, of
