"""What a selection is made from: the columns of a pool."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.selection.evol import Memo, Value
from deita_core.similarity.definition import as_embeddings, usable_rows
from deita_core.similarity.graph import SimilarityGraph

_COLUMNS = (
    "tokens",
    "language",
    "source",
    "flags",
    "no_response",
    "admitted",
    "cluster",
    "ids",
    "characters",
    "instruction_characters",
    "response_characters",
)


class PoolColumns(Protocol):
    """The columns of a pool of n rows with t turns; see `SelectionInput` for each."""

    @property
    def turns(self) -> NDArray[np.int32]: ...
    @property
    def tokens(self) -> NDArray[np.int32]: ...
    @property
    def source(self) -> NDArray[np.int16]: ...
    @property
    def source_names(self) -> tuple[str, ...]: ...
    @property
    def language(self) -> NDArray[np.int16]: ...
    @property
    def language_names(self) -> tuple[str, ...]: ...
    @property
    def flags(self) -> NDArray[np.int64]: ...
    @property
    def flag_names(self) -> tuple[str, ...]: ...
    @property
    def turn_row(self) -> NDArray[np.int64]: ...
    @property
    def turn_complexity(self) -> NDArray[np.float32]: ...
    @property
    def turn_quality(self) -> NDArray[np.float32]: ...
    @property
    def ids(self) -> NDArray[np.bytes_]: ...
    @property
    def characters(self) -> NDArray[np.int32]: ...
    @property
    def instruction_characters(self) -> NDArray[np.int32]: ...
    @property
    def response_characters(self) -> NDArray[np.int32]: ...


@dataclass(frozen=True)
class SelectionInput:
    """A pool of n rows with t turns, of which m have an embedding.

    vectors: (m, d) float32, need not be normalised. vector_rows: (m,) ascending row numbers.
    turn_row: (t,), row of each turn, turns in their order. turn_complexity, turn_quality: (t,)
    float, 1 to 6, NaN where not scored. turns, tokens: (n,) int. language, source: (n,) codes
    into their names. flags: (n,) int64, bit i set for `flag_names[i]`.
    no_response: (n,) bool, rows in which no turn has a response.
    admitted: (n,) bool, rows let through by something outside the rule (a lasso, a query); None:
    all of them.
    graph: the similarity graph of `vectors`, its places are their rows. cluster: (n,) int32, -1 for
    none. ids: (n,), the conversations' ids, for pins and exclusions. characters,
    instruction_characters, response_characters: (n,) int32. None: not known.
    """

    vectors: NDArray[np.floating]
    vector_rows: NDArray[np.integer]
    turn_row: NDArray[np.integer]
    turn_complexity: NDArray[np.floating]
    turn_quality: NDArray[np.floating]
    turns: NDArray[np.integer]
    tokens: NDArray[np.integer]
    language: NDArray[np.integer]
    language_names: tuple[str, ...]
    source: NDArray[np.integer]
    source_names: tuple[str, ...]
    flags: NDArray[np.int64]
    flag_names: tuple[str, ...]
    no_response: NDArray[np.bool_]
    admitted: NDArray[np.bool_] | None = None
    graph: SimilarityGraph | None = None
    cluster: NDArray[np.int32] | None = None
    ids: NDArray[np.bytes_] | NDArray[np.str_] | None = None
    characters: NDArray[np.int32] | None = None
    instruction_characters: NDArray[np.int32] | None = None
    response_characters: NDArray[np.int32] | None = None
    place: NDArray[np.int64] = field(init=False, repr=False)
    """(n,) int64: where a row's vector is in `vectors`; -1 when it has none that can be used."""
    _memo: Memo = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        vectors = as_embeddings(self.vectors)
        rows = len(self.turns)
        object.__setattr__(self, "vectors", vectors)
        object.__setattr__(self, "_memo", Memo())
        for name in _COLUMNS:
            column = getattr(self, name)
            if column is not None and column.shape != (rows,):
                raise SelectionError(f"{name} must be ({rows},) like turns, got {column.shape}")
        if self.vector_rows.shape != (len(vectors),):
            raise SelectionError(
                f"vector_rows must be ({len(vectors)},), one row number for each vector, "
                f"got {self.vector_rows.shape}"
            )
        numbers = self.vector_rows.astype(np.int64)
        if len(numbers) and not (0 <= numbers[0] <= numbers[-1] < rows and _ascending(numbers)):
            raise SelectionError(f"vector_rows must ascend from 0 to {rows - 1} at most")
        if self.graph is not None and len(self.graph) != len(vectors):
            raise SelectionError(
                f"the similarity graph is of {len(self.graph)} vectors, but there are "
                f"{len(vectors)}: make the graph again"
            )
        usable = np.flatnonzero(usable_rows(vectors))
        place = np.full(rows, -1, np.int64)
        place[numbers[usable]] = usable
        object.__setattr__(self, "place", place)

    def __len__(self) -> int:
        return len(self.turns)

    def has_flag(self, names: tuple[str, ...]) -> NDArray[np.bool_]:
        """(n,) bool: rows with at least one of these flags; unknown flags are on no row."""
        mask = sum(1 << i for i, name in enumerate(self.flag_names) if name in names)
        carried: NDArray[np.bool_] = (self.flags & np.int64(mask)) != 0
        return carried

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
        asked = np.array([i.encode() for i in ids] if is_bytes else ids)
        place = np.searchsorted(known, asked, sorter=by_id).clip(max=len(known) - 1)
        rows: NDArray[np.int64] = by_id[place]
        return np.where(known[rows] == asked, rows, -1)

    def remember(self, key: Hashable, make: Callable[[], Value]) -> Value:
        """What `make` gives, kept with the table for the next time the key is asked for.

        For what depends on the pool and a few settings alone (scores, orders, filters); the
        values must not be changed.
        """
        return self._memo.get(key, make)

    @staticmethod
    def of_pool(
        columns: PoolColumns,
        vectors: NDArray[np.floating],
        vector_rows: NDArray[np.integer],
        *,
        no_response_flag: str = "no response",
        admitted: NDArray[np.bool_] | None = None,
        graph: SimilarityGraph | None = None,
        cluster: NDArray[np.int32] | None = None,
    ) -> SelectionInput:
        """The input from the columns of a project; `no_response_flag` is one of their flags."""
        bare = np.zeros(len(columns.turns), np.bool_)
        if no_response_flag in columns.flag_names:
            bit = columns.flag_names.index(no_response_flag)
            bare = (columns.flags >> np.int64(bit)) & 1 == 1
        return SelectionInput(
            vectors,
            vector_rows,
            columns.turn_row,
            columns.turn_complexity,
            columns.turn_quality,
            columns.turns,
            columns.tokens,
            columns.language,
            columns.language_names,
            columns.source,
            columns.source_names,
            columns.flags,
            columns.flag_names,
            bare,
            admitted,
            graph,
            cluster,
            columns.ids,
            columns.characters,
            columns.instruction_characters,
            columns.response_characters,
        )

    @staticmethod
    def of_scores(
        complexity: NDArray[np.floating],
        quality: NDArray[np.floating],
        vectors: NDArray[np.floating],
    ) -> SelectionInput:
        """The input from arrays alone: n rows of one turn each, all with a vector."""
        rows = len(complexity)
        zeros = np.zeros(rows, np.int16)
        return SelectionInput(
            vectors,
            np.arange(rows),
            np.arange(rows),
            complexity,
            quality,
            np.ones(rows, np.int32),
            np.zeros(rows, np.int32),
            zeros,
            ("unknown",),
            zeros,
            ("pool",),
            np.zeros(rows, np.int64),
            (),
            np.zeros(rows, np.bool_),
        )


def _ascending(numbers: NDArray[np.int64]) -> bool:
    return bool((np.diff(numbers) > 0).all())
