"""The columns of a pool: what selection, charts and the map compute on.

Position i of every column is row i of the project (rows are dense and never renumbered).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any, Final, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.similarity.definition import as_embeddings, usable_rows
from deita_core.similarity.graph import SimilarityGraph

BudgetUnit = Literal["rows", "tokens"]
Value = TypeVar("Value")

_BY_ROW: Final = (
    "tokens",
    "source",
    "language",
    "flags",
    "ids",
    "characters",
    "instruction_characters",
    "response_characters",
    "has_vector",
    "truncated",
    "cluster",
    "admitted",
    "closeness",
)


class Memo:
    """The values asked for last, by key; the oldest give way. Threads may share it."""

    def __init__(self, most: int = 24) -> None:
        self._most = most
        self._values: OrderedDict[Hashable, object] = OrderedDict()
        self._lock = threading.Lock()

    def get(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """The value kept for the key, or what `make` gives, which is kept from now on."""
        with self._lock:
            if key in self._values:
                self._values.move_to_end(key)
                return self._values[key]  # type: ignore[return-value]
        value = make()  # outside the lock: two threads may both make it, which only costs time
        with self._lock:
            self._values[key] = value
            while len(self._values) > self._most:
                self._values.popitem(last=False)
        return value


@dataclass(frozen=True, eq=False)
class PoolTable:
    """A pool of n rows with t turns, of which m have an embedding.

    turns, tokens: (n,) int. source, language: (n,) codes into `source_names`, `language_names`.
    flags: (n,) int64, bit i set for `flag_names[i]`.
    turn_row: (t,) ascending, row of each turn, turns in their order. turn_complexity,
    turn_quality: (t,) float, 1 to 6, NaN where there is no score.
    ids: (n,), the conversations' ids. characters, instruction_characters, response_characters:
    (n,) int32, summed over the turns. has_vector, truncated: (n,) bool, whether a row was
    embedded, and whether the embedder read only its beginning. xy: (n, 2) float32, NaN where a
    row is not on the map. None: not known.

    What `with_vectors` attaches: vectors: (m, d) floats, of any length. vector_rows: (m,) int64,
    their rows, ascending. graph: the similarity graph of `vectors`. cluster: (n,) int32, -1 for
    none. admitted: (n,) bool, rows let through by something outside a rule (a lasso, a query);
    None: all of them. closeness: (n,) float64, NaN without a vector, the similarity to the most
    similar of the texts `closeness_to`; None: not known. tags: (n, k) bool, which of the k
    `tag_names` a row has; None: not known.
    """

    turns: NDArray[np.integer]
    tokens: NDArray[np.integer]
    source: NDArray[np.integer]
    source_names: tuple[str, ...]
    language: NDArray[np.integer]
    language_names: tuple[str, ...]
    flags: NDArray[np.int64]
    flag_names: tuple[str, ...]
    turn_row: NDArray[np.integer]
    turn_complexity: NDArray[np.floating]
    turn_quality: NDArray[np.floating]
    ids: NDArray[np.bytes_] | NDArray[np.str_] | None = None
    characters: NDArray[np.int32] | None = None
    instruction_characters: NDArray[np.int32] | None = None
    response_characters: NDArray[np.int32] | None = None
    has_vector: NDArray[np.bool_] | None = None
    truncated: NDArray[np.bool_] | None = None
    xy: NDArray[np.float32] | None = None
    vectors: NDArray[np.floating] = field(default_factory=lambda: np.empty((0, 0), np.float32))
    vector_rows: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    graph: SimilarityGraph | None = None
    cluster: NDArray[np.int32] | None = None
    admitted: NDArray[np.bool_] | None = None
    closeness: NDArray[np.float64] | None = None
    closeness_to: tuple[str, ...] = ()
    tags: NDArray[np.bool_] | None = None
    tag_names: tuple[str, ...] = ()
    _memo: Memo = field(default_factory=Memo, init=False, repr=False)

    def __post_init__(self) -> None:
        rows = len(self)
        for name in _BY_ROW:
            column = getattr(self, name)
            if column is not None and column.shape != (rows,):
                raise SelectionError(f"{name} must be ({rows},) like turns, got {column.shape}")
        if self.tags is not None and self.tags.shape != (rows, len(self.tag_names)):
            raise SelectionError(
                f"tags must be ({rows}, {len(self.tag_names)}), a column for each of tag_names, "
                f"got {self.tags.shape}"
            )
        vectors, numbers = as_embeddings(self.vectors), self.vector_rows
        object.__setattr__(self, "vectors", vectors)
        if numbers.shape != (len(vectors),):
            raise SelectionError(
                f"vector_rows must be ({len(vectors)},), one row number for each vector, "
                f"got {numbers.shape}"
            )
        ascending = (np.diff(numbers) > 0).all()
        if len(numbers) and not (0 <= numbers[0] <= numbers[-1] < rows and ascending):
            raise SelectionError(f"vector_rows must ascend from 0 to {rows - 1} at most")
        if self.graph is not None and len(self.graph) != len(vectors):
            raise SelectionError(
                f"the similarity graph is of {len(self.graph)} vectors, but there are "
                f"{len(vectors)}: make the graph again"
            )

    def __len__(self) -> int:
        return len(self.turns)

    def with_vectors(
        self,
        vectors: NDArray[np.floating],
        rows: NDArray[np.integer],
        *,
        graph: SimilarityGraph | None = None,
        cluster: NDArray[np.int32] | None = None,
    ) -> PoolTable:
        """The same rows with embeddings; SelectionError when the shapes do not fit."""
        numbers = rows.astype(np.int64, copy=False)
        return replace(self, vectors=vectors, vector_rows=numbers, graph=graph, cluster=cluster)

    @staticmethod
    def of_scores(
        complexity: NDArray[np.floating],
        quality: NDArray[np.floating],
        vectors: NDArray[np.floating],
        graph: SimilarityGraph | None = None,
    ) -> PoolTable:
        """The table from arrays alone: n rows of one turn each, all with a vector."""
        rows = len(complexity)
        zeros = np.zeros(rows, np.int16)
        return PoolTable(
            turns=np.ones(rows, np.int32),
            tokens=np.zeros(rows, np.int32),
            source=zeros,
            source_names=("pool",),
            language=zeros,
            language_names=("unknown",),
            flags=np.zeros(rows, np.int64),
            flag_names=(),
            turn_row=np.arange(rows),
            turn_complexity=complexity,
            turn_quality=quality,
            vectors=vectors,
            vector_rows=np.arange(rows),
            graph=graph,
        )

    @cached_property
    def place(self) -> NDArray[np.int64]:
        """Where a row's vector is in `vectors`: (n,) int64, -1 when it has none of any use."""
        place = np.full(len(self), -1, np.int64)
        usable = np.flatnonzero(usable_rows(self.vectors))
        place[self.vector_rows[usable]] = usable
        return place

    def has_flag(self, *names: str) -> NDArray[np.bool_]:
        """Rows with at least one of these flags: (n,) bool; unknown flags are on no row."""
        mask = sum(1 << i for i, name in enumerate(self.flag_names) if name in names)
        carried: NDArray[np.bool_] = (self.flags & np.int64(mask)) != 0
        return carried

    def cost(self, unit: BudgetUnit) -> NDArray[np.int64]:
        """What each row takes of a budget in this unit, "rows" or "tokens": (n,) int64."""
        if unit == "tokens":
            return self.tokens.astype(np.int64)
        return np.ones(len(self), np.int64)

    def rows_of(self, ids: tuple[str, ...]) -> NDArray[np.int64]:
        """The row of each id: (k,) int64, -1 for one that is not in the pool."""
        if not ids:
            return np.empty(0, np.int64)
        known = self.ids
        if known is None:
            raise SelectionError("pins and exclusions are ids, but this pool came without its ids")
        if not len(known):
            return np.full(len(ids), -1, np.int64)
        by_id = self.remember("by id", lambda: np.argsort(known, kind="stable"))
        is_bytes = known.dtype.kind == "S"
        asked: NDArray[Any] = np.array([i.encode() for i in ids] if is_bytes else ids)
        place = np.searchsorted(known, asked, sorter=by_id).clip(max=len(known) - 1)
        rows: NDArray[np.int64] = by_id[place]
        return np.where(known[rows] == asked, rows, -1)

    def remember(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """What `make` gives, kept with the table; the values must not be changed."""
        return self._memo.get(key, make)
