"""The pairs found while a graph is built, and their way into sorted lists."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from math import floor as whole

import numpy as np
from numpy.typing import NDArray

from deita_core.device import cpu_threads

Int32s = NDArray[np.int32]
Lists = tuple[NDArray[np.int64], Int32s, NDArray[np.float64]]


def floors_from(floor: float) -> Iterator[float]:
    """`floor`, then every hundredth above it, up to 1."""
    yield floor
    for hundredth in range(whole(floor * 100 + 1e-9) + 1, 101):
        yield hundredth / 100


class Edges:
    """Pairs above a floor that rises as far as a budget of pairs needs.

    floor: the present one. pairs: how many are kept. Pairs come in order of the upper triangle.
    """

    def __init__(self, floor: float, most_pairs: int) -> None:
        self.floor = floor
        self.pairs = 0
        self._most = most_pairs
        self._chunks: list[tuple[Int32s, Int32s, NDArray[np.float64]]] = []

    def add(self, one: Int32s, other: Int32s, similarity: NDArray[np.float64]) -> None:
        """Keeps those of the pairs that are above the floor."""
        # They may have been looked for when the floor was lower.
        chunk = _above(self.floor, (one, other, similarity))
        if len(chunk[0]):
            self._chunks.append(chunk)
            self.pairs += len(chunk[0])
        if self.pairs > self._most:
            self.raise_floor(self._floor_that_fits())

    def raise_floor(self, floor: float) -> None:
        """Drops what is not above the new floor."""
        if floor > self.floor:
            self.floor = floor
            self._chunks = [_above(floor, chunk) for chunk in self._chunks]
            self.pairs = sum(len(one) for one, _, _ in self._chunks)

    def _floor_that_fits(self) -> float:
        grid = np.array(list(floors_from(self.floor)))
        counts = np.zeros(len(grid) + 1, np.int64)
        for _, _, similarity in self._chunks:
            # searchsorted gives the number of floors that the similarity is above.
            counts += np.bincount(np.searchsorted(grid, similarity), minlength=len(counts))
        above = counts[::-1].cumsum()[::-1][1:]
        return float(grid[np.argmax(above <= self._most)])

    def as_lists(self, groups: int) -> Lists:
        """The edges of each group, both ways, most similar first, ties by group: start
        (groups + 1,), neighbour (e,), similarity (e,). Empties this object.
        """
        from deita_core.geometry.graph_kernel import place_pairs, sort_edges

        degree = np.zeros(groups + 1, np.int64)
        for one, other, _ in self._chunks:
            degree[1:] += np.bincount(one, minlength=groups)
            degree[1:] += np.bincount(other, minlength=groups)
        start = degree.cumsum()
        neighbour = np.empty(start[-1], np.int32)
        similarity = np.empty(start[-1], np.float64)
        free = start[:-1].copy()
        self._chunks.reverse()
        while self._chunks:
            place_pairs(*self._chunks.pop(), free, neighbour, similarity)
        shares = np.searchsorted(start, np.linspace(0, start[-1], 8 * cpu_threads() + 1))
        shares[0], shares[-1] = 0, groups
        with ThreadPoolExecutor(cpu_threads()) as pool:
            list(
                pool.map(
                    lambda ends: sort_edges(start, neighbour, similarity, *ends),
                    pairwise(shares.tolist()),
                )
            )
        return start, neighbour, similarity


def _above(
    floor: float, chunk: tuple[Int32s, Int32s, NDArray[np.float64]]
) -> tuple[Int32s, Int32s, NDArray[np.float64]]:
    one, other, similarity = chunk
    over = similarity > floor
    return chunk if over.all() else (one[over], other[over], similarity[over])
