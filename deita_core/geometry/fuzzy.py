"""UMAP's graph: how strongly each row belongs to the neighbourhood of each other row.

Source of the formulas: McInnes, Healy and Melville 2018 (arXiv 1802.03426), section 3.1 and
algorithms 2 and 3.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

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
