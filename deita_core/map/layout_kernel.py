"""One epoch of UMAP's layout, compiled. Import it only where a layout is made: it loads numba.

umap-learn moves both ends of an edge at once, so its outcome depends on the order of the edges
and is the same again only on one thread. Here a point moves by its own edges alone, seen from
where all other points were when the epoch began. Each point can then be moved by any thread, and
the map is the same for any number of threads. Every edge is stored both ways, so attraction
counts twice to make up for the end that does not move.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

# Points drawn at random for each edge, to be moved away from (the paper's default).
REPELLED = 5
LONGEST_STEP = np.float32(4.0)
TOO_NEAR = np.float32(0.001)  # keeps the repulsion of points on top of each other finite


@numba.njit(inline="always")
def _clipped(step: np.float32) -> np.float32:
    return min(max(step, -LONGEST_STEP), LONGEST_STEP)


@numba.njit(inline="always")
def _mixed(state: np.uint64) -> np.uint64:
    """The next number of SplitMix64 (Steele, Lea and Flood 2014)."""
    state = (state ^ (state >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    state = (state ^ (state >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return state ^ (state >> np.uint64(31))


@numba.njit(nogil=True, cache=True, fastmath={"nsz", "contract", "arcp"})
def move_points(
    old: NDArray[np.float32],
    new: NDArray[np.float32],
    first: int,
    last: int,
    start: NDArray[np.int32],
    to: NDArray[np.int32],
    rate: NDArray[np.float32],
    epoch: int,
    step: np.float32,
    a: np.float32,
    b: np.float32,
    seed: np.uint64,
) -> None:
    """Writes where points `first` to `last` go in this epoch: new[first:last], from old.

    old, new: (n, 2). Edges of point i: to[start[i]:start[i + 1]], drawn `rate` times an epoch
    (at most once). step: the learning rate. a, b: shape of the similarity 1 / (1 + a d**2b) on
    the map.
    """
    n = np.uint64(len(old))
    one, two = np.float32(1.0), np.float32(2.0)
    for i in range(first, last):
        x, y = old[i, 0], old[i, 1]
        key = _mixed(seed + np.uint64(epoch) * n + np.uint64(i))
        drawn = np.uint64(0)
        edges = start[i + 1] - start[i]
        # The last edges move a point most. Always in one order, they would drag the whole map
        # towards the neighbours that come last in the pool, so each pass begins at another edge.
        edge = start[i] + np.int64(key % np.uint64(max(edges, 1))) - 1
        for _ in range(edges):
            edge = edge + 1 if edge + 1 < start[i + 1] else start[i]
            if int(rate[edge] * (epoch + 1)) == int(rate[edge] * epoch):
                continue
            dx, dy = x - old[to[edge], 0], y - old[to[edge], 1]
            far = dx * dx + dy * dy
            if far > 0:
                power = far**b
                pull = -two * a * b * power / (far * (one + a * power))
                x += two * step * _clipped(pull * dx)
                y += two * step * _clipped(pull * dy)
            for _ in range(REPELLED):
                drawn += np.uint64(1)
                j = np.int64(_mixed(key + drawn * np.uint64(0x9E3779B97F4A7C15)) % n)
                dx, dy = x - old[j, 0], y - old[j, 1]
                far = dx * dx + dy * dy
                if j == i or far == 0:
                    continue
                push = two * b / ((TOO_NEAR + far) * (one + a * far**b))
                x += step * _clipped(push * dx)
                y += step * _clipped(push * dy)
        new[i, 0], new[i, 1] = x, y
