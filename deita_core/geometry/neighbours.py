"""Exact nearest neighbours by cosine similarity.

A fast matrix product screens every pair: in bfloat16 where the CPU multiplies it natively, else
in float32. The best few of each row are then compared again in float64. The answer is exact,
not likely: rounding moves a screened similarity by no more than `_Screen.slack`, so when even
that cannot lift the best row left out above the k-th found, no row was missed. The rows for
which this proof fails (rarely more than a few in a thousand) are searched again in float64
throughout. Identical rows are searched once and handed their copies afterwards, so that
thousands of copies neither crowd out the screen nor break the proof.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deita_core.device import pick_device
from deita_core.errors import SelectionError
from deita_core.geometry.copies import Copies, find_copies, with_copies

Progress = Callable[[int, int], None]
# Similarities held at once: 128 MB of bfloat16, or of float64 in the second search.
SCREEN_CELLS = 1 << 26
PRECISE_CELLS = 1 << 24
# Rows of the comparison in float64 whose candidates fit the L2 cache together.
RERANK_ROWS = 16
# Half the distance between neighbouring float32 numbers just below 1.
FLOAT32_ROUNDING = 2.0**-25


@dataclass(frozen=True, slots=True, eq=False)
class Neighbours:
    """The k nearest rows of each row, nearest first, ties by index, never the row itself.

    indices: (n, k) int32. similarities: (n, k) float32, cosine in [-1, 1].
    """

    indices: NDArray[np.int32]
    similarities: NDArray[np.float32]


def nearest_neighbours(
    vectors: NDArray[np.float32], k: int, *, progress: Progress | None = None
) -> Neighbours:
    """The `k` nearest other rows of each row of `vectors`, exactly.

    vectors: (n, d) float32, not necessarily normalised. A similarity is the float64 product of
    the rows normalised in float32, rounded to float32. progress: called with rows done and
    rows in all. Memory: a block of 128 MB, and two copies of `vectors`.

    Raises SelectionError unless `vectors` is (n, d), finite and without zero rows, and
    1 <= k < n.
    """
    unit = normalised(vectors)
    if not 1 <= k < len(unit):
        raise SelectionError(
            f"k must be between 1 and the number of other rows, {len(unit) - 1}, got {k}"
        )
    copies = find_copies(unit)
    distinct = unit if copies is None else unit[copies.first]
    found = _search(distinct, min(k, len(distinct) - 1), progress)
    if copies is not None:
        found = _for_all_rows(distinct, found, copies, k)
    return found


def normalised(vectors: NDArray[np.float32]) -> NDArray[np.float32]:
    """(n, d) float32 with rows L2-normalised; SelectionError where that is impossible."""
    vectors = np.asarray(vectors, dtype=np.float32)
    if vectors.ndim != 2 or vectors.shape[1] == 0:
        raise SelectionError(f"embeddings must be (n, d), got {vectors.shape}")
    norms = np.linalg.norm(vectors, axis=1, keepdims=True)
    bad = np.flatnonzero(~(np.isfinite(norms[:, 0]) & (norms[:, 0] > 0)))
    if len(bad):
        raise SelectionError(
            f"embeddings must be finite and not zero: {len(bad)} of {len(vectors)} rows are not, "
            f"the first is row {bad[0]}; leave out rows without an embedding"
        )
    return np.ascontiguousarray(vectors / norms)


def _search(unit: NDArray[np.float32], k: int, progress: Progress | None) -> Neighbours:
    """The search among rows that all differ; k may be 0."""
    n = len(unit)
    indices = np.zeros((n, k), dtype=np.int32)
    similarities = np.zeros((n, k), dtype=np.float32)
    if k == 0:
        return Neighbours(indices, similarities)
    screen = _Screen(unit, k)
    unproven = []
    for start in range(0, n, screen.rows):
        stop = min(start + screen.rows, n)
        rows = np.arange(start, stop)
        candidates, limit = screen.best(start, stop)
        exact = _similarities(unit, rows, candidates)
        indices[start:stop], similarities[start:stop] = _first(candidates, exact, k)
        # Strictly below, with room for the rounding to float32: a tie counts as a miss.
        missed = limit + FLOAT32_ROUNDING >= similarities[start:stop, -1]
        unproven.append(rows[missed])
        if progress is not None:
            progress(stop, n)
    _search_again(unit, np.concatenate(unproven), indices, similarities)
    return Neighbours(indices, similarities)


class _Screen:
    """The fast product of a block of rows with all rows, and what its rounding may hide."""

    def __init__(self, unit: NDArray[np.float32], k: int) -> None:
        import torch

        n, d = unit.shape
        full = torch.from_numpy(unit)
        self._bf16 = pick_device().kind == "cpu" and pick_device().bf16
        self._low = full.to(torch.bfloat16) if self._bf16 else full
        self._count = min(n - 1, k + max(8, k // 2))
        self.rows = max(16, min(1024, SCREEN_CELLS // n))
        shift = _shift(unit, self._low.float().numpy()) if self._bf16 else np.zeros(n)
        # |a'b' - ab| <= |a'||b' - b| + |a' - a||b|, and adding up d products in float32 is off
        # by at most d * 2**-23 for vectors of length one.
        self.slack = 1.01 * (shift + shift.max()) + d * 2.0**-23

    def best(self, start: int, stop: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The candidates of rows `start` to `stop`: (b, c) int64, and (b,) float64, the highest
        similarity that a row which is not among them can have.
        """
        import torch

        scores = torch.mm(self._low[start:stop], self._low.T)  # (B, N)
        scores[torch.arange(stop - start), torch.arange(start, stop)] = -torch.inf
        top, candidates = scores.topk(self._count, dim=1)
        if self._count == len(self._low) - 1:
            return candidates.numpy(), np.full(stop - start, -np.inf)
        lowest = top[:, -1].double().numpy()
        return candidates.numpy(), lowest + self._rounding(lowest) + self.slack[start:stop]

    def _rounding(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Half the distance from each product to the next number of its type (bf16: 8 bits)."""
        _, exponent = np.frexp(scores)
        half: NDArray[np.float64] = np.ldexp(1.0, exponent - (9 if self._bf16 else 25))
        return half


def _shift(unit: NDArray[np.float32], low: NDArray[np.float32]) -> NDArray[np.float64]:
    """How far rounding moved each row: (n,) float64, Euclidean distance."""
    blocks = range(0, len(unit), 8192)
    parts = [np.linalg.norm(low[i : i + 8192] - unit[i : i + 8192], axis=1) for i in blocks]
    return np.concatenate(parts).astype(np.float64)


def _similarities(
    unit: NDArray[np.float32], rows: NDArray[np.int64], candidates: NDArray[np.int64]
) -> NDArray[np.float32]:
    """Similarity of each row with its candidates: (b, c) float32, added up in float64."""
    out = np.empty(candidates.shape, dtype=np.float32)
    for start in range(0, len(rows), RERANK_ROWS):
        part = slice(start, start + RERANK_ROWS)
        near = unit[candidates[part]].astype(np.float64)  # (b, c, d)
        row = unit[rows[part]].astype(np.float64)[:, :, None]  # (b, d, 1)
        out[part] = (near @ row)[:, :, 0]
    return np.clip(out, -1.0, 1.0)


def _first(
    candidates: NDArray[np.int64], similarities: NDArray[np.float32], k: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """The k most similar candidates of each row, ties by index: (b, k) each."""
    order = np.lexsort((candidates, -similarities), axis=1)[:, :k]
    return np.take_along_axis(candidates, order, 1), np.take_along_axis(similarities, order, 1)


def _search_again(
    unit: NDArray[np.float32],
    rows: NDArray[np.int64],
    indices: NDArray[np.int32],
    similarities: NDArray[np.float32],
) -> None:
    """Fills in `rows` of the results from float64 products with every row."""
    n, k = len(unit), indices.shape[1]
    step = max(1, min(256, PRECISE_CELLS // n))
    for start in range(0, len(rows), step):
        block = rows[start : start + step]
        scores = _precise_block(unit, block)
        scores[np.arange(len(block)), block] = -np.inf
        kth = np.partition(scores, n - k, axis=1)[:, n - k]
        for row, row_scores, limit in zip(block, scores, kth, strict=True):
            near = np.flatnonzero(row_scores >= limit)
            order = np.argsort(-row_scores[near], kind="stable")[:k]
            indices[row], similarities[row] = near[order], row_scores[near[order]]


def _precise_block(unit: NDArray[np.float32], rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """(b, n) float32, added up in float64; at most 32,768 columns are widened at a time."""
    block = unit[rows].astype(np.float64)
    scores = np.empty((len(rows), len(unit)), dtype=np.float32)
    for start in range(0, len(unit), 32_768):
        part = slice(start, start + 32_768)
        scores[:, part] = block @ unit[part].astype(np.float64).T
    return np.clip(scores, -1.0, 1.0, out=scores)


def _for_all_rows(
    distinct: NDArray[np.float32], found: Neighbours, copies: Copies, k: int
) -> Neighbours:
    """The neighbours of every row from those of the distinct rows."""
    every = np.arange(len(distinct))
    own = _similarities(distinct, every, every[:, None])
    near = np.concatenate([every[:, None], found.indices], axis=1)
    similarities = np.concatenate([own, found.similarities], axis=1)
    indices, values = with_copies(copies, near, similarities, k)
    return Neighbours(indices, values)
