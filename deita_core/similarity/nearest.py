"""The most similar row out of a list: exact, by blocked matrix products."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deita_core.progress import finish
from deita_core.similarity.definition import Tiles, cosines, pair_cosines, screen_margin, unit_rows

BLOCK = 1024


@dataclass(frozen=True, slots=True)
class Nearest:
    """place: (m,) int64 into the targets, -1 where none was allowed.

    similarity: (m,) float64 in [-1, 1], NaN where none was allowed.
    """

    place: NDArray[np.int64]
    similarity: NDArray[np.float64]


def nearest_of(
    embeddings: NDArray[np.floating],
    rows: NDArray[np.int64],
    targets: NDArray[np.int64],
    *,
    limits: NDArray[np.int64] | None = None,
    skip_self: bool = False,
    block: int = BLOCK,
) -> Nearest:
    """For each row the most similar target; of equally similar ones the first.

    embeddings: (n, d), finite, no zero rows. rows: (m,). targets: (k,).
    limits: (m,), only targets[:limit] count for a row; None: all do.
    skip_self: a row is not its own target. Memory O(block x tile + k x d).
    """
    return finish(
        nearest_steps(embeddings, rows, targets, limits=limits, skip_self=skip_self, block=block)
    )


def nearest_steps(
    embeddings: NDArray[np.floating],
    rows: NDArray[np.int64],
    targets: NDArray[np.int64],
    *,
    limits: NDArray[np.int64] | None = None,
    skip_self: bool = False,
    block: int = BLOCK,
) -> Generator[int, None, Nearest]:
    """`nearest_of` as a generator: yields how many rows are done, returns the result."""
    tiles = Tiles(embeddings)
    tiles.add(targets)
    place = np.full(len(rows), -1, np.int64)
    similarity = np.full(len(rows), np.nan)
    for start in range(0, len(rows), block):
        asked = rows[start : start + block]
        limit = np.full(len(asked), len(targets))
        if limits is not None:
            limit = limits[start : start + block]
        found = _nearest_in_block(_Search(embeddings, asked, targets, limit, skip_self), tiles)
        place[start : start + len(asked)] = found
        there = np.flatnonzero(found >= 0)
        similarity[start + there] = pair_cosines(embeddings, asked[there], targets[found[there]])
        yield start + len(asked)
    return Nearest(place, similarity)


@dataclass(frozen=True, slots=True)
class _Search:
    """The rows of one block and what each may be compared with."""

    embeddings: NDArray[np.floating]
    rows: NDArray[np.int64]
    targets: NDArray[np.int64]
    limits: NDArray[np.int64]
    skip_self: bool

    def forbid(
        self, near: NDArray[np.floating], which: NDArray[np.int64], places: NDArray[np.int64]
    ) -> None:
        """Sets what a row of the block may not be compared with to -inf."""
        if len(places) and places[-1] >= self.limits[which].min(initial=len(self.targets)):
            near[places[None, :] >= self.limits[which][:, None]] = -np.inf
        if self.skip_self:
            near[self.targets[places][None, :] == self.rows[which][:, None]] = -np.inf

    def settle(self, which: NDArray[np.int64], rivals: NDArray[np.int64]) -> NDArray[np.int64]:
        """The best of the rivals (places, ascending) for each row, by the exact definition."""
        exact = cosines(self.embeddings, self.rows[which], self.targets[rivals])
        self.forbid(exact, which, rivals)
        best: NDArray[np.int64] = rivals[exact.argmax(axis=1)]
        return best


def _nearest_in_block(search: _Search, tiles: Tiles) -> NDArray[np.int64]:
    """Keeps the best place so far per row; only near ties are computed by the definition."""
    units = unit_rows(search.embeddings, search.rows).astype(np.float32)
    everyone = np.arange(len(units))
    slack = np.float32(2 * screen_margin(units.shape[1]))
    top = np.full(len(units), -np.inf, np.float32)
    place = np.full(len(units), -1, np.int64)
    first = 0
    for tile_rows, tile_units in tiles:
        if first >= search.limits.max(initial=0):
            break
        near = units @ tile_units.T
        search.forbid(near, everyone, np.arange(first, first + len(tile_rows)))
        highest = near.max(axis=1)
        old, top = top, np.maximum(top, highest)
        rising = np.flatnonzero((highest >= old - slack) & (highest > -np.inf))
        close = near[rising] >= (top[rising] - slack)[:, None]
        alone = (np.count_nonzero(close, axis=1) == 1) & (old[rising] < top[rising] - slack)
        place[rising[alone]] = first + close[alone].argmax(axis=1)
        torn = rising[~alone]
        if len(torn):
            rivals = np.union1d(first + np.flatnonzero(close[~alone].any(axis=0)), place[torn])
            place[torn] = search.settle(torn, rivals[rivals >= 0])
        first += len(tile_rows)
    return place
