"""How records stand in a file: a JSON array, JSON Lines, CSV or Parquet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable
from itertools import islice
from typing import BinaryIO

from deita_core.formats.write.export_format import SCORE_FIELDS, JsonObject, JsonValue

# A spreadsheet runs a cell that begins with one of these as a formula.
FORMULA = ("=", "+", "-", "@", "\t", "\r")
_CSV_FIELDS = ("messages", "tools", "instruction", "response")
# Cells that are there to be looked at; the others are read back, and stay as they are.
_SHOWN = ("instruction", "response", "source")
_ROWS_PER_GROUP = 1_000


def write_json_array(file: BinaryIO, records: Iterable[JsonObject], with_scores: bool) -> None:
    """A JSON array, one record per line, so that it can be compared and paged line by line."""
    start = b"[\n"
    for record in records:
        file.write(start + _json(record))
        start = b",\n"
    file.write(b"[]\n" if start == b"[\n" else b"\n]\n")


def write_json_lines(file: BinaryIO, records: Iterable[JsonObject], with_scores: bool) -> None:
    """JSON Lines: one record per line."""
    for record in records:
        file.write(_json(record) + b"\n")


def write_original(file: BinaryIO, records: Iterable[JsonObject], with_scores: bool) -> None:
    """The lines of JSON text that each record holds under "lines"."""
    for record in records:
        lines = record["lines"]
        assert isinstance(lines, list)
        file.write("".join(f"{line}\n" for line in lines).encode())


def write_csv(file: BinaryIO, records: Iterable[JsonObject], with_scores: bool) -> None:
    """UTF-8, comma, every text quoted: a bare carriage return inside a text survives.

    A cell that is only shown gets an apostrophe in front of what a spreadsheet would run.
    """
    columns = (*_CSV_FIELDS, *(SCORE_FIELDS if with_scores else ()))
    file.write(_csv_line(columns))
    for record in records:
        file.write(_csv_line(_cell(name, record[name]) for name in columns))


def _csv_line(cells: Iterable[JsonValue]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC).writerow(cells)
    return text.getvalue().encode("utf-8")


def _cell(name: str, value: JsonValue) -> JsonValue:
    if name in _SHOWN and isinstance(value, str) and value.startswith(FORMULA):
        return f"'{value}"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value


def write_parquet(file: BinaryIO, records: Iterable[JsonObject], with_scores: bool) -> None:
    """Row groups of 1,000 rows; memory holds one group."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    message = pa.struct([("role", pa.string()), ("content", pa.string())])
    fields = [("messages", pa.list_(message)), ("tools", pa.string())]
    for name, kind in SCORE_FIELDS.items() if with_scores else ():
        is_list = kind == "list<string>"
        fields.append((name, pa.list_(pa.string()) if is_list else pa.type_for_alias(kind)))
    schema = pa.schema(fields)
    left = iter(records)
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        while group := list(islice(left, _ROWS_PER_GROUP)):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))


def _json(record: JsonObject) -> bytes:
    return json.dumps(record, ensure_ascii=False, allow_nan=False).encode("utf-8")
