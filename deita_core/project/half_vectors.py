"""Wide vectors are kept in float16: half the file and half the memory, enough for a cosine.

A component of a unit vector loses at most 2**-11 of its value, so a cosine moves by less than
0.001, in practice by some 0.00001.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import pyarrow as pa

# Wider vectors than this are stored as float16 (little-endian bytes in `embeddings.half`).
WIDE = 1024
TOO_LARGE = "the vector does not fit float16: a component is beyond 65,504, or all are too small"


def is_wide(dimension: int) -> bool:
    """Whether vectors of this width are kept as float16."""
    return dimension > WIDE


def halved(batch: pa.Table, dimension: int) -> pa.Table:
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


def read_halves(column: Any, dimension: int) -> NDArray[np.float16]:
    """An Arrow column of such bytes as (n, d) float16; no NULL among them."""
    import pyarrow as pa

    fixed = column.cast(pa.binary(2 * dimension))
    values = np.frombuffer(fixed.buffers()[1], "<f2")
    start = fixed.offset * dimension
    return values[start : start + len(fixed) * dimension].reshape(len(fixed), dimension)
