"""Farthest first: rows that are each as far as can be from all chosen before (k-center greedy).

The plain loop compares every row with every new centre, one centre at a time. Here many centres
are chosen for each sweep over the pool. A row's highest similarity to a centre can only rise, so
what it was is a lower bound of what it is: among the rows with the lowest bounds the next centres
are chosen by exact similarities alone, for as long as the best of them lies below the bounds of
all other rows. Then one matrix product brings all bounds up to date. The choice is the plain
loop's, by the definition in `geometry.similarity`.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deita_core.geometry.similarity import DECIMALS, Tiles, cosines, screen_margin, unit_rows
from deita_core.selection.progress import FilterProgress

ACTIVE: Final = 1024
BLOCK: Final = 4096
_NEVER: Final = np.inf
_PLAIN_LENGTHS: Final = (1e-3, 1e3)

Rows = NDArray[np.int64]
Admit = Callable[[int], bool | None]


@dataclass(slots=True)
class _Bounds:
    """What is known of each row's highest similarity to a centre.

    low: (r,) float64, a lower bound, inf for rows that were chosen or skipped.
    sure: (r,) bool, the bound is the similarity itself.
    """

    low: NDArray[np.float64]
    sure: NDArray[np.bool_]


def farthest_steps(
    vectors: NDArray[np.floating],
    rows: Rows,
    centres: Rows,
    admit: Admit,
    *,
    active: int = ACTIVE,
) -> Generator[FilterProgress, None, Rows]:
    """Rows in the order chosen, farthest first, ties by place in `rows`: (k,) int64.

    vectors: (m, d) floats. rows: (r,) ascending, the rows to choose from, finite and not zero.
    centres: (c,), at least one, rows that count as chosen already; they are not in `rows`.
    admit: asked once for each row that would be next. True: take it; False: skip it (it is no
        centre, and not asked for again); None: stop before it.
    Memory: O(block x centres) and a copy of the centres; time at most that of r x k products.
    """
    bounds = _Bounds(np.full(len(rows), -1.0), np.zeros(len(rows), np.bool_))
    screen = _Screen(vectors, rows)
    chosen = Tiles(vectors)
    fresh, order, left = centres, [np.empty(0, np.int64)], len(rows)
    near, taken = np.empty(0, np.int64), 0
    while left:
        yield from screen.refresh(bounds, fresh, taken)
        bounds.sure[near] = True  # they have met these centres already
        chosen.add(fresh)
        near = _lowest(bounds.low, active)
        unsure = near[~bounds.sure[near]]
        bounds.low[unsure] = _highest(vectors, rows[unsure], chosen)
        bounds.sure[unsure] = True
        picks, asked, stopped = _choose(vectors, rows, near, bounds.low, admit)
        order.append(rows[picks])
        fresh, left, taken = rows[picks], left - asked, taken + len(picks)
        if stopped:
            break
    return np.concatenate(order)


def _lowest(low: NDArray[np.float64], count: int) -> Rows:
    """Places of the `count` lowest values, ties by place; ascending by place."""
    if len(low) <= count:
        return np.flatnonzero(low < _NEVER)
    limit = np.partition(low, count - 1)[count - 1]
    below = np.flatnonzero(low < limit)
    ties = np.flatnonzero(low == limit)[: count - len(below)] if limit < _NEVER else below[:0]
    return np.sort(np.concatenate([below, ties]))


def _highest(vectors: NDArray[np.floating], rows: Rows, chosen: Tiles) -> NDArray[np.float64]:
    """The highest similarity of each row to a chosen one, by the definition: (k,) float64."""
    highest = np.full(len(rows), -1.0)
    if len(rows):
        units = unit_rows(vectors, rows)
        for centres, _ in chosen:
            product = units @ unit_rows(vectors, centres).T
            np.maximum(highest, product.max(axis=1), out=highest)
    return np.round(highest, DECIMALS)


def _choose(
    vectors: NDArray[np.floating],
    rows: Rows,
    near: Rows,
    low: NDArray[np.float64],
    admit: Admit,
) -> tuple[list[int], int, bool]:
    """Chooses among the places `near` (ascending, exact in `low`) for as long as no other row
    could be as far. Returns the places taken, how many were asked for, and if told to stop.
    """
    value = low[near].copy()
    low[near] = _NEVER
    rival = int(low.argmin())
    limit = (float(low[rival]), rival)
    between = cosines(vectors, rows[near], rows[near])
    taken: list[int] = []
    asked, stopped = 0, False
    while asked < len(near):
        place = int(value.argmin())
        if value[place] == _NEVER or (float(value[place]), int(near[place])) >= limit:
            break
        taken_in = admit(int(rows[near[place]]))
        if taken_in is None:
            stopped = True
            break
        asked += 1
        value[place] = _NEVER
        if taken_in:
            taken.append(int(near[place]))
            np.maximum(value, between[place], out=value)
    low[near] = value
    return taken, asked, stopped


class _Screen:
    """The sweep over all rows in float32."""

    def __init__(self, vectors: NDArray[np.floating], rows: Rows) -> None:
        self._vectors, self._rows = vectors, rows
        self._margin = screen_margin(vectors.shape[1])
        self._length = np.empty(len(rows), np.float32)
        for start in range(0, len(rows), BLOCK):
            block = vectors[rows[start : start + BLOCK]].astype(np.float64)
            self._length[start : start + BLOCK] = np.sqrt(np.einsum("ij,ij->i", block, block))
        least, most = _PLAIN_LENGTHS
        self._plain = bool(((self._length >= least) & (self._length <= most)).all())

    def refresh(
        self, bounds: _Bounds, centres: Rows, taken: int
    ) -> Generator[FilterProgress, None, None]:
        """Raises the bounds by what these centres add."""
        if not len(centres):
            return
        units = unit_rows(self._vectors, centres).astype(np.float32).T
        for start in range(0, len(self._rows), BLOCK):
            part = slice(start, start + BLOCK)
            highest = self._product(part, units).max(axis=1).astype(np.float64)
            low, sure = bounds.low[part], bounds.sure[part]
            sure &= (highest + self._margin <= low) | (low >= 1.0)
            np.maximum(low, np.minimum(highest - self._margin, 1.0), out=low)
            yield FilterProgress(taken, taken, len(self._rows))

    def _product(self, part: slice, units: NDArray[np.float32]) -> NDArray[np.float32]:
        rows = self._rows[part]
        if not self._plain:
            product: NDArray[np.float32] = unit_rows(self._vectors, rows).astype(np.float32) @ units
            return product
        block = self._vectors[rows].astype(np.float32, copy=False)
        return (block @ units) / self._length[part, None]
