"""UMAP's graph: how strongly each row belongs to the neighbourhood of each other row.

Source of the formulas: McInnes, Healy and Melville 2018 (arXiv 1802.03426), section 3.1 and
algorithms 2 and 3.

UMAP's layout: points pulled along the edges of a graph and pushed apart elsewhere.

Source: McInnes, Healy and Melville 2018 (arXiv 1802.03426), section 3.2 and algorithm 5.

The map: every conversation as a point, near ones near to each other.

UMAP (McInnes, Healy and Melville 2018, arXiv 1802.03426), written here on top of the exact
neighbours rather than taken from umap-learn: loading that compiles for 18 s on a fresh machine
(against 2 s), and with a seed it lays out on one thread only. The layout starts from the two
main axes of the embeddings: the usual spectral start can take minutes or fail when the graph
falls into pieces, as graphs of near-duplicates do; the main axes always exist.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.models.device import cpu_threads
from deita_core.similarity.graph import SimilarityGraph
from deita_core.similarity.neighbours import nearest_neighbours, normalised

HALVINGS = 40
# A neighbourhood is never narrower than this part of its mean distance: among near-duplicates
# the equation for its width has no solution.
NARROWEST = 1e-3


def fuzzy_graph(indices: NDArray[np.int32], similarities: NDArray[np.float32]) -> Any:
    """Symmetric scipy CSR matrix (n, n) float32, weights in (0, 1], without a diagonal.

    indices, similarities: (n, k), the nearest rows of each row, nearest first, itself left out.
    Distance is 1 - similarity. Two one-sided weights p and q join as p + q - pq.
    """
    from scipy.sparse import csr_matrix

    n, k = indices.shape
    weights = memberships(np.maximum(1.0 - similarities.astype(np.float64), 0.0))
    ends = np.arange(0, n * k + 1, k)
    # As numbers of 32 bits, both ways of an edge get the very same weight.
    one_sided = csr_matrix((weights.ravel().astype(np.float32), indices.ravel(), ends), (n, n))
    other = one_sided.T.tocsr()
    graph = (one_sided + other - one_sided.multiply(other)).tocsr()
    graph.eliminate_zeros()
    graph.sort_indices()
    return graph


def memberships(distances: NDArray[np.float64]) -> NDArray[np.float64]:
    """exp(-max(0, distance - nearest) / width) for each row: (n, k), in [0, 1].

    distances: (n, k), ascending. nearest is the row's smallest distance above 0, so that every
    row is tied fully to at least one other; width makes the weights of a row add up to
    log2(k + 1), the size of the neighbourhood with the row itself.
    """
    nearest = np.where(distances > 0, distances, np.inf).min(axis=1, keepdims=True)
    beyond = np.maximum(distances - np.where(np.isfinite(nearest), nearest, 0.0), 0.0)
    return np.asarray(np.exp(-beyond / _widths(distances, beyond)))


def _widths(distances: NDArray[np.float64], beyond: NDArray[np.float64]) -> NDArray[np.float64]:
    """(n, 1): found by halving an interval that holds the solution, all rows at once."""
    target = np.log2(distances.shape[1] + 1)
    low = np.zeros((len(distances), 1))
    # Beyond this width every weight is above target / k, which is too much.
    high = np.maximum(beyond.max(axis=1, keepdims=True), 1e-12) * 64.0
    for _ in range(HALVINGS):
        middle = (low + high) / 2
        too_wide = np.exp(-beyond / middle).sum(axis=1, keepdims=True) > target
        high = np.where(too_wide, middle, high)
        low = np.where(too_wide, low, middle)
    mean = distances.mean(axis=1, keepdims=True)
    mean = np.where(mean > 0, mean, max(float(distances.mean()), 1e-12))
    widths: NDArray[np.float64] = np.maximum((low + high) / 2, NARROWEST * mean)
    return widths


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
    from deita_core.map.layout_kernel import move_points

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


Progress = Callable[[str, int, int], None]
STAGES = ("neighbours", "layout")
# Fewer points have no neighbourhoods to speak of: they keep their places on the main axes.
SMALLEST_LAYOUT = 5
EXTENT = 10.0  # side of the square in which the layout starts, as in umap-learn


def project(
    vectors: NDArray[np.float32],
    *,
    seed: int = 42,
    neighbours: int = 15,
    min_dist: float = 0.1,
    graph: SimilarityGraph | None = None,
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Coordinates on the map: (n, 2) float32, the same for the same input on one machine.

    vectors: (n, d) float32, not necessarily normalised. neighbours: size of a neighbourhood,
    the row itself included (smaller in a smaller pool). min_dist: how tightly points pack,
    0 to 1. graph: the similarity graph of the same vectors; the map is the same with it and
    without, and sooner with it. progress: called with one of STAGES, steps done and steps in all.

    Raises SelectionError for arguments out of range and rows that are NaN or zero.
    """
    if neighbours < 2:
        raise SelectionError(f"neighbours must be at least 2, got {neighbours}")
    if not 0 <= seed < 2**64:
        raise SelectionError(f"seed must be between 0 and 2**64 - 1, got {seed}")
    if not 0 <= min_dist <= 1:
        raise SelectionError(f"min_dist must be between 0 and 1, got {min_dist}")
    unit = normalised(vectors)
    if len(unit) < SMALLEST_LAYOUT:
        return _main_axes(unit)
    near = partial(progress, "neighbours") if progress is not None else None
    found = nearest_neighbours(vectors, min(neighbours, len(unit)) - 1, graph=graph, progress=near)
    fuzzy = fuzzy_graph(found.indices, found.similarities)
    start = _spread(_main_axes(unit), np.random.default_rng(seed))
    laid = partial(progress, "layout") if progress is not None else None
    return lay_out(fuzzy, start, min_dist=min_dist, seed=seed, progress=laid)


def _main_axes(unit: NDArray[np.float32]) -> NDArray[np.float32]:
    """The rows along their two main axes (PCA): (n, 2) float32."""
    if len(unit) == 0:
        return np.zeros((0, 2), dtype=np.float32)
    centred = unit - unit.mean(axis=0, dtype=np.float64).astype(np.float32)
    _, axes = np.linalg.eigh((centred.T @ centred).astype(np.float64))
    axes = axes[:, :-3:-1]  # (d, 2), the widest first; (d, 1) when d is 1
    # An axis has no direction of its own: let its largest component be positive.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(axes.shape[1])])
    places = np.zeros((len(unit), 2), dtype=np.float32)
    places[:, : axes.shape[1]] = centred @ axes.astype(np.float32)
    return places


def _spread(places: NDArray[np.float32], random: np.random.Generator) -> NDArray[np.float32]:
    """`places` stretched over the starting square; a little noise parts identical rows."""
    widest = np.abs(places).max()
    noisy = places * (EXTENT / widest if widest > 0 else 0.0)
    noisy = noisy + random.normal(scale=1e-4, size=places.shape)
    low, high = noisy.min(axis=0), noisy.max(axis=0)
    return np.ascontiguousarray(EXTENT * (noisy - low) / (high - low), dtype=np.float32)
