"""How close each row is to given texts or rows, under the embedder of the pool.

Similarity is the one of `similarity.definition`: the cosine in float64, rounded to 12 decimals.

With examples of a target task this is RDS+ (Ivison et al. 2025, arXiv 2503.01807, section 3; the
authors' code is hamishivi/automated-instruction-selection, `compute_influence_cosinesim.py` and
`get_top_influences.py`): representations are the last layer's states under position-weighted mean
pooling (the embedder `llm-weighted:MODEL`), and the examples choose in turn, each the row most
similar to it. Under any other embedder the same is done with the vectors that it gives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from deita_core.conversation import Conversation, Message
from deita_core.embedding.protocol import text_for
from deita_core.errors import FilterError
from deita_core.filtering.columns import PoolColumns
from deita_core.filtering.filter import Near
from deita_core.selection.pool_table import PoolTable
from deita_core.similarity.definition import DECIMALS, screen_margin, unit_rows

_BLOCK = 8192


def closeness(
    near: Near, columns: PoolColumns, rows: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """To the most similar of the texts or rows: (n,) float64 in [-1, 1], NaN without a vector.

    rows: only of these, in their order; default: of all.
    """
    found: NDArray[np.float64] = similarities(near, columns, rows).max(axis=1)
    return found


@dataclass(frozen=True, slots=True, eq=False)
class Nearest:
    """Rows, the closest first: (k,) int64. closeness: of each, (k,) float64."""

    rows: NDArray[np.int64]
    closeness: NDArray[np.float64]


def near_rows(near: Near, columns: PoolColumns) -> NDArray[np.int64]:
    """Rows that pass, the closest first; see `nearest`."""
    return nearest(near, columns).rows


def nearest(near: Near, columns: PoolColumns) -> Nearest:
    """Rows that pass, and how close each is; kept with the columns, so not to be changed.

    Those that reach `least` are named by the examples in turn (`in_turn`), until there are `most`.
    A product in float32 screens all rows; what could pass is compared by the definition.
    """
    return columns.remember(("nearest", near), lambda: _nearest(near, columns))


def _nearest(near: Near, columns: PoolColumns) -> Nearest:
    table, targets = columns.with_vectors, _targets(near, columns)
    rough = _screened(table, targets)
    slack = 2 * screen_margin(targets.shape[1])
    maybe = table.place[table.vector_rows] >= 0
    if near.least is not None:
        maybe &= rough.max(axis=0) >= near.least - slack
    limit, every = near.limit, np.count_nonzero(maybe)
    if limit is not None and limit < every:
        if every < len(maybe):
            rough = rough[:, maybe]
        if np.isfinite(rough).all():
            maybe[maybe] = _could_be_named(rough, limit, slack)
    rows = table.vector_rows[maybe]
    found = _exact(table, rows, targets)
    if near.least is not None:
        reached = found.max(axis=1) >= near.least
        rows, found = rows[reached], found[reached]
    order = in_turn(found)[:limit]
    return Nearest(rows[order], found[order].max(axis=1))


def _could_be_named(rough: NDArray[np.float32], limit: int, slack: float) -> NDArray[np.bool_]:
    """Which rows could be among the first `limit` that the examples name: (m,) bool.

    rough: (k, m), half of slack off at most. After as many rounds as there are rows to name each
    example alone has named enough; far fewer do, once that many rows are surely among the first.
    """
    rounds = min(limit, 4 * -(-limit // len(rough)))
    while True:
        last = np.partition(rough, -rounds, axis=1)[:, -rounds, None]
        if rounds == limit or np.count_nonzero((rough > last + slack).any(axis=0)) >= limit:
            return np.asarray((rough >= last - slack).any(axis=0), np.bool_)
        rounds = min(limit, 2 * rounds)


def similarities(
    near: Near, columns: PoolColumns, rows: NDArray[np.int64] | None = None
) -> NDArray[np.float64]:
    """Of each row to each of the k texts or rows: (n, k) float64, NaN without a vector.

    rows: only of these, in their order; default: of all.
    """
    table, targets = columns.with_vectors, _targets(near, columns)
    asked = np.arange(len(table)) if rows is None else rows
    known = table.place[asked] >= 0
    result = np.full((len(asked), len(targets)), np.nan)
    result[known] = _exact(table, asked[known], targets)
    return result


def _exact(
    table: PoolTable, rows: NDArray[np.int64], targets: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Of these rows to unit vectors (k, d), by the definition: (m, k) float64."""
    result = np.empty((len(rows), len(targets)))
    places = table.place[rows]
    for start in range(0, len(rows), _BLOCK):
        part = slice(start, start + _BLOCK)
        units = unit_rows(table.vectors, places[part])
        result[part] = np.round(units @ targets.T, DECIMALS)
    return result


def _screened(table: PoolTable, targets: NDArray[np.float64]) -> NDArray[np.float32]:
    """Of unit vectors (k, d) to each vector, to within `screen_margin`: (k, m) float32.

    Infinite where float32 is too narrow to tell.
    """
    narrow = targets.astype(np.float32)
    result = np.empty((len(targets), len(table.vectors)), np.float32)
    lengths = table.remember("lengths of vectors", lambda: _lengths(table.vectors))
    for start in range(0, len(table.vectors), _BLOCK):
        part = slice(start, start + _BLOCK)
        block = table.vectors[part].astype(np.float32, copy=False)
        with np.errstate(all="ignore"):
            np.divide((block @ narrow.T).T, lengths[part], out=result[:, part])
    result[~np.isfinite(result)] = np.inf
    return result


def _lengths(vectors: NDArray[np.floating]) -> NDArray[np.float32]:
    blocks = (vectors[at : at + _BLOCK].astype(np.float64) for at in range(0, len(vectors), _BLOCK))
    squares = [np.einsum("ij,ij->i", block, block) for block in blocks]
    with np.errstate(all="ignore"):
        lengths: NDArray[np.float32] = np.sqrt(np.concatenate([np.empty(0), *squares])).astype("f4")
    return lengths


def in_turn(found: NDArray[np.float64]) -> NDArray[np.int64]:
    """All rows with similarities, in the order in which the examples choose: (m,) int64.

    found: (n, k), NaN rows are left out. In round r example j names its r-th most similar row
    (ties by row); a row already named is passed over.
    """
    rows = np.flatnonzero(~np.isnan(found).any(axis=1))
    examples = found.shape[1]
    turn = np.full(len(rows), np.iinfo(np.int64).max)
    for example in range(examples):
        order = np.argsort(-found[rows, example], kind="stable")
        turn[order] = np.minimum(turn[order], np.arange(len(rows)) * examples + example)
    named: NDArray[np.int64] = rows[np.argsort(turn, kind="stable")]
    return named


def _targets(near: Near, columns: PoolColumns) -> NDArray[np.float64]:
    """Unit vectors of the texts or rows: (k, d) float64; texts are embedded once."""

    def make() -> NDArray[np.float64]:
        texts = bool(near.texts)
        found = _text_vectors(near.texts, columns) if texts else _row_vectors(near.ids, columns)
        return unit_rows(found, np.arange(len(found)))

    return columns.remember(("targets", near.texts, near.ids), make)


def _text_vectors(texts: Sequence[str], columns: PoolColumns) -> NDArray[np.float32]:
    """Each text as the message of a user, embedded as the conversations of the pool are."""
    embedder = columns.embedder
    asked = [text_for(embedder, Conversation((Message("user", text),))) for text in texts]
    batch = embedder.embed(asked)
    for text, reason in zip(texts, batch.reasons, strict=True):
        if reason is not None:
            raise FilterError(f"{text[:60]!r} cannot be embedded: {reason}; write another text")
    return batch.vectors


def _row_vectors(ids: Sequence[str], columns: PoolColumns) -> NDArray[np.floating]:
    table = columns.with_vectors
    rows = table.rows_of(tuple(ids))
    for identity, row in zip(ids, rows.tolist(), strict=True):
        if row < 0:
            raise FilterError(f"no conversation of the pool has the id {identity!r}: check it")
        if table.place[row] < 0:
            raise FilterError(f"row {row} has no embedding, so nothing is close to it: embed it")
    return table.vectors[table.place[rows]]
