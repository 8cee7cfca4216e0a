"""Files of scores: read (which conversation is each record about, what does it give?) and written.

A record names its conversation by id (the 32 hex digits that exports carry), or holds it, in any
layout of a pool file. The paper's reference implementation writes ShareGPT conversations with the
lists `complexity_scores` and `quality_scores`, one number for each turn.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from deita_core.conversation import Conversation
from deita_core.errors import FormatError
from deita_core.files import cell_text
from deita_core.formats.read.containers import records, sniff
from deita_core.formats.read.detect import detect
from deita_core.formats.read.layout import MISSING, PoolRow, Reject, lookup
from deita_core.formats.read.layout import Mapping as PoolMapping
from deita_core.formats.read.rows import rows_of
from deita_core.formats.read.text import Damage, Record

# Fields that hold a dimension's scores by their usual names, the likeliest first.
USUAL_FIELDS: Mapping[str, tuple[str, ...]] = {
    name: (f"{name}_scores", name, f"{name}_score", f"Deita_{name.capitalize()}")
    for name in ("complexity", "quality")
}
SAMPLE = 200
_ID = re.compile("[0-9a-f]{32}")


@dataclass(frozen=True, slots=True)
class ScoreRow:
    """What a record gives. id: of its conversation. turn: that it is about, or None for all.

    values: dimension -> its value, for the dimensions whose field the record has.
    """

    position: int
    line: int | None
    id: str
    turn: int | None
    values: Mapping[str, object]


def score_field_names(path: Path) -> list[str]:
    """The fields that the first records have; raises FormatError for a file without records."""
    names: dict[str, None] = {}
    for record in islice(_records(path), SAMPLE):
        if isinstance(record, Record) and isinstance(record.value, dict):
            names |= dict.fromkeys(map(str, record.value))
    return list(names)


def score_fields(path: Path) -> dict[str, str]:
    """The fields that hold complexity and quality by their usual names. Raises FormatError."""
    names = score_field_names(path)
    usual = {d: [field for field in fields if field in names] for d, fields in USUAL_FIELDS.items()}
    found = {dimension: fields[0] for dimension, fields in usual.items() if fields}
    if not found:
        raise FormatError(
            f"no field of {path.name} is known to hold scores (its fields: "
            f"{', '.join(names) or 'none'}): name one for complexity, for quality, or for both"
        )
    return found


def read_scores(path: Path, fields: Mapping[str, str]) -> Iterator[ScoreRow | Reject]:
    """What each record gives, or a reject. fields: dimension -> field, with dots if nested."""
    layout = _layout(path)
    for position, item in enumerate(_records(path)):
        if isinstance(item, Damage):
            yield Reject(position, item.line, item.reason, item.raw)
            continue
        found = _score_row(position, item, fields, layout)
        yield Reject(position, item.line, found, item.raw) if isinstance(found, str) else found


def _records(path: Path) -> Iterator[Record | Damage]:
    if not path.is_file():
        raise FormatError(f"there is no file {path}: check the path")
    return records(path, sniff(path, _is_object), _is_object)


def _is_object(value: object) -> bool:
    return isinstance(value, dict)


def _layout(path: Path) -> PoolMapping | None:
    """How the conversations in the file are written down; None when there are none in it."""
    try:
        return detect(path).mapping
    except FormatError:
        return None


def _score_row(
    position: int, item: Record, fields: Mapping[str, str], layout: PoolMapping | None
) -> ScoreRow | str:
    found = {dimension: lookup(item.value, field) for dimension, field in fields.items()}
    values = {dimension: value for dimension, value in found.items() if value is not MISSING}
    if not values:
        return f"it has no field {' or '.join(map(repr, fields.values()))}"
    turn = lookup(item.value, "turn")
    number: int | None = None
    if turn not in (MISSING, None, ""):
        if not re.fullmatch(r"\d{1,9}(\.0)?", str(turn)):
            return f"turn must be a whole number from 0, got {turn!r}"
        number = int(float(str(turn)))
    if identity := _identity(item, layout):
        return ScoreRow(position, item.line, identity, number, values)
    return "it names no conversation: neither by id nor by its messages"


def _identity(item: Record, layout: PoolMapping | None) -> str | None:
    for name in ("id", "conversation_id"):
        given = lookup(item.value, name)
        if isinstance(given, str) and _ID.fullmatch(given):
            return given
    row = next(rows_of(iter([item]), layout), None) if layout else None
    return row.conversation.id if isinstance(row, PoolRow) else None


SCORE_FORMATS = ("deita", "csv", "parquet")


def write_scores(rows: Path, format: str, out: Path, tell: Callable[[int], None]) -> str:
    """Writes the scores in the Parquet file `rows` to `out`; says what it wrote.

    format: "deita", for the reference implementation, from one row a conversation; those with a
    missing score are left out, and counted. "csv" or "parquet", from one row a turn, with the
    reason where there is no score. tell: called with the rows done. Raises OSError.
    """
    writers = {"deita": _write_deita, "csv": _write_csv, "parquet": _write_parquet}
    return writers[format](rows, out, tell)


def _write_deita(rows: Path, out: Path, tell: Callable[[int], None]) -> str:
    written = left_out = 0
    with out.open("w", encoding="utf-8") as file:
        file.write("[")
        for row in _rows(rows):
            scores = [score for d in USUAL_FIELDS for score in row[d] or ()]
            if any(score is None or not math.isfinite(score) for score in scores):
                left_out += 1
            else:
                file.write(",\n" if written else "\n")
                json.dump(deita_record(row), file, ensure_ascii=False, allow_nan=False)
                written += 1
            tell(written + left_out)
        file.write("\n]\n")
    said = f"{written:,} conversations"
    return f"{said}; {left_out:,} left out (a turn has no score)" if left_out else said


def deita_record(row: Mapping[str, Any]) -> dict[str, Any]:
    """A conversation as the reference implementation writes it: it pairs messages by position.

    So each turn gives exactly two; an open question at the end gives one.
    """
    conversation = Conversation.from_json(row["messages"])
    said: list[dict[str, str]] = []
    for turn in conversation.turns:
        said.append({"from": "human", "value": turn.instruction})
        if turn.response is not None or turn is not conversation.turns[-1]:
            said.append({"from": "gpt", "value": turn.response or ""})
    record: dict[str, Any] = {"id": row["id"], "conversations": said}
    if conversation.system is not None:
        record["system"] = conversation.system
    for dimension in USUAL_FIELDS:
        if row[dimension] is not None:
            record[f"{dimension}_scores"] = row[dimension]
    return record


def _rows(path: Path) -> Iterator[dict[str, Any]]:
    import pyarrow.parquet as pq

    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(1024):
            yield from batch.to_pylist()


def _write_csv(rows: Path, out: Path, tell: Callable[[int], None]) -> str:
    import pyarrow as pa
    import pyarrow.csv as pc
    import pyarrow.parquet as pq

    done = 0
    with pq.ParquetFile(rows) as file, pc.CSVWriter(str(out), file.schema_arrow) as writer:
        for batch in file.iter_batches(8192):
            for at, field in enumerate(batch.schema):
                if pa.types.is_string(field.type) and field.name != "id":
                    texts = [text and cell_text(text) for text in batch.column(at).to_pylist()]
                    batch = batch.set_column(at, field, pa.array(texts, field.type))
            writer.write_batch(batch)
            done += batch.num_rows
            tell(done)
    return f"{done:,} turns"


def _write_parquet(rows: Path, out: Path, tell: Callable[[int], None]) -> str:
    import pyarrow.parquet as pq

    table = pq.read_table(rows)
    pq.write_table(table, out, compression="zstd")
    return f"{len(table):,} turns"
