"""Rows that occur several times, for searches that look at each distinct row once."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

from deita_core.similarity.definition import unit_rows, usable_rows

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
    seen: dict[bytes, int] = {}
    group = np.empty(len(usable), np.int32)
    for start in range(0, len(usable), BLOCK):
        part = slice(start, start + BLOCK)
        units = unit_rows(vectors, usable[part]) + 0.0  # makes -0.0 and 0.0 the same
        digests = (blake2b(unit, digest_size=16).digest() for unit in units)
        group[part] = [seen.setdefault(digest, len(seen)) for digest in digests]
    of = np.full(len(vectors), -1, np.int32)
    of[usable] = group
    rows = usable[np.argsort(group, kind="stable")]
    ends = np.cumsum(np.bincount(group, minlength=len(seen)), dtype=np.int64)
    start_of = np.concatenate([[0], ends])
    return Copies(rows[start_of[:-1]], of, rows.astype(np.int32), start_of)
