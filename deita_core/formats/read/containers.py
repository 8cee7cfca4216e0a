"""Which container a file is (by its content, not its name), and its records."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import TypeAdapter

from deita_core.errors import FormatError
from deita_core.formats.read.json_records import SPACE, Start, Style, parse, scan, skip
from deita_core.formats.read.table_records import MAGIC, delimiter_of, scan_csv, scan_parquet
from deita_core.formats.read.text import Damage, IsRecord, Record, TextStream

_ONE_NAME = re.compile(r'\w+\s*|"[^"]+"\s*')
_HEAD_LINES = 20


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
        """JSON text, to be kept with the source in the project."""
        return _ADAPTER.dump_json(self).decode()

    @staticmethod
    def from_json(text: str) -> Container:
        """The inverse of `to_json`. Raises ValueError for anything else."""
        return _ADAPTER.validate_json(text)


_ADAPTER = TypeAdapter(Container)


def sniff(path: Path, is_record: IsRecord) -> Container:
    """Tells the container from the first megabyte. Raises FormatError for an unknown one.

    is_record: whether a JSON value can be a row; it tells a record from an object around an
    array of records, and JSON Lines from an array.
    """
    stream = TextStream(path)
    if next(stream.pieces(), b"").startswith(MAGIC):
        return Container("parquet", stream.compression)
    head = next(iter(stream), "")
    text = head.lstrip()
    if not text:
        why = stream.failure or "there is nothing to import"
        raise FormatError(f"{path.name} is empty: {why}")
    skipped = len(head) - len(text)
    start = _json_start(text, path, is_record)
    if start is not None:
        start = replace(start, offset=start.offset + skipped)
        kind = "json" if start.style is Style.ARRAY else "jsonl"
        return Container(kind, stream.compression, start)
    header = text.split("\n", 1)[0]
    delimiter = delimiter_of(header)
    one_column = header.count(delimiter) == 0
    if "\0" in header or (one_column and not _ONE_NAME.fullmatch(header)):
        raise FormatError(
            f"{path.name} is neither JSON, JSON Lines, CSV nor Parquet: it begins with "
            f"{header[:60]!r}; convert it to one of these"
        )
    return Container("csv", stream.compression, delimiter=delimiter)


def records(path: Path, container: Container, is_record: IsRecord) -> Iterator[Record | Damage]:
    """Every record of the file and every damaged stretch, in order, streamed."""
    stream = TextStream(path)
    if container.kind == "parquet":
        return scan_parquet(stream)
    if container.start is None:
        return scan_csv(stream, container.delimiter)
    return scan(stream, container.start, is_record)


def csv_header(path: Path, delimiter: str) -> tuple[str, ...]:
    """The field names of a CSV file."""
    head = next(iter(TextStream(path)), "")
    return tuple(next(csv.reader(io.StringIO(head), delimiter=delimiter), []))


def _json_start(text: str, path: Path, is_record: IsRecord) -> Start | None:
    lines = text.split("\n", _HEAD_LINES)
    full = [line for line in lines if line.strip()]
    if text[0] == "[":
        return _bracket_start(text, full, is_record)
    if text[0] == "{":
        offset = _wrapped_array(text, is_record)
        if offset is not None:
            return Start(Style.ARRAY, offset, wrapped=True)
        return Start(_line_style(text, full, is_record))
    begun = (line.lstrip() for line in lines[:_HEAD_LINES])
    if any(line[:1] == "{" and not parse(line, 0).reason for line in begun):
        return Start(Style.LINES)
    # A file cut off at its front begins in the middle of a record.
    if {".json", ".jsonl", ".ndjson"} & {suffix.lower() for suffix in path.suffixes[-2:]}:
        return Start(Style.VALUES)
    return None


def _bracket_start(text: str, lines: list[str], is_record: IsRecord) -> Start:
    first = parse(lines[0], 0)
    whole_line = not first.reason and not lines[0][first.end :].strip()
    if whole_line and len(lines) > 1 and lines[1].lstrip()[:1] in "[{" and is_record(first.value):
        return Start(Style.LINES)
    # One conversation alone in the file: a list of messages rather than of records.
    whole = parse(text, 0)
    rows = whole.value if isinstance(whole.value, list) else []
    if rows and is_record(rows) and not any(is_record(item) for item in rows[:5]):
        return Start(Style.VALUES)
    return Start(Style.ARRAY, 1)


def _line_style(text: str, lines: list[str], is_record: IsRecord) -> Style:
    """LINES when records stand one to a line, VALUES when they are spread over lines."""
    for number, line in enumerate(lines[:_HEAD_LINES]):
        parsed = parse(line.lstrip(), 0)
        if not parsed.reason and (number == 0 or is_record(parsed.value)):
            return Style.LINES
    return Style.LINES if parse(text, 0).reason and len(lines) < 3 else Style.VALUES


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
