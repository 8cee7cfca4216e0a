"""UMAP's layout: points pulled along the edges of a graph and pushed apart elsewhere.

Source: McInnes, Healy and Melville 2018 (arXiv 1802.03426), section 3.2 and algorithm 5.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_core.device import cpu_threads

SPREAD = 1.0  # how far apart points that are not packed lie
# Below this many points per thread, starting the threads costs more than they save.
POINTS_PER_THREAD = 2_000


def epochs_for(n: int) -> int:
    """Passes over the edges: umap-learn's numbers, and half beyond 100,000 rows.

    A pass takes time in proportion to n, and a large map has settled after 100.
    """
    return 500 if n <= 10_000 else 200 if n <= 100_000 else 100


def lay_out(
    graph: Any,
    places: NDArray[np.float32],
    *,
    min_dist: float,
    seed: int,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float32]:
    """Where the points of `places`, (n, 2) float32, end up: (n, 2) float32.

    graph: symmetric scipy CSR matrix (n, n) float32 of weights. The outcome depends neither on
    the number of threads nor on their timing. progress: epochs done and epochs in all.
    """
    from deita_core.geometry.layout_kernel import move_points

    epochs = epochs_for(len(places))
    start, to, rate = _edges(graph, epochs)
    a, b = curve(min_dist)
    bounds = _shares(start)
    old, new = places.copy(), np.empty_like(places)
    with ThreadPoolExecutor(len(bounds) - 1) as pool:
        for epoch in range(epochs):
            rest = (start, to, rate, epoch, np.float32(1 - epoch / epochs), a, b, np.uint64(seed))
            moves = [
                pool.submit(move_points, old, new, first, last, *rest)
                for first, last in pairwise(bounds)
            ]
            for move in moves:
                move.result()
            old, new = new, old
            if progress is not None:
                progress(epoch + 1, epochs)
    return old


def curve(min_dist: float) -> tuple[np.float32, np.float32]:
    """a and b for which 1 / (1 + a d**2b) is nearest to 1 up to `min_dist` and
    exp(-(d - min_dist) / SPREAD) beyond (least squares over 300 distances up to 3 SPREAD).
    """
    from scipy.optimize import curve_fit

    distance = np.linspace(0, 3 * SPREAD, 300)
    wanted = np.minimum(1.0, np.exp(-(distance - min_dist) / SPREAD))
    (a, b), _ = curve_fit(lambda d, a, b: 1 / (1 + a * d ** (2 * b)), distance, wanted)
    return np.float32(a), np.float32(b)


def _edges(
    graph: Any, epochs: int
) -> tuple[NDArray[np.int32], NDArray[np.int32], NDArray[np.float32]]:
    """start (n + 1,), to (e,), and how often an edge is drawn per epoch (e,), at most once."""
    rate = graph.data / graph.data.max()
    # An edge this weak would not be drawn once in all epochs.
    kept = rate * epochs >= 1
    start = np.concatenate([[0], np.cumsum(kept)])[graph.indptr]
    return (
        start.astype(np.int32),
        graph.indices[kept].astype(np.int32),
        rate[kept].astype(np.float32),
    )


def _shares(start: NDArray[np.int32]) -> list[int]:
    """Bounds of the points each thread moves, about as many edges for each."""
    n = len(start) - 1
    threads = max(1, min(cpu_threads(), n // POINTS_PER_THREAD))
    inner = np.searchsorted(start, np.linspace(0, start[-1], threads + 1)[1:-1])
    return [0, *inner.tolist(), n]
