"""The exact nearest rows where no graph holds them: a screened product with every row."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from deita_core.geometry.copies import Copies
from deita_core.geometry.screen import EVERY_CELL, Screen, bfloat16_bits

# Neighbouring float32 numbers just below 1 are this far apart.
FLOAT32_STEP = 2.0**-24


class NearestSearch:
    """The nearest rows of some groups, among all rows.

    indices, similarities: (n, k), the results for all rows, which are filled in.
    """

    def __init__(
        self,
        vectors: NDArray[np.floating],
        copies: Copies,
        indices: NDArray[np.int32],
        similarities: NDArray[np.float32],
    ) -> None:
        self._copies = copies
        self._indices = indices
        self._similarities = similarities
        self._k = min(indices.shape[1], len(copies.first) - 1)
        self._screen = Screen(vectors, copies.first)
        self._plain = self._screen.plain(slice(None))

    def run(self, groups: NDArray[np.int64]) -> int:
        """Writes the results of these groups; returns how many they are."""
        from deita_core.geometry.graph_kernel import RUN, list_similarities, near_cells
        from deita_core.geometry.nearest_kernel import write_nearest

        norms = self._screen.norms
        cells = self._screen.with_all(groups)
        cells[np.arange(len(groups)), groups] = EVERY_CELL
        bounds = self._bounds(cells)
        start, near = near_cells(cells, bounds, np.zeros(len(groups), np.int64), RUN)
        similarity, _ = list_similarities(
            self._plain[groups], norms[groups], self._plain, norms, start, near
        )
        value = similarity.astype(np.float32)
        owner = np.repeat(np.arange(len(groups)), np.diff(start))
        value[near == groups[owner]] = -np.inf  # let through with every other cell of its row
        order = np.lexsort((near, -value, owner))
        write_nearest(
            groups,
            start,
            near[order],
            value[order],
            self._copies.rows,
            self._copies.start,
            np.float32(-np.inf),
            self._indices,
            self._similarities,
        )
        return len(groups)

    def _bounds(self, cells: NDArray[np.int16]) -> NDArray[np.int16]:
        """For each row the bits that a cell must reach to be among the k nearest: (r,)."""
        from deita_core.geometry.graph_kernel import RUN, highest_of_runs

        if self._k == 0:
            return np.full(len(cells), EVERY_CELL)
        # Shorter runs where long ones would be too few to bound the k-th well.
        run = max(1, min(RUN, cells.shape[1] // (4 * self._k + 1)))
        runs = np.empty((len(cells), -(-cells.shape[1] // run)), np.int16)
        highest_of_runs(cells, run, runs)
        # The k-th highest run holds a cell as high, and so do the k - 1 before it.
        highest = np.partition(runs, -self._k, axis=1)[:, -self._k]
        value = (
            (highest.view(np.uint16).astype(np.uint32) << 16).view(np.float32).astype(np.float64)
        )
        # Before rounding to bfloat16 (8 bits) that cell was at least this high ...
        value -= np.ldexp(1.0, np.frexp(value)[1] - 9)
        every = slice(None)
        # ... so k rows have at least this similarity, and those of the same float32 tie.
        value -= 2 * self._screen.slack(every, every) + 2 * FLOAT32_STEP
        bits = bfloat16_bits(value)
        bits[(highest < 0) | (bits < 0)] = EVERY_CELL  # whole numbers rank only positive floats
        return bits
