"""The most similar row out of a list: exact, by blocked matrix products."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deita_core.similarity.definition import Tiles, cosines, pair_cosines, screen_margin, unit_rows

BLOCK = 1024


@dataclass(frozen=True, slots=True)
class Nearest:
    """place: (m,) int64 into the targets, -1 where none was allowed.

    similarity: (m,) float64 in [-1, 1], NaN where none was allowed.
    """

    place: NDArray[np.int64]
    similarity: NDArray[np.float64]


def nearest_steps(
    embeddings: NDArray[np.floating],
    rows: NDArray[np.int64],
    targets: NDArray[np.int64],
    *,
    limits: NDArray[np.int64] | None = None,
    skip_self: bool = False,
    block: int = BLOCK,
) -> Generator[int, None, Nearest]:
    """For each row the most similar target; of equally similar ones the first.

    embeddings: (n, d), finite, no zero rows. rows: (m,). targets: (k,).
    limits: (m,), only targets[:limit] count for a row; None: all do.
    skip_self: a row is not its own target. Memory O(block x tile + k x d).
    Yields how many rows are done, returns the result.
    """
    tiles = Tiles(embeddings)
    tiles.add(targets)
    if limits is None:
        limits = np.full(len(rows), len(targets))
    place = np.full(len(rows), -1, np.int64)
    similarity = np.full(len(rows), np.nan)
    for start in range(0, len(rows), block):
        part = slice(start, start + block)
        found = _nearest_places(embeddings, rows[part], targets, limits[part], skip_self, tiles)
        place[part] = found
        there = np.flatnonzero(found >= 0)
        similarity[start + there] = pair_cosines(
            embeddings, rows[start + there], targets[found[there]]
        )
        yield start + len(found)
    return Nearest(place, similarity)


def _nearest_places(
    embeddings: NDArray[np.floating],
    rows: NDArray[np.int64],
    targets: NDArray[np.int64],
    limits: NDArray[np.int64],
    skip_self: bool,
    tiles: Tiles,
) -> NDArray[np.int64]:
    """The best place of each row of a block, -1 for none; the definition settles near ties."""

    def forbid(
        near: NDArray[np.floating], which: NDArray[np.int64], places: NDArray[np.int64]
    ) -> None:
        """Sets what a row may not be compared with to -inf. places: ascending."""
        if len(places) and places[-1] >= limits[which].min(initial=len(targets)):
            near[places[None, :] >= limits[which][:, None]] = -np.inf
        if skip_self:
            near[targets[places][None, :] == rows[which][:, None]] = -np.inf

    units = unit_rows(embeddings, rows).astype(np.float32)
    slack = np.float32(2 * screen_margin(units.shape[1]))
    top = np.full(len(units), -np.inf, np.float32)
    place = np.full(len(units), -1, np.int64)
    first = 0
    for tile_rows, tile_units in tiles:
        if first >= limits.max(initial=0):
            break
        near = units @ tile_units.T
        forbid(near, np.arange(len(units)), np.arange(first, first + len(tile_rows)))
        highest = near.max(axis=1)
        old, top = top, np.maximum(top, highest)
        rising = np.flatnonzero((highest >= old - slack) & (highest > -np.inf))
        close = near[rising] >= (top[rising] - slack)[:, None]
        alone = (np.count_nonzero(close, axis=1) == 1) & (old[rising] < top[rising] - slack)
        place[rising[alone]] = first + close[alone].argmax(axis=1)
        torn = rising[~alone]
        if len(torn):
            rivals = np.union1d(first + np.flatnonzero(close[~alone].any(axis=0)), place[torn])
            rivals = rivals[rivals >= 0]
            exact = cosines(embeddings, rows[torn], targets[rivals])
            forbid(exact, torn, rivals)
            place[torn] = rivals[exact.argmax(axis=1)]
        first += len(tile_rows)
    return place
