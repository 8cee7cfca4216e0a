"""Rows of CSV and Parquet files as records, streamed.

CSV: the header names the fields, every value is text. A line that breaks the rules of CSV, or has
another number of fields than the header, is damage. A quote that is never closed takes the lines
after it along: CSV has no mark from which reading could safely go on, so that stretch ends at the
next quote (or at LONGEST_CELL).
"""

from __future__ import annotations

import csv
import json
import math
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from deita_core.errors import FormatError
from deita_core.formats.read.text import (
    BAD_BYTES,
    Damage,
    Record,
    TextStream,
    has_bad_bytes,
    show_bad_bytes,
)

LONGEST_CELL = 32_000_000
DELIMITERS = ",\t;|"


class _Lines:
    """Lines of a text with their ends, counted; `taken` collects those of the current row."""

    def __init__(self, stream: TextStream) -> None:
        self._lines = _split_lines(stream)
        self.number = 0
        self.taken: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._lines)
        self.number += 1
        self.taken.append(line)
        return line


def _split_lines(stream: TextStream) -> Iterator[str]:
    rest = ""
    for piece in stream:
        *whole, rest = (rest + piece).split("\n")
        for line in whole:
            yield line + "\n"
    if rest:
        yield rest


def delimiter_of(header: str) -> str:
    """The delimiter that occurs most often in the header line; a comma when none does."""
    return max(DELIMITERS, key=header.count)


def scan_csv(stream: TextStream, delimiter: str) -> Iterator[Record | Damage]:
    """Every row below the header, with the line at which it starts."""
    csv.field_size_limit(LONGEST_CELL)
    source = _Lines(stream)
    reader = csv.reader(source, delimiter=delimiter)
    header = next(reader, [])
    while True:
        source.taken.clear()
        line = source.number + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            yield Damage(line, show_bad_bytes("".join(source.taken)), f"not valid CSV: {error}")
            continue
        if cells is None:
            break
        if cells:
            yield _row(header, cells, line, "".join(source.taken))
    if stream.failure:
        yield Damage(source.number, "", stream.failure)


def _row(header: list[str], cells: list[str], line: int, raw: str) -> Record | Damage:
    if has_bad_bytes(raw):
        return Damage(line, show_bad_bytes(raw), BAD_BYTES)
    if len(cells) != len(header):
        reason = f"it has {len(cells)} fields, the header names {len(header)}"
        return Damage(line, raw, reason)
    value = dict(zip(header, cells, strict=True))
    return Record(line, json.dumps(value, ensure_ascii=False), value)


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
    except ValueError as error:
        if batch.num_rows == 1:
            yield Damage(None, "", f"a value cannot be read: {error}")
            return
        # One bad value spoils the whole conversion: take the rows one by one.
        for index in range(batch.num_rows):
            yield from _rows(batch.slice(index, 1))
    else:
        yield from map(_record, values)


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
