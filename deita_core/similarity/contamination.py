"""Rows of a pool that hold a benchmark's own texts, or lie very close to them.

By wording: a row that shares a run of 13 words with a text of the benchmark, the rule of GPT-3's
authors (Brown et al., arXiv 2005.14165, appendix C, where N is at most 13). A shorter text is
looked for as a whole, down to 8 words, the least N there. What is shorter still would be found in
rows that have nothing to do with it; such texts are counted and not looked for.

By meaning: a row whose vector is more similar to that of a benchmark text than a threshold.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.similarity.definition import DECIMALS, as_embeddings, unit_rows, usable_rows
from deita_core.similarity.words import Vocabulary, runs, words

RUN: Final = 13
SHORTEST: Final = 8
_BLOCK = 4096


@dataclass(frozen=True, slots=True)
class SharedWords:
    """A row and a text of the benchmark that share at least one run of words.

    item: its number. share: of the text's words, how many stand in a shared run, above 0 to 1.
    longest: the longest stretch that they share, as words with blanks between them.
    """

    row: int
    item: int
    share: float
    longest: str


class BenchmarkRuns:
    """The runs of words of a benchmark's texts, to be looked for in rows.

    run: words in a row that make a run; a shorter text is one run as a whole.
    short: numbers of the texts with too few words to be looked for.
    Raises SelectionError for a run below `SHORTEST`.
    """

    def __init__(self, texts: Sequence[str], run: int = RUN) -> None:
        if run < SHORTEST:
            raise SelectionError(
                f"a run has at least {SHORTEST} words, got {run}: shorter ones are in too many rows"
            )
        self._vocabulary = Vocabulary()
        self._spelling = [words(text) for text in texts]
        self._words = [self._vocabulary.learn(spelled) for spelled in self._spelling]
        self._length = [min(run, len(numbers)) for numbers in self._words]
        self.short = [item for item, length in enumerate(self._length) if length < SHORTEST]
        by_length: defaultdict[int, list[tuple[int, NDArray[np.uint64]]]] = defaultdict(list)
        for item, (numbers, length) in enumerate(zip(self._words, self._length, strict=True)):
            if length >= SHORTEST:
                by_length[length].append((item, runs(numbers, length)))
        self._tables = [_Table.of(length, found) for length, found in sorted(by_length.items())]

    def shared(self, rows: Sequence[int], texts: Iterable[Sequence[str]]) -> list[SharedWords]:
        """What the rows share with the benchmark, by row and text.

        texts: the messages of each row; no run goes over the end of one. Hand over some thousand
        rows at once: each call has a cost of its own.
        """
        numbers: list[int] = []
        ends: list[int] = []
        for messages in texts:
            for message in messages:
                numbers += self._vocabulary.known(words(message))
                numbers.append(-1)
            ends.append(len(numbers))
        given = np.array(numbers, np.int64)
        unknown = np.concatenate([[0], np.cumsum(given < 0)])
        matches = [table.matches(given, unknown) for table in self._tables]
        found: defaultdict[tuple[int, int], set[int]] = defaultdict(set)
        for table, (starts, items, offsets) in zip(self._tables, matches, strict=True):
            row_of = np.searchsorted(ends, starts, side="right")
            for row, item, offset, start in zip(
                row_of.tolist(), items.tolist(), offsets.tolist(), starts.tolist(), strict=True
            ):
                length = table.length
                same = given[start : start + length] == self._words[item][offset : offset + length]
                if same.all():  # not only the hash
                    found[row, item].add(offset)
        return [
            self._told(rows[row], item, sorted(offsets))
            for (row, item), offsets in sorted(found.items())
        ]

    def _told(self, row: int, item: int, offsets: list[int]) -> SharedWords:
        """offsets: where the shared runs begin in the text, ascending."""
        length, total = self._length[item], len(self._words[item])
        covered, begin, longest = 0, offsets[0], (0, 0)
        for this, following in zip(offsets, [*offsets[1:], total + 1], strict=True):
            end = this + length
            if following > this + 1:  # the stretch of runs ends here
                longest = max(longest, (end - begin, -begin))
                begin = following
            covered += min(following, end) - this
        start = -longest[1]
        text = " ".join(self._spelling[item][start : start + longest[0]])
        return SharedWords(row, item, covered / total, text)


@dataclass(frozen=True, slots=True, eq=False)
class _Table:
    """Runs of one length: hashes (r,) ascending, the text of each and where in it it begins."""

    length: int
    hashes: NDArray[np.uint64]
    item: NDArray[np.int64]
    offset: NDArray[np.int64]

    @staticmethod
    def of(length: int, found: list[tuple[int, NDArray[np.uint64]]]) -> _Table:
        hashes = np.concatenate([one for _, one in found])
        item = np.repeat([item for item, _ in found], [len(one) for _, one in found])
        offset = np.concatenate([np.arange(len(one)) for _, one in found])
        order = np.argsort(hashes, kind="stable")
        return _Table(length, hashes[order], item[order], offset[order])

    def matches(
        self, given: NDArray[np.int64], unknown: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Where in `given` a run of ours begins, with its text and place there: three (k,).

        given: numbers of words, -1 for one that the benchmark does not have. unknown: how many of
        these there are before each place.
        """
        length = self.length
        starts = np.flatnonzero(unknown[length:] == unknown[:-length])
        if not len(starts):
            return starts, starts, starts
        hashes = runs(given, length)[starts]
        left = np.searchsorted(self.hashes, hashes, side="left")
        count = np.searchsorted(self.hashes, hashes, side="right") - left
        # The same run can stand in several texts: one match for each.
        place = np.repeat(left - np.concatenate([[0], np.cumsum(count)[:-1]]), count)
        place += np.arange(len(place))
        return np.repeat(starts, count), self.item[place], self.offset[place]


@dataclass(frozen=True, slots=True, eq=False)
class ClosePairs:
    """Rows and benchmark texts that are close: row (k,) int64, item (k,) int64, similarity (k,)."""

    row: NDArray[np.int64]
    item: NDArray[np.int64]
    similarity: NDArray[np.float64]


def close_pairs(
    vectors: NDArray[np.floating],
    rows: NDArray[np.integer],
    item_vectors: NDArray[np.floating],
    threshold: float,
) -> ClosePairs:
    """All pairs with a similarity (see `similarity.definition`) above the threshold, by row.

    vectors: (m, d), of `rows` (m,). item_vectors: (b, d); a text without a direction is close to
    none. Raises SelectionError for a threshold outside of -1 to 1 or another width.
    """
    if not -1.0 <= threshold <= 1.0:
        raise SelectionError(f"a threshold is a cosine from -1 to 1, got {threshold:g}")
    vectors, item_vectors = as_embeddings(vectors), as_embeddings(item_vectors)
    if vectors.shape[1] != item_vectors.shape[1]:
        raise SelectionError(
            f"the benchmark's vectors are {item_vectors.shape[1]} wide and the pool's "
            f"{vectors.shape[1]}: embed both with the same embedder"
        )
    items = np.flatnonzero(usable_rows(item_vectors))
    usable = np.flatnonzero(usable_rows(vectors))
    units = unit_rows(item_vectors, items)
    parts: list[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]] = []
    for start in range(0, len(usable), _BLOCK):
        block = usable[start : start + _BLOCK]
        similarity = np.round(unit_rows(vectors, block) @ units.T, DECIMALS)
        place, item = np.nonzero(similarity > threshold)
        numbers = np.asarray(rows)[block[place]].astype(np.int64)
        parts.append((numbers, items[item], similarity[place, item]))
    return ClosePairs(
        np.concatenate([np.empty(0, np.int64), *(row for row, _, _ in parts)]),
        np.concatenate([np.empty(0, np.int64), *(item for _, item, _ in parts)]),
        np.concatenate([np.empty(0), *(near for _, _, near in parts)]),
    )
