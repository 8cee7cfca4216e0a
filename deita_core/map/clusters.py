"""Clusters: k-means on the vectors, or HDBSCAN on the map; and the typical row of each.

k-means is scikit-learn's on unit vectors, from k-means++ (Arthur and Vassilvitskii 2007): every row
with a vector is in a cluster. HDBSCAN (Campello, Moulavi and Sander 2013; package fast_hdbscan)
finds the dense places of the map, as many as there are, and leaves rows between them in none.
"""

from __future__ import annotations

import warnings
from math import isqrt
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deita_core.errors import SelectionError
from deita_core.similarity.definition import as_embeddings, unit_rows, usable_rows
from deita_core.similarity.neighbours import largest_first

Method = Literal["kmeans", "hdbscan"]
MOST_CLUSTERS = 256
PASSES = 25
BLOCK = 4096


def one_order() -> Any:
    """A context in which products and sums run on one thread: on several they add up in an order
    that depends on how many there are, and for the centres of clusters on chance."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)


def default_clusters(rows: int) -> int:
    """sqrt(rows / 2), the usual rule of thumb, from 1 to MOST_CLUSTERS."""
    return max(1, min(MOST_CLUSTERS, isqrt(rows // 2)))


def cluster(vectors: ArrayLike, clusters: int | None = None, seed: int = 0) -> NDArray[np.int32]:
    """The cluster of each row: (m,) int32, -1 for rows without a direction.

    vectors: (m, d) floats of any length. clusters: how many (fewer where there are fewer
    distinct rows); None: `default_clusters`. Cluster 0 is the largest, ties by first row. The
    same input and seed give the same clusters on one machine. Memory: the rows in float32.

    Raises SelectionError for a number of clusters below 1.
    """
    from sklearn.cluster import KMeans
    from sklearn.exceptions import ConvergenceWarning

    array = as_embeddings(vectors)
    if clusters is not None and clusters < 1:
        raise SelectionError(f"clusters must be at least 1, got {clusters}")
    usable = np.flatnonzero(usable_rows(array))
    labels = np.full(len(array), -1, np.int32)
    k = min(clusters or default_clusters(len(usable)), len(usable))
    if k == 0:
        return labels
    unit = np.empty((len(usable), array.shape[1]), np.float32)
    for start in range(0, len(usable), BLOCK):
        unit[start : start + BLOCK] = unit_rows(array, usable[start : start + BLOCK])
    random = np.random.RandomState(np.random.MT19937(seed))
    kmeans = KMeans(k, n_init=1, max_iter=PASSES, random_state=random, copy_x=False)
    with one_order(), warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # fewer distinct rows than clusters
        found = kmeans.fit_predict(unit)
    labels[usable] = largest_first(found)[0]
    return labels


def default_smallest(rows: int) -> int:
    """A cluster of the map has at least a five-hundredth of the rows, and ten."""
    return max(10, rows // 500)


def cluster_map(xy: ArrayLike, smallest: int | None = None) -> NDArray[np.int32]:
    """The dense places of the map: (n,) int32, -1 for rows between them or not on the map.

    xy: (n, 2) floats, NaN for a row that is not on the map. smallest: rows that make a cluster;
    None: `default_smallest`. Cluster 0 is the largest, ties by first row. Of more than
    MOST_CLUSTERS the largest are taken. The same points give the same clusters.

    Raises SelectionError for other shapes, and for a `smallest` below 2.
    """
    points = np.asarray(xy, np.float32)
    if points.ndim != 2 or points.shape[1] != 2:
        raise SelectionError(f"the map must be (n, 2), got {points.shape}")
    if smallest is not None and smallest < 2:
        raise SelectionError(f"a cluster has at least 2 rows, got {smallest}")
    labels = np.full(len(points), -1, np.int32)
    placed = np.flatnonzero(np.isfinite(points).all(axis=1))
    least = smallest or default_smallest(len(placed))
    if len(placed) <= least:
        return labels
    from fast_hdbscan import HDBSCAN

    # Few samples for the density: with as many as the smallest cluster has, most rows are in none.
    hdbscan = HDBSCAN(min_cluster_size=least, min_samples=min(10, least), reproducible=True)
    found = hdbscan.fit_predict(points[placed])
    inside = found >= 0
    numbers = largest_first(found[inside])[0]
    labels[placed[inside]] = np.where(numbers < MOST_CLUSTERS, numbers, -1)
    return labels


def central_rows(points: ArrayLike, labels: NDArray[np.integer]) -> NDArray[np.int64]:
    """The place of the most typical row of each cluster: (k,) int64, ties by place.

    points: (n, d) floats, what the clusters were made of; the nearest to the mean is taken.
    labels: (n,), 0 to k - 1, and -1 for none.
    """
    array = np.asarray(points)
    central = np.empty(int(labels.max(initial=-1)) + 1, np.int64)
    order = np.argsort(labels, kind="stable")
    borders = np.searchsorted(labels[order], np.arange(len(central) + 1))
    for number in range(len(central)):
        members = order[borders[number] : borders[number + 1]]
        block = array[members].astype(np.float64)
        apart = block - block.mean(axis=0)
        central[number] = members[np.einsum("ij,ij->i", apart, apart).round(9).argmin()]
    return central
