"""Which container a file is (by its content, not its name), and its records.

CSV: the header names the fields, every value is text. A line that breaks the rules of CSV, or has
another number of fields than the header, is damage. A quote that is never closed takes the lines
after it along: CSV has no mark from which reading could safely go on, so that stretch ends at the
next quote (or at LONGEST_CELL). The records of JSON are read by `json_records`.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

from pydantic import TypeAdapter

from deita_core.errors import FormatError
from deita_core.formats.read.json_records import SPACE, Start, Style, parse, scan, skip
from deita_core.formats.read.text import (
    BAD_BYTES,
    MOST_TIMES,
    MOST_UNPACKED,
    SHOWN,
    Damage,
    IsRecord,
    Record,
    TextStream,
    grows_too_much,
    has_bad_bytes,
    show_bad_bytes,
    too_long,
)

_ONE_NAME = re.compile(r'\w+\s*|"[^"]+"\s*')
_NO_TEXT = re.compile("[\0-\x08\x0e-\x1f]")
_HEAD_LINES = 20
LONGEST_CELL = 32_000_000
ROWS_PER_BATCH = 1_000
LEAST_ROWS = 32
AT_ONCE = 256_000_000
# Read ahead by this much of a column; without it a whole row group is held, often the whole file.
BUFFER = 1 << 20


@dataclass(frozen=True, slots=True)
class Container:
    """kind: "json", "jsonl", "csv" or "parquet"; compression: "", "gzip" or "zstd".

    start: for JSON, where the records begin. delimiter: for CSV.
    """

    kind: str
    compression: str
    start: Start | None = None
    delimiter: str = ","

    def to_json(self) -> str:
        """JSON text, as kept with the source in the project."""
        return _ADAPTER.dump_json(self).decode()

    @staticmethod
    def from_json(text: str) -> Container:
        """The inverse of `to_json`. Raises ValueError for anything else."""
        return _ADAPTER.validate_json(text)


_ADAPTER = TypeAdapter(Container)


def sniff(path: Path, is_record: IsRecord) -> Container:
    """Tells the container from the first megabyte. Raises FormatError for an unknown one.

    is_record: tells a record from an object around an array of records, and lines from an array.
    """
    stream = TextStream(path)
    if next(stream.pieces(), b"").startswith(b"PAR1"):
        return Container("parquet", stream.compression)
    head = next(iter(stream), "")
    text = head.lstrip()
    if not text:
        why = stream.failure or "there is nothing to import"
        raise FormatError(f"{path.name} is empty: {why}")
    start = _json_start(text, path, is_record)
    if start is not None:
        start = replace(start, offset=start.offset + len(head) - len(text))
        kind = "json" if start.style == "array" else "jsonl"
        return Container(kind, stream.compression, start)
    header = text.split("\n", 1)[0]
    delimiter = max(",\t;|", key=header.count)
    no_text = _NO_TEXT.search(header) or has_bad_bytes(header)
    if no_text or (delimiter not in header and not _ONE_NAME.fullmatch(header)):
        raise FormatError(
            f"{path.name} is neither JSON, JSON Lines, CSV nor Parquet in UTF-8: it begins with "
            f"{show_bad_bytes(header[:60])!r}; convert it to one of these"
        )
    return Container("csv", stream.compression, delimiter=delimiter)


def records(path: Path, container: Container, is_record: IsRecord) -> Iterator[Record | Damage]:
    """Every record of the file and every damaged stretch, in order, streamed."""
    stream = TextStream(path)
    if container.kind == "parquet":
        return _scan_parquet(stream)
    if container.start is None:
        return _scan_csv(stream, container.delimiter)
    return scan(stream, container.start, is_record)


def csv_header(path: Path, delimiter: str) -> tuple[str, ...]:
    """The field names of a CSV file."""
    csv.field_size_limit(LONGEST_CELL)
    head = next(iter(TextStream(path)), "")
    return tuple(_header(csv.reader(io.StringIO(head), delimiter=delimiter), path))


def _header(reader: Iterator[list[str]], path: Path) -> list[str]:
    try:
        return next(reader, [])
    except csv.Error as error:
        raise FormatError(
            f"the first line of {path.name} names no fields ({error}); check that it is CSV"
        ) from error


def _json_start(text: str, path: Path, is_record: IsRecord) -> Start | None:
    lines = text.split("\n", _HEAD_LINES)
    full = [line for line in lines if line.strip()]
    if text[0] == "[":
        return _bracket_start(text, full, is_record)
    if text[0] == "{":
        offset = _wrapped_array(text, is_record)
        if offset is None:
            return Start(_line_style(text, full, is_record))
        return Start("array", offset, wrapped=True)
    begun = (line.lstrip() for line in lines[:_HEAD_LINES])
    if any(line[:1] == "{" and not parse(line, 0).reason for line in begun):
        return Start("lines")
    # A file cut off at its front begins in the middle of a record.
    if {".json", ".jsonl", ".ndjson"} & {suffix.lower() for suffix in path.suffixes[-2:]}:
        return Start("values")
    return None


def _bracket_start(text: str, lines: list[str], is_record: IsRecord) -> Start:
    first = parse(lines[0], 0)
    whole_line = not first.reason and not lines[0][first.end :].strip()
    if whole_line and len(lines) > 1 and lines[1].lstrip()[:1] in "[{" and is_record(first.value):
        return Start("lines")
    # One conversation alone in the file: a list of messages rather than of records.
    whole = parse(text, 0)
    rows = whole.value if isinstance(whole.value, list) else []
    if rows and is_record(rows) and not any(is_record(item) for item in rows[:5]):
        return Start("values")
    return Start("array", 1)


def _line_style(text: str, lines: list[str], is_record: IsRecord) -> Style:
    """LINES when records stand one to a line, VALUES when they are spread over lines."""
    for number, line in enumerate(lines[:_HEAD_LINES]):
        parsed = parse(line.lstrip(), 0)
        if not parsed.reason and (number == 0 or is_record(parsed.value)):
            return "lines"
    return "lines" if parse(text, 0).reason and len(lines) < 3 else "values"


def _wrapped_array(text: str, is_record: IsRecord) -> int | None:
    """Where, in an object around an array of records, that array begins; else None."""
    whole = parse(text, 0)
    if not whole.reason and (is_record(whole.value) or text[whole.end :].strip()):
        return None
    at = 1
    while True:
        key = parse(text, skip(text, at, SPACE))
        colon = skip(text, key.end, SPACE)
        if key.reason or not isinstance(key.value, str) or text[colon : colon + 1] != ":":
            return None
        at = skip(text, colon + 1, SPACE)
        if text[at : at + 1] == "[":
            first = parse(text, skip(text, at + 1, SPACE))
            if not first.reason and is_record(first.value):
                return at + 1
        member = parse(text, at)
        at = skip(text, member.end, SPACE)
        if member.reason or text[at : at + 1] != ",":
            return None
        at += 1


class _Lines:
    """Lines of a text with their ends, counted; `taken` collects those of the current row."""

    def __init__(self, stream: TextStream) -> None:
        self._lines = _split_lines(stream)
        self.number = 0
        self.taken: list[str] = []

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        line, length = next(self._lines)
        self.number += 1
        if length > LONGEST_CELL:
            self.taken.append(line[:SHOWN])
            raise csv.Error(too_long("a line", length, LONGEST_CELL))
        self.taken.append(line)
        return line


def _split_lines(stream: TextStream) -> Iterator[tuple[str, int]]:
    """Each line and its length; of one longer than LONGEST_CELL only the beginning."""
    held: list[str] = []
    length = 0
    for piece in stream:
        *ended, rest = piece.split("\n")
        for line in ended:
            yield "".join([*held, line, "\n"]), length + len(line)
            held, length = [], 0
        if length <= LONGEST_CELL:
            held.append(rest)
        elif len(held) > 1:
            held = ["".join(held)[:SHOWN]]
        length += len(rest)
    if length:
        yield "".join(held), length


def _scan_csv(stream: TextStream, delimiter: str) -> Iterator[Record | Damage]:
    """Every row below the header, with the line at which it starts."""
    csv.field_size_limit(LONGEST_CELL)
    source = _Lines(stream)
    reader = csv.reader(source, delimiter=delimiter)
    header = _header(reader, stream.path)
    while True:
        source.taken.clear()
        line = source.number + 1
        try:
            cells = next(reader, None)
        except csv.Error as error:
            raw = show_bad_bytes("".join(source.taken))
            yield Damage(line, raw, f"not valid CSV: {error}")
            continue
        if cells is None:
            break
        if cells:
            yield _csv_row(header, cells, line, "".join(source.taken))
    if stream.failure:
        yield Damage(source.number, "", stream.failure)


def _csv_row(header: list[str], cells: list[str], line: int, raw: str) -> Record | Damage:
    if has_bad_bytes(raw):
        return Damage(line, show_bad_bytes(raw), BAD_BYTES)
    if len(cells) != len(header):
        return Damage(line, raw, f"it has {len(cells)} fields, the header names {len(header)}")
    value = dict(zip(header, cells, strict=True))
    return Record(line, json.dumps(value, ensure_ascii=False), value)


@contextmanager
def _seekable(stream: TextStream) -> Iterator[Path | IO[bytes]]:
    """The file, or a temporary decompressed copy: Parquet is read from its end."""
    if not stream.compression:
        yield stream.path
        return
    with tempfile.TemporaryFile() as copy:
        for piece in stream.pieces():
            copy.write(piece)
        if stream.failure:
            raise FormatError(f"{stream.path.name} cannot be unpacked: {stream.failure}")
        copy.seek(0)
        yield copy


def _scan_parquet(stream: TextStream) -> Iterator[Record | Damage]:
    """Every row; a group that cannot be decoded is one `Damage`, a bad footer a FormatError."""
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
        most = max(MOST_UNPACKED, MOST_TIMES * stream.path.stat().st_size)
        unpacked = done = 0
        for group in range(file.num_row_groups):
            for row in _group(file, group):
                yield row
                done += 1
                unpacked += len(row.raw)
                if unpacked > most:
                    left = f"{file.metadata.num_rows - done:,} rows"
                    yield Damage(None, "", f"{left} were not read: {grows_too_much(unpacked)}")
                    return


def _group(file: Any, group: int) -> Iterator[Record | Damage]:
    import pyarrow as pa

    read = 0
    try:
        for batch in file.iter_batches(_rows_at_once(file, group), row_groups=[group]):
            for row in _batch_rows(batch):
                read += 1
                yield row
    except (pa.ArrowException, OSError, ValueError) as error:
        left = file.metadata.row_group(group).num_rows - read
        yield Damage(None, "", f"{left} rows of row group {group} cannot be read: {error}")


def _rows_at_once(file: Any, group: int) -> int:
    """How many rows fit in memory, though each may hold the longest text of its dictionary."""
    columns = file.metadata.row_group(group)
    chunks = (columns.column(number) for number in range(columns.num_columns))
    worst = sum(c.total_uncompressed_size for c in chunks if c.has_dictionary_page)
    return max(LEAST_ROWS, min(ROWS_PER_BATCH, AT_ONCE // max(int(worst), 1)))


def _batch_rows(batch: Any) -> Iterator[Record | Damage]:
    try:
        values = batch.to_pylist()
    except (ValueError, OverflowError, MemoryError) as error:
        if batch.num_rows == 1:
            yield Damage(None, "", f"a value cannot be read: {error}")
            return
        # One bad value spoils the whole conversion: take the rows one by one.
        for index in range(batch.num_rows):
            yield from _batch_rows(batch.slice(index, 1))
    else:
        yield from map(_parquet_row, values)


def _parquet_row(value: object) -> Record:
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
