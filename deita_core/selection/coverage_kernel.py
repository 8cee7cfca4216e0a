"""Selected rows near other rows of the similarity graph, compiled. Import it only where it runs."""

from __future__ import annotations

import numba
import numpy as np
from numpy.typing import NDArray


@numba.njit(nogil=True, cache=True)
def mark_covered(
    kept: NDArray[np.int32],
    level: float,
    start: NDArray[np.int64],
    neighbour: NDArray[np.int32],
    similarity: NDArray[np.float64],
    covered: NDArray[np.bool_],
) -> None:
    """Marks the groups of which a row is kept, and those nearer than `level` to one: (g,)."""
    for own in kept:
        covered[own] = True
        for edge in range(start[own], start[own + 1]):
            if similarity[edge] <= level:
                break
            covered[neighbour[edge]] = True


@numba.njit(nogil=True, cache=True)
def nearest_chosen(
    asked: NDArray[np.int32],
    chosen: NDArray[np.int64],
    own: int,
    start: NDArray[np.int64],
    neighbour: NDArray[np.int32],
    similarity: NDArray[np.float64],
    nearest: NDArray[np.float64],
) -> None:
    """Writes the similarity of each asked group to the nearest chosen row: nearest (k,).

    chosen: (g,) how many rows of each group are chosen. own: as many of its own group do not
    count (1: the row asked for is one of them). NaN where no edge leads to a chosen row.
    """
    for i in range(len(asked)):
        group = asked[i]
        nearest[i] = np.nan
        if chosen[group] > own:
            nearest[i] = 1.0
            continue
        for edge in range(start[group], start[group + 1]):
            if chosen[neighbour[edge]] > 0:
                nearest[i] = similarity[edge]
                break
