"""The map: every conversation as a point, near ones near to each other.

UMAP (McInnes, Healy and Melville 2018, arXiv 1802.03426) through umap-learn, part by part rather
than through its class: the neighbours are exact, progress is reported, and the layout starts
from the two main axes of the embeddings. The usual spectral start can take minutes or fail when
the graph falls into pieces, as graphs of near-duplicates do; the main axes always exist.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.geometry.neighbours import Neighbours, nearest_neighbours, normalised

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
    progress: Progress | None = None,
) -> NDArray[np.float32]:
    """Coordinates on the map: (n, 2) float32, the same for the same input on one machine.

    vectors: (n, d) float32, not necessarily normalised. neighbours: size of a neighbourhood,
    the row itself included (smaller in a smaller pool). min_dist: how tightly points pack,
    0 to 1. progress: called with one of STAGES, steps done and steps in all.

    Raises SelectionError for arguments out of range and rows that are NaN or zero.
    """
    if neighbours < 2:
        raise SelectionError(f"neighbours must be at least 2, got {neighbours}")
    if not 0 <= min_dist <= 1:
        raise SelectionError(f"min_dist must be between 0 and 1, got {min_dist}")
    unit = normalised(vectors)
    if len(unit) < SMALLEST_LAYOUT:
        return _main_axes(unit)
    near = partial(progress, "neighbours") if progress is not None else None
    found = nearest_neighbours(unit, min(neighbours, len(unit)) - 1, progress=near)
    random = np.random.RandomState(seed)
    start = _spread(_main_axes(unit), random)
    return _layout(_graph(found, random), start, min_dist, random, progress)


def epochs_for(n: int) -> int:
    """Passes over the edges: umap-learn's numbers, and half beyond 100,000 rows.

    A pass takes time in proportion to n, and a large map has settled after 100.
    """
    return 500 if n <= 10_000 else 200 if n <= 100_000 else 100


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


def _spread(places: NDArray[np.float32], random: np.random.RandomState) -> NDArray[np.float32]:
    """`places` stretched over the starting square; a little noise parts identical rows."""
    widest = np.abs(places).max()
    noisy = places * (EXTENT / widest if widest > 0 else 0.0)
    noisy = noisy + random.normal(scale=1e-4, size=places.shape)
    low, high = noisy.min(axis=0), noisy.max(axis=0)
    return np.ascontiguousarray(EXTENT * (noisy - low) / (high - low), dtype=np.float32)


def _graph(found: Neighbours, random: np.random.RandomState) -> Any:
    """UMAP's weighted graph of neighbourhoods: a sparse (n, n) matrix, weights in (0, 1]."""
    from umap.umap_ import fuzzy_simplicial_set

    _keep_compiled()
    n, k = found.indices.shape
    own = np.arange(n, dtype=np.int32)[:, None]
    indices = np.concatenate([own, found.indices], axis=1)
    distances = np.zeros((n, k + 1), dtype=np.float32)
    # UMAP takes the first distance that is not 0 as the nearest, so rounding must not show.
    distances[:, 1:] = np.maximum(1.0 - found.similarities, 0.0)
    graph, _, _ = fuzzy_simplicial_set(
        indices, k + 1, random, "cosine", knn_indices=indices, knn_dists=distances
    )
    return graph.tocoo()


def _layout(
    graph: Any,
    start: NDArray[np.float32],
    min_dist: float,
    random: np.random.RandomState,
    progress: Progress | None,
) -> NDArray[np.float32]:
    """Moves the points of `start` until near ones in the graph are near on the map."""
    from umap.layouts import optimize_layout_euclidean
    from umap.umap_ import find_ab_params, make_epochs_per_sample

    epochs = epochs_for(len(start))
    # An edge this weak would not be drawn once in all epochs.
    kept = graph.data >= graph.data.max() / epochs
    a, b = find_ab_params(1.0, min_dist)
    bounds = np.iinfo(np.int32)
    places: NDArray[np.float32] = optimize_layout_euclidean(
        start,
        start,
        graph.row[kept],
        graph.col[kept],
        epochs,
        len(start),
        make_epochs_per_sample(graph.data[kept], epochs),
        a,
        b,
        random.randint(bounds.min + 1, bounds.max - 1, 3).astype(np.int64),
        parallel=False,  # in parallel, points would move in an order that differs every time
        tqdm_kwds={"disable": progress is None, "file": _EpochCount(progress, epochs)}
        | {"bar_format": "{n}", "mininterval": 0.3},
        move_other=True,
    )
    if progress is not None:
        progress("layout", epochs, epochs)
    return places


class _EpochCount:
    """The file into which umap-learn's progress bar writes: it passes the count on."""

    def __init__(self, progress: Progress | None, epochs: int) -> None:
        self._progress = progress
        self._epochs = epochs

    def write(self, text: str) -> None:
        """Takes what the bar prints, which `bar_format` makes the number of epochs alone."""
        if self._progress is not None and text.strip().isdigit():
            self._progress("layout", int(text), self._epochs)

    def flush(self) -> None:
        """Nothing is held back."""


def _keep_compiled() -> None:
    """Lets numba keep umap-learn's compiled functions on disk: seconds at the next start."""
    from umap import layouts, umap_

    functions: list[Any] = [
        getattr(umap_, "smooth_knn_dist", None),
        getattr(umap_, "compute_membership_strengths", None),
        getattr(layouts, "_nb_optimize_layout_euclidean_single_epoch", None),
    ]
    for function in functions:
        if hasattr(function, "enable_caching"):
            function.enable_caching()
