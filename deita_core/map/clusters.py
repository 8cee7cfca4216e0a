"""Clusters of rows by direction: spherical k-means.

Source: Dhillon and Modha 2001, "Concept decompositions for large sparse text data using
clustering"; the start is k-means++ (Arthur and Vassilvitskii 2007) on a sample, with distance
1 - cosine, where each centre is the best of a few drawn.
"""

from __future__ import annotations

from collections.abc import Generator
from math import isqrt

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deita_core.errors import SelectionError
from deita_core.progress import finish
from deita_core.similarity.definition import as_embeddings, unit_rows, usable_rows

MOST_CLUSTERS = 256
PASSES = 25
# A pass that moves fewer rows than this share changes nothing anyone would see.
SETTLED = 1e-3
# Rows among which the first centres are drawn, for each cluster.
SAMPLE_PER_CLUSTER = 32
SMALLEST_SAMPLE = 2048
# Rows drawn for each first centre, of which the best is taken.
TRIALS = 8
BLOCK = 4096


def default_clusters(rows: int) -> int:
    """sqrt(rows / 2), the usual rule of thumb, from 1 to MOST_CLUSTERS."""
    return max(1, min(MOST_CLUSTERS, isqrt(rows // 2)))


def spherical_kmeans(
    vectors: ArrayLike, clusters: int | None = None, seed: int = 0
) -> NDArray[np.int32]:
    """The cluster of each row: (m,) int32, -1 for rows without a direction.

    vectors: (m, d) floats of any length. clusters: how many (fewer where there are fewer rows);
    None: `default_clusters`. Cluster 0 is the largest, ties by first row. The same input and
    seed give the same clusters on one machine. Memory: the rows in float32 once more.

    Raises SelectionError for a number of clusters below 1.
    """
    return finish(kmeans_steps(vectors, clusters, seed))


def kmeans_steps(
    vectors: ArrayLike, clusters: int | None = None, seed: int = 0
) -> Generator[int, None, NDArray[np.int32]]:
    """`spherical_kmeans` as a generator: yields the number of passes done, PASSES at most."""
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
    centres = _first_centres(unit, k, np.random.default_rng(seed))
    label = np.full(len(unit), -1, np.int32)
    for done in range(PASSES):
        new, nearness = _assigned(unit, centres)
        moved = int((new != label).sum())
        label = new
        yield done + 1
        if moved <= SETTLED * len(unit):
            break
        centres = _centres(unit, label, nearness, k)
    labels[usable] = _largest_first(label, k)
    return labels


def _first_centres(
    unit: NDArray[np.float32], k: int, random: np.random.Generator
) -> NDArray[np.float32]:
    """k rows far from each other, drawn one by one: (k, d)."""
    count = min(len(unit), max(SMALLEST_SAMPLE, k * SAMPLE_PER_CLUSTER))
    sample = unit[np.sort(random.choice(len(unit), count, replace=False))]
    chosen = np.empty((k, unit.shape[1]), np.float32)
    chosen[0] = sample[random.integers(count)]
    distance = _distances(sample, chosen[:1])[:, 0]
    for j in range(1, k):
        total = distance.sum()
        even = total <= 0  # nothing but copies of the chosen rows is left
        drawn = random.choice(count, TRIALS, p=None if even else distance / total)
        nearer = np.minimum(distance[:, None], _distances(sample, sample[drawn]))
        best = int(nearer.sum(axis=0).argmin())
        chosen[j], distance = sample[drawn[best]], nearer[:, best]
    return chosen


def _distances(rows: NDArray[np.float32], centres: NDArray[np.float32]) -> NDArray[np.float64]:
    return np.maximum(1.0 - (rows @ centres.T).astype(np.float64), 0.0)


def _assigned(
    unit: NDArray[np.float32], centres: NDArray[np.float32]
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """The nearest centre of each row, (m,) int32, and its similarity, (m,) float32."""
    label = np.empty(len(unit), np.int32)
    nearness = np.empty(len(unit), np.float32)
    for start in range(0, len(unit), BLOCK):
        part = slice(start, start + BLOCK)
        product = unit[part] @ centres.T
        label[part] = product.argmax(axis=1)
        nearness[part] = np.take_along_axis(product, label[part, None], axis=1)[:, 0]
    return label, nearness


def _centres(
    unit: NDArray[np.float32],
    label: NDArray[np.int32],
    nearness: NDArray[np.float32],
    k: int,
) -> NDArray[np.float32]:
    """The mean direction of each cluster: (k, d); an empty one begins again at the row that
    lies farthest from its own centre.
    """
    from deita_core.similarity.graph_kernel import add_rows

    sums = np.zeros((k, unit.shape[1]), np.float64)
    add_rows(unit, label, sums)
    length = np.sqrt(np.einsum("ij,ij->i", sums, sums))
    empty = np.flatnonzero(length < 1e-9)
    if len(empty):
        sums[empty] = unit[np.argsort(nearness, kind="stable")[: len(empty)]]
        length[empty] = 1.0
    centres: NDArray[np.float32] = (sums / length[:, None]).astype(np.float32)
    return centres


def _largest_first(label: NDArray[np.int32], k: int) -> NDArray[np.int32]:
    """The clusters numbered by size, without the empty ones."""
    found, first, size = np.unique(label, return_index=True, return_counts=True)
    rank = np.full(k, -1, np.int32)
    rank[found[np.lexsort((first, -size))]] = np.arange(len(found), dtype=np.int32)
    return rank[label]
