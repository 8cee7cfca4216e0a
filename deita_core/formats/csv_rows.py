"""Rows of a CSV file as records: the header names the fields, every value is text.

A line that breaks the rules of CSV, or has another number of fields than the header, is
damage. A quote that is never closed takes the lines after it along: CSV has no mark from which
reading could safely go on, so that stretch ends at the next quote (or at LONGEST_CELL).
"""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator

from deita_core.formats.json_scan import BAD_BYTES
from deita_core.formats.record import Damage, Record
from deita_core.formats.text_stream import TextStream, has_bad_bytes, show_bad_bytes

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
    header = _next_row(reader)
    while True:
        source.taken.clear()
        line = source.number + 1
        try:
            cells = _next_row(reader)
        except csv.Error as error:
            yield Damage(line, show_bad_bytes("".join(source.taken)), f"not valid CSV: {error}")
            continue
        if cells is None:
            break
        if cells:
            yield _row(header or [], cells, line, "".join(source.taken))
    if stream.failure:
        yield Damage(source.number, "", stream.failure)


def _next_row(reader: Iterator[list[str]]) -> list[str] | None:
    return next(reader, None)


def _row(header: list[str], cells: list[str], line: int, raw: str) -> Record | Damage:
    if has_bad_bytes(raw):
        return Damage(line, show_bad_bytes(raw), BAD_BYTES)
    if len(cells) != len(header):
        reason = f"it has {len(cells)} fields, the header names {len(header)}"
        return Damage(line, raw, reason)
    value = dict(zip(header, cells, strict=True))
    return Record(line, json.dumps(value, ensure_ascii=False), value)
