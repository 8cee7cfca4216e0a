"""Embeddings and map coordinates.

Wide vectors are kept in float16: half the file and half the memory, enough for a cosine. A
component of a unit vector loses at most 2**-11 of its value, so a cosine moves by less than
0.001, in practice by some 0.00001.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import ProjectError
from deita_core.project.models import Parameters
from deita_core.project.store import Project, now

if TYPE_CHECKING:
    import pyarrow as pa

# Wider vectors than this are stored as float16 (little-endian bytes in `embeddings.half`).
WIDE = 1024
TOO_LARGE = "the vector does not fit float16: a component is beyond 65,504, or all are too small"
_CELLS_READ = 1 << 24  # numbers read from the file at once: 64 MB of float32


@dataclass(frozen=True, slots=True)
class EmbedderRecord:
    """An embedder known to the project, and how far it has come."""

    embedder: int
    model: str
    revision: str
    dimension: int
    parameters: Parameters
    active: bool
    embedded: int
    failed: int
    truncated: int
    mapped: int


def embedders(project: Project) -> list[EmbedderRecord]:
    """Every embedder that was used, with its counts."""
    found = project.rows(
        """
        SELECT e.model, e.id, e.revision, e.width, e.parameters, e.active,
               coalesce(v.good, 0), coalesce(v.bad, 0), coalesce(v.cut, 0), coalesce(p.n, 0)
        FROM models e
        LEFT JOIN (SELECT embedder, count(*) FILTER (reason IS NULL) good, count(reason) bad,
                   count(*) FILTER (truncated) cut FROM embeddings GROUP BY 1) v
            ON v.embedder = e.model
        LEFT JOIN (SELECT embedder, count(*) n FROM map_points GROUP BY 1) p
            ON p.embedder = e.model
        WHERE e.role = 'embedding' ORDER BY e.model
        """
    )
    return [
        EmbedderRecord(number, name, revision, width, json.loads(parameters), *rest)
        for number, name, revision, width, parameters, *rest in found
    ]


def add_embeddings(project: Project, embedder: int, batch: pa.Table) -> None:
    """Commit row, vector (NULL where it failed), tokens, truncated, reason of one batch.

    Vectors wider than `WIDE` are kept as float16.
    """
    dimension = project.number("SELECT width FROM models WHERE model = ?", embedder)
    wide = dimension > WIDE
    kept = "NULL, half" if wide else "vector, NULL"
    with project.transaction("curator", None) as cursor:
        cursor.register("batch", _halved(batch, dimension) if wide else batch)
        cursor.execute(
            "DELETE FROM embeddings WHERE embedder = ? AND row IN (SELECT row FROM batch)",
            [embedder],
        )
        cursor.execute(
            f"INSERT INTO embeddings SELECT ?, row, {kept}, tokens, truncated, reason, ? "  # noqa: S608 - only names of ours go in
            "FROM batch",
            [embedder, now()],
        )


def embedded_rows(project: Project, embedder: int | None) -> NDArray[np.int64]:
    """The rows that `load_vectors` returns, without their vectors: (n,) int64, ascending."""
    query = "SELECT row FROM embeddings WHERE embedder = ? AND reason IS NULL ORDER BY row"
    return project.arrays(query, embedder)["row"].astype(np.int64)


def load_vectors(
    project: Project, embedder: int
) -> tuple[NDArray[np.int32], NDArray[np.float32] | NDArray[np.float16]]:
    """Rows that have a vector, ascending (n,) int32, and the vectors (n, d).

    The vectors are float32, or float16 where they are wider than `WIDE`.
    """
    dimension = project.number("SELECT width FROM models WHERE model = ?", embedder)
    if not dimension:
        raise ProjectError(f"there is no embedder {embedder} in {project.name}: embed the pool")
    wide = dimension > WIDE
    given = f"FROM embeddings WHERE embedder = {int(embedder)} AND reason IS NULL"
    # Filled batch by batch, so that the vectors are held once and not twice.
    rows = np.empty(project.number(f"SELECT count(*) {given}"), np.int32)
    vectors = np.empty((len(rows), dimension), np.float16 if wide else np.float32)
    query = f"SELECT row, {'half' if wide else 'vector'} {given} ORDER BY row"
    filled = 0
    with project.reading() as cursor:
        for batch in cursor.sql(query).to_arrow_reader(max(1024, _CELLS_READ // dimension)):
            end = filled + batch.num_rows
            rows[filled:end] = batch.column(0).to_numpy()
            if wide:
                vectors[filled:end] = _read_halves(batch.column(1), dimension)
            else:
                flat = batch.column(1).flatten().to_numpy()
                vectors[filled:end] = flat.reshape(batch.num_rows, dimension)
            filled = end
    return rows[:filled], vectors[:filled]


def set_map(
    project: Project, embedder: int, points: pa.Table, parameters: Mapping[str, object]
) -> None:
    """Replace the map of an embedder: row, x, y for every row with a vector."""
    what = {"embedder": embedder, "points": len(points)}
    with project.transaction("curator", "draw the map", what) as cursor:
        cursor.register("points", points)
        cursor.execute("DELETE FROM map_points WHERE embedder = ?", [embedder])
        cursor.execute("INSERT INTO map_points SELECT ?, row, x, y FROM points", [embedder])
        cursor.execute(
            "INSERT OR REPLACE INTO maps VALUES (?, ?, ?)",
            [embedder, json.dumps(dict(parameters), sort_keys=True), now()],
        )


def truncated_rows(project: Project, embedder: int) -> list[int]:
    """Rows whose text was longer than the embedder reads."""
    query = "SELECT row FROM embeddings WHERE embedder = ? AND truncated ORDER BY row"
    return project.values(query, embedder)


def _halved(batch: pa.Table, dimension: int) -> pa.Table:
    """The batch with `half` (float16 bytes) in place of the float32 vectors.

    batch: vector (list of float, NULL where it failed), reason, and other columns, which stay.
    A vector that becomes infinite or zero in float16 is replaced by a reason.
    """
    import pyarrow as pa

    column = batch["vector"].combine_chunks()
    good = np.asarray(column.is_valid())
    values = column.flatten().to_numpy(zero_copy_only=False).reshape(-1, dimension)
    with np.errstate(over="ignore"):
        half = values.astype("<f2")
    usable = np.isfinite(half).all(axis=1) & (half != 0).any(axis=1)
    cells: list[bytes | None] = [None] * len(good)
    reasons: list[str | None] = batch["reason"].to_pylist()
    for place, row in enumerate(np.flatnonzero(good)):
        if usable[place]:
            cells[row] = half[place].tobytes()
        else:
            reasons[row] = TOO_LARGE
    narrow = batch.drop_columns(["vector", "reason"])
    narrow = narrow.append_column("half", pa.array(cells, pa.binary()))
    return narrow.append_column("reason", pa.array(reasons, pa.string()))


def _read_halves(column: Any, dimension: int) -> NDArray[np.float16]:
    """An Arrow column of such bytes as (n, d) float16; no NULL among them."""
    import pyarrow as pa

    fixed = column.cast(pa.binary(2 * dimension))
    values = np.frombuffer(fixed.buffers()[1], "<f2")
    start = fixed.offset * dimension
    return values[start : start + len(fixed) * dimension].reshape(len(fixed), dimension)
