"""The map: every conversation as a point, similar ones close together.

umap-learn (McInnes, Healy and Melville 2018, arXiv 1802.03426) lays the points out on our exact
neighbours. It starts from the two main axes of the embeddings, since its spectral start can take
minutes or fail on a graph that falls into pieces, as graphs of near-duplicates do.

umap-learn compiles for 15 to 20 s when a machine uses it for the first time; numba keeps that on
disk, for the layout too because `_umap` asks for it. `compile_umap` does it ahead of time.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from functools import partial
from io import StringIO
from typing import Any

import numpy as np
from numpy.typing import NDArray
from tqdm import tqdm

from deita_core.errors import SelectionError
from deita_core.map.clusters import one_order
from deita_core.similarity.graph import SimilarityGraph
from deita_core.similarity.neighbours import nearest_neighbours, normalised

Progress = Callable[[str, int, int], None]
STAGES = ("neighbours", "layout")
# Fewer points have no neighbourhoods to speak of: they keep their places on the main axes.
SMALLEST_LAYOUT = 5
EXTENT = 10.0  # side of the square that umap-learn starts in
PLACED_AT_ONCE = 512


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
    without, and sooner with it. progress: called with one of STAGES, units done and in all.

    Raises SelectionError for arguments out of range and rows that are NaN or zero.
    """
    if neighbours < 2:
        raise SelectionError(f"neighbours must be at least 2, got {neighbours}")
    if not 0 <= seed < 2**64:
        raise SelectionError(f"seed must be between 0 and 2**64 - 1, got {seed}")
    if not 0 <= min_dist <= 1:
        raise SelectionError(f"min_dist must be between 0 and 1, got {min_dist}")
    unit = normalised(vectors)
    with one_order():
        axes = _main_axes(unit)
    n = len(unit)
    if n < SMALLEST_LAYOUT:
        return axes
    k = min(neighbours, n - 1)
    near = partial(progress, "neighbours") if progress is not None else None
    found = nearest_neighbours(vectors, k - 1, graph=graph, progress=near)
    # umap-learn counts a row among its own neighbours.
    indices = np.column_stack([np.arange(n, dtype=np.int32), found.indices])
    distances = np.zeros((n, k), np.float32)
    distances[:, 1:] = np.maximum(1 - found.similarities, 0)
    random = np.random.RandomState(np.random.MT19937(seed))
    return _lay_out(
        unit,
        (indices, distances),
        _spread(axes, random),
        min_dist=min_dist,
        epochs=epochs_for(n),
        random=random,
        progress=partial(progress, "layout") if progress is not None else None,
    )


def place(
    new: NDArray[np.float32],
    vectors: NDArray[np.float32],
    xy: NDArray[np.float32],
    *,
    seed: int = 42,
    neighbours: int = 15,
    min_dist: float = 0.1,
) -> NDArray[np.float32]:
    """Where new rows belong on a map that exists and stays as it is: (m, 2) float32.

    new: (m, d) and vectors: (n, d) float32 by the same embedder; xy: (n, 2) float32, what
    `project` made of `vectors`; the other arguments as there. umap-learn's `transform`, from
    what a project stores instead of the fitted object: a row starts at the mean of its nearest
    rows, weighted by membership, and is then laid out against the map.

    Raises SelectionError for shapes that do not fit and rows that are NaN or zero.
    """
    from scipy.sparse import coo_matrix

    umap = _umap()
    unit, there = normalised(new), normalised(vectors)
    if xy.shape != (len(there), 2) or not len(there) or unit.shape[1] != there.shape[1]:
        raise SelectionError(
            f"new rows {unit.shape}, vectors {there.shape} and map {xy.shape} must be (m, d), "
            "(n, d) and (n, 2) with n > 0"
        )
    if not len(unit):
        return np.zeros((0, 2), np.float32)
    k = min(neighbours, len(there))
    with one_order():
        indices, distances = _nearest_of(unit, there, k)
    sigmas, rhos = umap.smooth_knn_dist(distances, float(k), local_connectivity=0.0)
    rows, columns, weights, _ = umap.compute_membership_strengths(
        indices, distances, sigmas, rhos, bipartite=True
    )
    graph = coo_matrix((weights, (rows, columns)), (len(unit), len(there)))
    places = umap.init_graph_transform(graph.tocsr(), xy)
    epochs = epochs_for(len(there)) // 3
    graph.data[graph.data < graph.data.max() / epochs] = 0.0
    graph.eliminate_zeros()
    random = np.random.RandomState(np.random.MT19937(seed))
    a, b = umap.find_ab_params(1.0, min_dist)
    placed: NDArray[np.float32] = umap.optimize_layout_euclidean(
        places,
        xy.astype(np.float32),
        graph.row,
        graph.col,
        epochs,
        len(there),
        umap.make_epochs_per_sample(graph.data, epochs),
        a,
        b,
        random.randint(-(2**31) + 1, 2**31 - 1, 3).astype(np.int64),
        initial_alpha=0.25,
    )
    return placed


def epochs_for(n: int) -> int:
    """Passes over the edges: umap-learn's numbers, half beyond 30,000 rows: it has settled then."""
    return 500 if n <= 10_000 else 200 if n <= 30_000 else 100


def compile_umap() -> None:
    """Fills numba's cache with what `project` and `place` need of umap-learn."""
    angle = np.linspace(0, 6, 8, dtype=np.float32)
    ring = np.column_stack([np.cos(angle), np.sin(angle)])
    random = np.random.RandomState(0)
    _lay_out(ring, _nearest_of(ring, ring, 3), ring, min_dist=0.1, epochs=1, random=random)


class _Epochs(tqdm):  # type: ignore[misc]
    """umap-learn's progress bar, which can tell `progress` how far it is (done, all).

    It tells after an update, not by the bar's file: what is raised while a bar writes leaves the
    lock of all bars of the process held, and another thread's next bar waits without end.
    """

    def __init__(
        self, *rows: Any, progress: Callable[[int, int], None] | None = None, **options: Any
    ) -> None:
        self._progress = progress
        super().__init__(*rows, **options)

    def update(self, n: float | None = 1) -> bool | None:
        shown: bool | None = super().update(n)
        if self._progress is not None:
            self._progress(int(self.n), int(self.total))
        return shown


def _umap() -> Any:
    """umap-learn's module `umap_`, its compiled functions cached on disk (not so by itself)."""
    from umap import layouts, umap_

    layouts.tqdm = _Epochs
    umap_.smooth_knn_dist.enable_caching()
    umap_.compute_membership_strengths.enable_caching()
    layouts._nb_optimize_layout_euclidean_single_epoch.enable_caching()
    return umap_


def _lay_out(
    unit: NDArray[np.float32],
    nearest: tuple[NDArray[np.int32], NDArray[np.float32]],
    start: NDArray[np.float32],
    *,
    min_dist: float,
    epochs: int,
    random: np.random.RandomState,
    progress: Callable[[int, int], None] | None = None,
) -> NDArray[np.float32]:
    """The layout of n unit rows by umap-learn: (n, 2) float32.

    nearest: indices and distances, (n, k), the row itself first. start: (n, 2).
    """
    layout = _umap().UMAP(
        n_neighbors=nearest[0].shape[1],
        min_dist=min_dist,
        metric="cosine",
        precomputed_knn=(*nearest, None),
        n_epochs=epochs,
        init=start,
        random_state=random,
        n_jobs=1,
        tqdm_kwds=None
        if progress is None
        else {"disable": False, "file": StringIO(), "mininterval": 0, "progress": progress},
    )
    with warnings.catch_warnings():
        # About `transform`, which wants umap-learn's own search: see `place`.
        warnings.filterwarnings("ignore", "precomputed_knn", UserWarning)
        xy: NDArray[np.float32] = layout.fit_transform(unit)
    return xy


def _nearest_of(
    unit: NDArray[np.float32], others: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The k nearest of n unit rows for each of m: indices and distances, (m, k), nearest first."""
    indices = np.empty((len(unit), k), np.int32)
    distances = np.empty((len(unit), k), np.float32)
    for first in range(0, len(unit), PLACED_AT_ONCE):
        part = slice(first, first + PLACED_AT_ONCE)
        away = np.maximum(1 - unit[part] @ others.T, 0)
        indices[part] = np.argsort(away, axis=1, kind="stable")[:, :k]
        distances[part] = np.take_along_axis(away, indices[part], axis=1)
    return indices, distances


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
    """`places` stretched to the starting square; a little noise parts identical rows."""
    widest = np.abs(places).max()
    stretched = places * (EXTENT / widest if widest > 0 else 0.0)
    return (stretched + random.normal(scale=1e-4, size=places.shape)).astype(np.float32)
