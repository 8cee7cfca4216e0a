"""k-means of scikit-learn on unit vectors, from k-means++ (Arthur and Vassilvitskii 2007)."""

from __future__ import annotations

import warnings
from math import isqrt
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deita_core.errors import SelectionError
from deita_core.similarity.definition import as_embeddings, unit_rows, usable_rows
from deita_core.similarity.neighbours import largest_first

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
