"""How records stand in a file: a JSON array, JSON Lines, CSV or Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from typing import Any, BinaryIO

from deita_core.formats.write.export_format import SCORE_FIELDS, JsonObject, JsonValue

# A spreadsheet runs a cell that begins with one of these as a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
CSV_FIELDS = ("messages", "tools", "instruction", "response")
# Cells that are there to be looked at; the others are read back, and stay as they are.
_SHOWN = ("instruction", "response", "source")
ROWS_PER_GROUP = 1_000


class JsonArraySink:
    """A JSON array, one record per line, so that it can be compared and paged line by line."""

    def __init__(self, file: BinaryIO, with_scores: bool) -> None:
        self._file = file
        self._empty = True
        file.write(b"[")

    def add(self, record: JsonObject) -> None:
        """Appends the record."""
        self._file.write((b"\n" if self._empty else b",\n") + _json(record))
        self._empty = False

    def close(self) -> None:
        """Closes the array."""
        self._file.write(b"]\n" if self._empty else b"\n]\n")


class _LineSink:
    """A file to which every record adds its lines, and which needs no end."""

    def __init__(self, file: BinaryIO, with_scores: bool) -> None:
        self._file = file

    def add(self, record: JsonObject) -> None:
        """Appends the lines of the record."""
        self._file.write(self._lines(record))

    def close(self) -> None:
        """Nothing to complete."""

    def _lines(self, record: JsonObject) -> bytes:
        raise NotImplementedError


class JsonLinesSink(_LineSink):
    """JSON Lines: one record per line."""

    def _lines(self, record: JsonObject) -> bytes:
        return _json(record) + b"\n"


class OriginalSink(_LineSink):
    """The lines of JSON text that a record holds under "lines"."""

    def _lines(self, record: JsonObject) -> bytes:
        lines = record["lines"]
        assert isinstance(lines, list)
        return "".join(f"{line}\n" for line in lines).encode()


class CsvSink(_LineSink):
    """UTF-8, comma, every text quoted: a bare carriage return inside a text survives.

    A cell that is only shown gets an apostrophe in front of what a spreadsheet would run.
    """

    def __init__(self, file: BinaryIO, with_scores: bool) -> None:
        super().__init__(file, with_scores)
        self._columns = (*CSV_FIELDS, *(SCORE_FIELDS if with_scores else ()))
        file.write(_csv_line(self._columns))

    def _lines(self, record: JsonObject) -> bytes:
        return _csv_line(_cell(name, record[name]) for name in self._columns)


def _csv_line(cells: Iterable[JsonValue]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC).writerow(cells)
    return text.getvalue().encode("utf-8")


def _cell(name: str, value: JsonValue) -> JsonValue:
    if name in _SHOWN and isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value


class ParquetSink:
    """Writes row groups of ROWS_PER_GROUP rows; memory holds one group."""

    def __init__(self, file: BinaryIO, with_scores: bool) -> None:
        import pyarrow.parquet as parquet

        self._schema = _schema(with_scores)
        self._writer = parquet.ParquetWriter(file, self._schema, compression="zstd")
        self._records: list[JsonObject] = []

    def add(self, record: JsonObject) -> None:
        """Takes the record."""
        self._records.append(record)
        if len(self._records) == ROWS_PER_GROUP:
            self._flush()

    def close(self) -> None:
        """Writes what is left and the footer."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._records:
            self._writer.write_table(pa.Table.from_pylist(self._records, schema=self._schema))
            self._records = []


def _schema(with_scores: bool) -> Any:
    import pyarrow as pa

    message = pa.struct([("role", pa.string()), ("content", pa.string())])
    fields = [("messages", pa.list_(message)), ("tools", pa.string())]
    for name, kind in SCORE_FIELDS.items() if with_scores else ():
        is_list = kind == "list<string>"
        fields.append((name, pa.list_(pa.string()) if is_list else pa.type_for_alias(kind)))
    return pa.schema(fields)


def _json(record: JsonObject) -> bytes:
    return json.dumps(record, ensure_ascii=False, allow_nan=False).encode("utf-8")
