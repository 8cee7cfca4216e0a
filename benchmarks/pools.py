"""Generated pools for the benchmarks: embeddings in clusters with heavy duplicates, and scores."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCK = 65_536
# Noise of a row, as a share of its centre's length: two rows of a cluster with noise a and b have
# a similarity of about 1 / sqrt((1 + a**2) (1 + b**2)).
SPREADS = np.array([0.3, 0.6, 0.9, 1.2], np.float32)


def generated_pool(rows: int, dimension: int, seed: int = 0) -> NDArray[np.float32]:
    """(rows, dimension) float32, about as dense as instruction data in MiniLM space: some 40 pairs
    a row above similarity 0.5 at 52,000 rows, 100 at 300,000.

    3 sqrt(rows) centres, normally distributed, of unequal weight (log-normal, 0.7); a row is a
    centre plus normal noise of 0.3, 0.6, 0.9 or 1.2 times its length. Then a tenth of the rows
    become exact copies of others, a tenth near copies (noise 0.02), and a hundredth copies of one
    single row.
    """
    rng = np.random.default_rng(seed)
    centres = rng.standard_normal((max(1, round(3 * rows**0.5)), dimension), np.float32)
    weight = rng.lognormal(0.0, 0.7, len(centres))
    centre = rng.choice(len(centres), rows, p=weight / weight.sum())
    pool = np.empty((rows, dimension), np.float32)
    for start in range(0, rows, BLOCK):
        part = slice(start, min(start + BLOCK, rows))
        size = part.stop - part.start
        noise = rng.standard_normal((size, dimension), np.float32)
        pool[part] = centres[centre[part]] + rng.choice(SPREADS, (size, 1)) * noise
    _copy_rows(pool, rng, rows // 10, 0.0)
    _copy_rows(pool, rng, rows // 10, 0.02)
    pool[rng.integers(0, rows, rows // 100)] = pool[0]
    return pool


def generated_scores(rows: int, seed: int = 0) -> NDArray[np.float64]:
    """(rows,) float64: complexity x quality as scorers give them, 1 to 36, with ties."""
    rng = np.random.default_rng(seed + 1)
    complexity = np.round(np.clip(rng.normal(3.0, 0.8, rows), 1, 6), 1)
    quality = np.round(np.clip(rng.normal(4.0, 0.7, rows), 1, 6), 1)
    scores: NDArray[np.float64] = complexity * quality
    return scores


def _copy_rows(
    pool: NDArray[np.float32], rng: np.random.Generator, count: int, noise: float
) -> None:
    """Replaces `count` random rows by others, with noise."""
    for start in range(0, count, BLOCK):
        size = min(BLOCK, count - start)
        copies = pool[rng.integers(0, len(pool), size)]
        if noise:
            copies += np.float32(noise) * rng.standard_normal(copies.shape, np.float32)
        pool[rng.integers(0, len(pool), size)] = copies
