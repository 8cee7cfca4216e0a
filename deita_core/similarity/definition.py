"""Cosine similarity that does not depend on how the work is divided into blocks.

A matrix product in float32 gives slightly different last bits for different block shapes, so a
comparison with a threshold could fall either way. Here every decision follows one definition:
the similarity of two rows is their cosine **computed in float64 and rounded to 12 decimals**
(so a copy, scaled or not, has exactly 1.0). The float32 product only screens: what lies within
`screen_margin` of a decision is computed again by the definition.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deita_core.errors import SelectionError

DECIMALS = 12
CHECK_BLOCK = 4096
_HALF_ULP = 2.0**-24


def screen_margin(dimension: int) -> float:
    """How far a float32 product of unit rows of this width can be off, at most.

    The usual bound of a dot product, d * u (Higham, Accuracy and Stability of Numerical
    Algorithms, 3.1), plus the rounding of the rows and of the threshold; u = 2**-24.
    """
    return (1.1 * dimension + 8) * _HALF_ULP


def as_embeddings(embeddings: ArrayLike) -> NDArray[np.floating]:
    """The array itself, without a copy where it is one already, as (n, d) floats.

    Raises SelectionError for other shapes and for values that are no real numbers.
    """
    array = np.asarray(embeddings)
    if array.ndim != 2:
        raise SelectionError(f"embeddings must be (n, d), got {array.shape}")
    if array.dtype.kind not in "fiu":
        raise SelectionError(f"embeddings must be floats (float32 is best), got {array.dtype}")
    return array if array.dtype.kind == "f" else array.astype(np.float32)


def check_rows(embeddings: NDArray[np.floating], rows: NDArray[np.int64] | None = None) -> None:
    """Raises SelectionError when a row (of `rows`, or of all) is not finite or is zero."""
    usable = usable_rows(embeddings, rows)
    bad = np.flatnonzero(~usable) if rows is None else np.sort(rows[~usable])
    if not len(bad):
        return
    first = embeddings[bad[0]]
    kind = "only zeros" if np.isfinite(first).all() else "NaN or infinity"
    raise SelectionError(
        f"row {bad[0]} of the embeddings holds {kind} "
        f"({len(bad):,} such rows of {len(usable):,}): "
        "a row without a direction has no similarity; embed it again or leave it out"
    )


def usable_rows(
    embeddings: NDArray[np.floating], rows: NDArray[np.int64] | None = None
) -> NDArray[np.bool_]:
    """(n,) bool: which rows (of `rows`, or of all) are finite and not zero: have a direction."""
    usable = np.empty(len(embeddings) if rows is None else len(rows), np.bool_)
    for start in range(0, len(usable), CHECK_BLOCK):
        part = slice(start, start + CHECK_BLOCK)
        block = embeddings[part if rows is None else rows[part]]
        if block.dtype.itemsize < 4:  # float16 overflows at once
            block = block.astype(np.float32)
        with np.errstate(over="ignore", under="ignore", invalid="ignore"):
            squares = np.einsum("ij,ij->i", block, block)
        good = (squares > 1e-30) & (squares < 1e30)
        doubtful = np.flatnonzero(~good)  # tiny or huge but good rows overflow in float32
        largest = np.abs(block[doubtful]).max(axis=1, initial=0.0)
        good[doubtful] = (largest > 0) & np.isfinite(largest)
        usable[part] = good
    return usable


def unit_rows(embeddings: NDArray[np.floating], rows: NDArray[np.int64]) -> NDArray[np.float64]:
    """The given rows, L2-normalised: (k, d) float64. Rows must be finite and not zero."""
    block = embeddings[rows].astype(np.float64)
    if embeddings.dtype.itemsize > 4:  # squares of float32 always fit into float64
        block /= np.abs(block).max(axis=1, keepdims=True)
    block /= np.sqrt(np.einsum("ij,ij->i", block, block))[:, None]
    return block


def cosines(
    embeddings: NDArray[np.floating], rows: NDArray[np.int64], others: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Similarity by the definition, every row with every other: (rows, others) float64."""
    product = unit_rows(embeddings, rows) @ unit_rows(embeddings, others).T
    return np.round(product, DECIMALS)


def pair_cosines(
    embeddings: NDArray[np.floating], rows: NDArray[np.int64], others: NDArray[np.int64]
) -> NDArray[np.float64]:
    """Similarity by the definition, the first row with the first other and so on: (k,) float64."""
    result = np.empty(len(rows), np.float64)
    for start in range(0, len(rows), 1024):
        part = slice(start, start + 1024)
        left, right = unit_rows(embeddings, rows[part]), unit_rows(embeddings, others[part])
        result[part] = np.einsum("ij,ij->i", left, right)
    return np.round(result, DECIMALS)


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
    for start in range(0, len(usable), CHECK_BLOCK):
        part = slice(start, start + CHECK_BLOCK)
        units = unit_rows(vectors, usable[part]) + 0.0  # makes -0.0 and 0.0 the same
        digests = (blake2b(unit, digest_size=16).digest() for unit in units)
        group[part] = [seen.setdefault(digest, len(seen)) for digest in digests]
    of = np.full(len(vectors), -1, np.int32)
    of[usable] = group
    rows = usable[np.argsort(group, kind="stable")]
    ends = np.cumsum(np.bincount(group, minlength=len(seen)), dtype=np.int64)
    start_of = np.concatenate([[0], ends])
    return Copies(rows[start_of[:-1]], of, rows.astype(np.int32), start_of)


class Tiles:
    """A growing list of unit rows, in the order added, as tiles of a matrix product.

    Nothing is copied when it grows, so its memory is that of the rows in it (float32).
    """

    def __init__(self, embeddings: NDArray[np.floating], height: int = 1024) -> None:
        self._embeddings = embeddings
        self._height = height
        self._units: list[NDArray[np.float32]] = []
        self._rows: list[NDArray[np.int64]] = []
        self._count = 0

    def add(self, rows: NDArray[np.int64], units: NDArray[np.float32] | None = None) -> None:
        """Adds rows; `units` are their unit rows where the caller has them."""
        done = 0
        while done < len(rows):
            used = self._count % self._height
            if used == 0:
                width = self._embeddings.shape[1]
                self._units.append(np.empty((self._height, width), np.float32))
                self._rows.append(np.empty(self._height, np.int64))
            part = slice(done, done + self._height - used)
            added = rows[part]
            room = slice(used, used + len(added))
            self._rows[-1][room] = added
            self._units[-1][room] = (
                unit_rows(self._embeddings, added) if units is None else units[part]
            )
            self._count += len(added)
            done += len(added)

    def __iter__(self) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Tile after tile: row numbers (t,) int64 and unit rows (t, d) float32."""
        for index, (rows, units) in enumerate(zip(self._rows, self._units, strict=True)):
            used = min(self._height, self._count - index * self._height)
            yield rows[:used], units[:used]
