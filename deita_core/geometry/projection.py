"""The map: every conversation as a point, near ones near to each other.

UMAP (McInnes, Healy and Melville 2018, arXiv 1802.03426), written here on top of the exact
neighbours rather than taken from umap-learn: loading that compiles for 18 s on a fresh machine
(against 2 s), and with a seed it lays out on one thread only. The layout starts from the two
main axes of the embeddings: the usual spectral start can take minutes or fail when the graph
falls into pieces, as graphs of near-duplicates do; the main axes always exist.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.geometry.fuzzy import fuzzy_graph
from deita_core.geometry.graph import SimilarityGraph
from deita_core.geometry.layout import lay_out
from deita_core.geometry.neighbours import nearest_neighbours, normalised

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
