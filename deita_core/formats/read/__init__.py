"""Reading pools: detect what a file is, then read it row by row, however damaged it is.

    detection = detect(path)                 # the first rows only; preview and mapping
    for row in read(path, detection.mapping, container=detection.container):
        ...                                  # PoolRow or Reject, positions 0, 1, 2, ...

A row is a record, a line, or a whole message tree; each gives one `PoolRow` or `Reject`. Roles
are taken from the file and never from the position, so that nothing shifts, and texts are exactly
as in the file. What becomes of every odd row is listed in docs/formats.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from deita_core.formats.read.containers import Container, records
from deita_core.formats.read.detect import Detection, detect, record_test
from deita_core.formats.read.layout import Mapping, PoolRow, Reject
from deita_core.formats.read.rows import LAYOUTS, rows_of

__all__ = ["LAYOUTS", "Detection", "Mapping", "PoolRow", "Reject", "detect", "read"]


def read(
    path: Path,
    mapping: Mapping | None = None,
    start: int = 0,
    *,
    container: Container | None = None,
) -> Iterator[PoolRow | Reject]:
    """Every row of the file from position `start` on, streamed.

    container: as detected, together with the whole mapping; without it both are detected first,
    and `mapping` may leave columns out. Skipped rows are parsed, but not converted. Raises what
    `detect` raises, before the first row.
    """
    if container is None or mapping is None:
        found = detect(path, mapping)
        container, mapping = found.container, found.mapping
    return rows_of(records(path, container, record_test(mapping)), mapping, start)
