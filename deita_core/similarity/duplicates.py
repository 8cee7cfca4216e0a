"""Groups of near-duplicates of which one row is kept, by meaning or by wording.

A group is a star: the row that is kept, and rows that are each closer to it than the threshold.
Rows are visited best first; one joins the closest row kept before it, or else is kept itself. So
whoever keeps the first of each group and drops the rest has dropped no row without a likeness of
it among the kept ones. Chains (A like B, B like C: `neighbours.near_duplicate_groups`) make fewer
and larger groups, in which rows may have nothing in common with the one that is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final, Literal

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.similarity.graph import SimilarityGraph
from deita_core.similarity.words import Vocabulary, runs, words

By = Literal["meaning", "text"]

# A pair with this much in common is found with a chance of 99 % (1 - (1 - 0.7**5)**25), one with
# 0.8 with 99.99 %: below it, too many would be missed in silence.
LEAST_OVERLAP: Final = 0.7
_BANDS, _BAND = 25, 5
SHINGLE: Final = 3


@dataclass(frozen=True, slots=True, eq=False)
class DuplicateGroups:
    """Near-duplicates among n rows.

    keeper: (n,) int32, the row kept in place of each; itself for a row that is kept, -1 for one
    that was left out. similarity: (n,) float64, to that row; 1.0 to itself, NaN where left out.
    """

    keeper: NDArray[np.int32]
    similarity: NDArray[np.float64]

    @property
    def dropped(self) -> NDArray[np.int64]:
        """The rows that another one stands for, ascending."""
        places = np.arange(len(self.keeper))
        return np.flatnonzero((self.keeper >= 0) & (self.keeper != places))

    def groups(self) -> list[NDArray[np.int64]]:
        """Each group of two rows or more: the kept row, then the others, closest first.

        The largest group comes first; ties by row, here and there.
        """
        dropped = self.dropped
        order = np.lexsort((dropped, -self.similarity[dropped], self.keeper[dropped]))
        dropped = dropped[order]
        kept, start = np.unique(self.keeper[dropped], return_index=True)
        parts = np.split(dropped, start[1:]) if len(kept) else []
        found = [
            np.concatenate([[row], part]) for row, part in zip(kept.tolist(), parts, strict=True)
        ]
        return sorted(found, key=lambda group: (-len(group), int(group[0])))

    def within(self, inside: NDArray[np.bool_]) -> DuplicateGroups:
        """Only the rows inside of (n,) bool; those whose kept row is outside stand alone."""
        keeper, similarity = self.keeper.copy(), self.similarity.copy()
        rows = np.flatnonzero(inside & (keeper >= 0))
        orphans = rows[~inside[keeper[rows]]]
        keeper[orphans], similarity[orphans] = orphans, 1.0
        keeper[~inside], similarity[~inside] = -1, np.nan
        return DuplicateGroups(keeper, similarity)

    def keeping(self, row: int) -> DuplicateGroups:
        """The same with this row kept of its group, instead of the one that was.

        How similar the others of the group are to it is not known: NaN, but for the one before.
        """
        keeper, similarity = self.keeper.copy(), self.similarity.copy()
        before = int(keeper[row])
        own = np.flatnonzero(keeper == before) if before >= 0 else np.array([row])
        keeper[own], similarity[own] = row, np.nan
        similarity[before], similarity[row] = self.similarity[row], 1.0
        return DuplicateGroups(keeper, similarity)


def groups_by_meaning(
    graph: SimilarityGraph, rows: NDArray[np.integer], order: NDArray[np.integer], threshold: float
) -> DuplicateGroups:
    """Groups of the rows whose vectors are more similar than the threshold; exact.

    rows: (m,), the row of each place of the graph. order: the rows to look at, best first; others
    are left out. Rows with the same vector count as one, visited when the first of them is.
    Raises SelectionError for a threshold below the graph's floor, or above 1.
    """
    _check_threshold(threshold)
    if not graph.serves(threshold):
        raise SelectionError(
            f"the similarity graph holds pairs above {graph.floor:.2f}, so it cannot group rows at "
            f"{threshold:.2f}: choose a higher threshold"
        )
    from deita_core.similarity.graph_kernel import stars

    order = np.asarray(order, np.int64)
    found = _alone(int(max(rows.max(initial=-1), order.max(initial=-1))) + 1, order)
    place = np.full(len(found.keeper), -1, np.int64)
    place[rows] = np.arange(len(rows))
    visited = order[place[order] >= 0]
    group = np.asarray(graph.group)[place[visited]]
    visited, group = visited[group >= 0], group[group >= 0]
    distinct, first = np.unique(group, return_index=True)
    by_order = distinct[np.argsort(first)].astype(np.int64)
    centre, similarity = stars(graph.edges(), by_order, threshold)
    leader = np.full(graph.groups, -1, np.int64)
    leader[distinct] = visited[first]
    found.keeper[visited] = leader[centre[group]]
    found.similarity[visited] = similarity[group]
    if threshold >= 1.0:  # not even a copy is more similar than that
        return _alone(len(found.keeper), order)
    return found


def groups_by_text(
    texts: Iterable[str],
    rows: NDArray[np.integer],
    size: int,
    threshold: float,
    progress: Callable[[int], None] = lambda done: None,
) -> DuplicateGroups:
    """Groups of rows that share more than `threshold` of their runs of three words.

    texts: of the rows to look at, best first. rows: (k,) their numbers. size: n of the result.
    How much two texts share is the Jaccard index of their sets of runs, computed exactly (of
    32-bit hashes); candidates come from MinHash with LSH (Broder 1997; package datasketch), which
    miss a pair above `LEAST_OVERLAP` in at most one case of a hundred. Texts without any word are
    compared with nobody. Memory: 4 bytes a word. Raises SelectionError for a threshold out of
    range.
    """
    _check_threshold(threshold)
    if threshold < LEAST_OVERLAP:
        raise SelectionError(
            f"by text, near-duplicates are found from {LEAST_OVERLAP:g} on, got {threshold:g}: "
            "choose a higher threshold"
        )
    found = _alone(size, rows)
    kept = _KeptTexts(threshold)
    for done, (row, shingles) in enumerate(zip(rows.tolist(), _shingled(texts), strict=True), 1):
        if len(shingles):
            keeper, overlap = kept.place(row, shingles)
            found.keeper[row], found.similarity[row] = keeper, overlap
        if done % 500 == 0:
            progress(done)
    return found


def overlap(first: NDArray[np.uint32], second: NDArray[np.uint32]) -> float:
    """Jaccard index of two sets, given ascending and without repetition."""
    common = len(np.intersect1d(first, second, assume_unique=True))
    return common / (len(first) + len(second) - common)


class _KeptTexts:
    """The kept texts so far, found again by what they share."""

    def __init__(self, threshold: float) -> None:
        from datasketch import MinHash, MinHashLSH

        self._threshold = threshold
        self._empty = MinHash(num_perm=_BANDS * _BAND, hashfunc=int)
        self._index = MinHashLSH(num_perm=_BANDS * _BAND, params=(_BANDS, _BAND))
        self._shingles: dict[int, NDArray[np.uint32]] = {}
        self._visit: dict[int, int] = {}

    def place(self, row: int, shingles: NDArray[np.uint32]) -> tuple[int, float]:
        """The row that stands for this one, and how much they share; it is kept if none does."""
        sketch = self._empty.copy()
        sketch.update_batch(shingles)
        best, most = row, 0.0
        # The first kept of equally close ones.
        for other in sorted(self._index.query(sketch), key=self._visit.__getitem__):
            shared = overlap(shingles, self._shingles[other])
            if shared > most:
                best, most = other, shared
        if most > self._threshold:
            return best, most
        self._index.insert(row, sketch, check_duplication=False)
        self._shingles[row] = shingles
        self._visit[row] = len(self._visit)
        return row, 1.0


def _shingled(texts: Iterable[str]) -> Iterator[NDArray[np.uint32]]:
    """The set of runs of three words of each text (of all words, where it has fewer), ascending."""
    vocabulary = Vocabulary()
    for text in texts:
        numbers = vocabulary.learn(words(text))
        length = min(SHINGLE, len(numbers))
        hashes = runs(numbers, length) if length else np.empty(0, np.uint64)
        yield np.unique((hashes >> np.uint64(32)).astype(np.uint32))


def _alone(size: int, rows: NDArray[np.integer]) -> DuplicateGroups:
    keeper, similarity = np.full(size, -1, np.int32), np.full(size, np.nan)
    keeper[rows], similarity[rows] = rows, 1.0
    return DuplicateGroups(keeper, similarity)


def _check_threshold(threshold: float) -> None:
    if not 0.0 <= threshold <= 1.0:
        raise SelectionError(f"a threshold of near-duplicates is from 0 to 1, got {threshold:g}")
