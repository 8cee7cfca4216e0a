"""Exact neighbours and the map: time, memory, and how well the map keeps neighbours.

    python -m benchmarks.neighbours [VECTORS.npy] [--rows N]

VECTORS.npy is (n, d) float32, as `benchmarks.embedding` saves it; without, a pool is generated.
"""

from __future__ import annotations

import argparse
import resource
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.pools import generated_pool
from benchmarks.results import timed
from deita_core.map.projection import project
from deita_core.similarity.neighbours import Neighbours, nearest_neighbours

K = 15


def kept(xy: NDArray[np.float32], near: Neighbours, sample: int = 2000) -> float:
    """Share of the K nearest rows that are among the K nearest on the map (of a sample)."""
    from scipy.spatial import KDTree

    rows = np.random.default_rng(0).choice(len(xy), min(sample, len(xy)), replace=False)
    _, found = KDTree(xy).query(xy[rows], k=K + 1)
    return float(
        np.mean([np.isin(f, n).sum() / K for f, n in zip(found, near.indices[rows], strict=True)])
    )


def main() -> None:
    """Prints one line per measurement."""
    from sklearn.manifold import trustworthiness

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("vectors", nargs="?", type=Path)
    parser.add_argument("--rows", type=int, help="default: all, or 20,000 generated")
    options = parser.parse_args()
    if options.vectors:
        vectors = np.load(options.vectors)
        vectors = vectors[np.isfinite(vectors).all(axis=1)][: options.rows]
    else:
        vectors = generated_pool(options.rows or 20_000, 384)
    print(f"{len(vectors):,} rows of {vectors.shape[1]}")
    timed("first map of 500 rows, compilation included", lambda: project(vectors[:500]))
    near = timed(f"{K} nearest", lambda: nearest_neighbours(vectors, K))
    xy = timed("map, neighbours included", lambda: project(vectors))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"neighbours kept on the map: {kept(xy, near):.3f}; peak memory {peak} MB")
    rows = np.random.default_rng(0).choice(len(xy), min(3000, len(xy)), replace=False)
    trust = trustworthiness(vectors[rows], xy[rows], n_neighbors=K, metric="cosine")
    print(f"trustworthiness of {len(rows):,} of its rows: {trust:.3f}")


if __name__ == "__main__":
    main()
