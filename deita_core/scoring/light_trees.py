"""Boosted regression trees, evaluated with NumPy alone.

All trees lie one after another in flat arrays. Node i sends a row left when its column
`feature[i]` is at most `threshold[i]`, and right otherwise; its children stand at `left[i]` and
`left[i] + 1`. A leaf is its own left child and has `feature` -1.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_core.scoring.light_features import F32

BLOCK = 128  # rows walked at a time: what they touch stays in the cache


@dataclass(frozen=True, slots=True)
class Trees:
    """A sum of regression trees.

    feature, left: (nodes,) int64. threshold, value: (nodes,) float32; 0 where they say nothing.
    roots: (trees,) int64.
    """

    feature: NDArray[np.int64]
    threshold: F32
    left: NDArray[np.int64]
    value: F32
    roots: NDArray[np.int64]

    @staticmethod
    def from_nodes(feature: NDArray[Any], number: F32, lengths: NDArray[Any]) -> Trees:
        """From one (feature, number) per node, each tree breadth first from its root.

        feature: the column asked at a node, -1 for a leaf. number: the threshold there, or the
        value of the leaf. lengths: nodes of each tree. The order alone says who is whose child:
        in one tree, the k-th node that asks (from 0) has its children at 2k + 1 and 2k + 2.
        """
        feature = np.asarray(feature, np.int64)
        sizes = np.asarray(lengths, np.int64)
        roots = np.cumsum(sizes) - sizes
        root_of = np.repeat(roots, sizes)
        asks = feature >= 0
        before: NDArray[np.int64] = (
            np.cumsum(asks) - asks
        )  # nodes that ask before this one, over all trees
        left = root_of + 2 * (before - before[root_of]) + 1
        left = np.where(asks, left, np.arange(len(feature)))
        values = np.asarray(number, np.float32)
        return Trees(
            feature,
            np.where(asks, values, 0).astype(np.float32),
            left,
            np.where(asks, 0, values).astype(np.float32),
            roots,
        )

    def __call__(self, values: F32) -> F32:
        """(n, d) -> (n,) float32: the sum of the leaves that each row falls into."""
        parts = [self._block(values[i : i + BLOCK]) for i in range(0, len(values), BLOCK)]
        return np.concatenate(parts) if parts else np.zeros(0, np.float32)

    def _block(self, values: F32) -> F32:
        rows, columns = values.shape
        flat = np.ascontiguousarray(values).ravel()
        at = np.tile(self.roots, rows)
        offset = np.repeat(np.arange(rows) * columns, len(self.roots))
        walking = np.flatnonzero(self.feature.take(at) >= 0)  # those not yet in a leaf
        while len(walking):
            node = at[walking]
            asked = flat.take(self.feature.take(node) + offset[walking])
            node = self.left.take(node) + (asked > self.threshold.take(node))
            at[walking] = node
            walking = walking[self.feature.take(node) >= 0]
        return np.asarray(self.value.take(at).reshape(rows, -1).sum(axis=1), np.float32)
