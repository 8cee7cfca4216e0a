"""Rows of a Parquet file as records, a batch at a time."""

from __future__ import annotations

import json
import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from deita_core.errors import FormatError
from deita_core.formats.record import Damage, Record
from deita_core.formats.text_stream import TextStream

ROWS_PER_BATCH = 1_000
# Read ahead by this much of a column; without it a whole row group is held, often the whole file.
BUFFER = 1 << 20
MAGIC = b"PAR1"


@contextmanager
def _seekable(stream: TextStream) -> Iterator[Path | IO[bytes]]:
    """The file, or a temporary decompressed copy: Parquet is read from its end."""
    if not stream.compression:
        yield stream.path
        return
    with tempfile.TemporaryFile() as copy:
        for piece in stream.pieces():
            copy.write(piece)
        copy.seek(0)
        yield copy


def scan_parquet(stream: TextStream) -> Iterator[Record | Damage]:
    """Every row; a row group that cannot be decoded is one `Damage` naming its rows.

    Raises FormatError when the footer is damaged: without it nothing can be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as parquet

    with _seekable(stream) as source:
        try:
            file = parquet.ParquetFile(source, buffer_size=BUFFER, pre_buffer=False)
        except (pa.ArrowException, OSError, ValueError) as error:
            raise FormatError(
                f"{stream.path.name} is not a readable Parquet file ({error}); "
                "its footer is damaged or missing, write it again"
            ) from error
        for group in range(file.num_row_groups):
            yield from _group(file, group)


def _group(file: Any, group: int) -> Iterator[Record | Damage]:
    import pyarrow as pa

    read = 0
    try:
        for batch in file.iter_batches(ROWS_PER_BATCH, row_groups=[group]):
            for row in _rows(batch):
                read += 1
                yield row
    except (pa.ArrowException, OSError, ValueError) as error:
        left = file.metadata.row_group(group).num_rows - read
        yield Damage(None, "", f"{left} rows of row group {group} cannot be read: {error}")


def _rows(batch: Any) -> Iterator[Record | Damage]:
    try:
        values = batch.to_pylist()
    except (UnicodeDecodeError, ValueError):
        # One bad value spoils the whole conversion: take the rows one by one.
        for index in range(batch.num_rows):
            try:
                (value,) = batch.slice(index, 1).to_pylist()
            except (UnicodeDecodeError, ValueError) as error:
                yield Damage(None, "", f"a value cannot be read: {error}")
            else:
                yield _record(value)
        return
    for value in values:
        yield _record(value)


def _record(value: object) -> Record:
    # Dates, decimals and bytes have no JSON form of their own: their text stands for them.
    try:
        raw = json.dumps(value, ensure_ascii=False, allow_nan=False, default=_text)
    except ValueError:
        raw = json.dumps(_without_nan(value), ensure_ascii=False, default=_text)
    return Record(None, raw, value)


def _without_nan(value: object) -> object:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    return [_without_nan(item) for item in value] if isinstance(value, list) else value


def _text(value: object) -> str:
    return value.decode("utf-8", "backslashreplace") if isinstance(value, bytes) else str(value)
