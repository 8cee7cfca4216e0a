"""The loops of the heads, compiled: import it late, for it loads numba.

A score must depend on its turn alone. BLAS picks another kernel, and another order of adding up,
for another number of rows, threads or processor; these loops take row after row, each in one
written order. Without `fastmath` the compiler may neither reorder a sum nor fuse its products.
"""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray

F32 = NDArray[np.float32]


@numba.njit(nogil=True, cache=True)
def product(values: F32, weights: F32) -> F32:
    """(n, d) @ (d, k) -> (n, k) float32: each sum runs over d from first to last."""
    out = np.zeros((len(values), weights.shape[1]), np.float32)
    for row in range(len(values)):
        sums = out[row]
        for inner in range(len(weights)):
            value, line = values[row, inner], weights[inner]
            for column in range(len(line)):
                sums[column] += value * line[column]
    return out


@numba.njit(nogil=True, cache=True)
def leaf_sums(
    values: F32,
    feature: NDArray[np.int32],
    number: F32,
    left: NDArray[np.int32],
    roots: NDArray[np.int32],
) -> F32:
    """(n,) float32: the sum of the leaves of `heads.Trees` that each row of (n, d) values falls
    into, added up in float64, in the order of `roots`."""
    out = np.empty(len(values), np.float32)
    for row in range(len(values)):
        line, total = values[row], 0.0
        for root in roots:
            node = root
            while feature[node] >= 0:
                node = left[node] + (line[feature[node]] > number[node])
            total += number[node]
        out[row] = total
    return out
