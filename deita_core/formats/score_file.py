"""Files of scores: which conversation each record is about, and what it gives.

A record names its conversation by id (the 32 hex digits that exports carry), or it holds the
conversation itself, in any layout a pool file can have: the same messages have the same id. The
reference implementation of the paper writes ShareGPT conversations with the lists
`complexity_scores` and `quality_scores`, one number for each turn.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from deita_core.errors import FormatError
from deita_core.formats.read.containers import records, sniff
from deita_core.formats.read.detect import detect
from deita_core.formats.read.layout import MISSING, PoolRow, Reject, lookup
from deita_core.formats.read.layout import Mapping as PoolMapping
from deita_core.formats.read.rows import rows_of
from deita_core.formats.read.text import Damage, Record

ID_FIELDS = ("id", "conversation_id")
TURN_FIELD = "turn"
# Fields that hold a dimension's scores by their usual names, the likeliest first.
USUAL_FIELDS: Mapping[str, tuple[str, ...]] = {
    dimension: (
        f"{dimension}_scores",
        dimension,
        f"{dimension}_score",
        f"Deita_{dimension.capitalize()}",
    )
    for dimension in ("complexity", "quality")
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
    """The fields of a file that hold complexity and quality, by their usual names.

    Raises FormatError, naming the fields there are, when there is none.
    """
    names = score_field_names(path)
    found = {
        dimension: field
        for dimension, usual in USUAL_FIELDS.items()
        if (field := next((name for name in usual if name in names), None))
    }
    if not found:
        raise FormatError(
            f"no field of {path.name} is known to hold scores (its fields: "
            f"{', '.join(names) or 'none'}): name one for complexity, for quality, or for both"
        )
    return found


def read_scores(path: Path, fields: Mapping[str, str]) -> Iterator[ScoreRow | Reject]:
    """Every record of the file, as what it gives or as a reject with the reason.

    fields: dimension -> field (dots lead into nested objects).
    """
    layout = _layout(path)
    for position, item in enumerate(_records(path)):
        if isinstance(item, Damage):
            yield Reject(position, item.line, item.reason, item.raw)
            continue
        found = _score_row(position, item, fields, layout)
        if isinstance(found, str):
            yield Reject(position, item.line, found, item.raw)
        else:
            yield found


def _records(path: Path) -> Iterator[Record | Damage]:
    if not path.is_file():
        raise FormatError(f"there is no file {path}: check the path")
    return records(path, sniff(path, _is_record), _is_record)


def _is_record(value: object) -> bool:
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
    values = {
        d: value for d, f in fields.items() if (value := lookup(item.value, f)) is not MISSING
    }
    if not values:
        return f"it has no field {' or '.join(map(repr, fields.values()))}"
    turn = lookup(item.value, TURN_FIELD)
    number: int | None = None
    if turn is not MISSING and turn is not None and turn != "":
        if not re.fullmatch(r"\d{1,9}(\.0)?", str(turn)):
            return f"turn must be a whole number from 0, got {turn!r}"
        number = int(float(str(turn)))
    identity = _identity(item, layout)
    if identity is None:
        return "it names no conversation: neither by id nor by its messages"
    return ScoreRow(position, item.line, identity, number, values)


def _identity(item: Record, layout: PoolMapping | None) -> str | None:
    for name in ID_FIELDS:
        given = lookup(item.value, name)
        if isinstance(given, str) and _ID.fullmatch(given):
            return given
    if layout is None:
        return None
    row = next(rows_of(iter([item]), layout), None)
    return row.conversation.id if isinstance(row, PoolRow) else None
