"""Decisions as text: JSON objects, JSON Lines, and a table for a spreadsheet."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final, Literal, get_args

from deita_core.files import cell_text
from deita_core.project.ledger import LedgerLine

LedgerFormat = Literal["jsonl", "csv"]
LEDGER_FORMATS: Final[tuple[LedgerFormat, ...]] = get_args(LedgerFormat)


def line_record(line: LedgerLine) -> dict[str, Any]:
    """A line as a JSON object, its time in ISO 8601 with a Z."""
    record = {name: getattr(line, name) for name in LedgerLine.__dataclass_fields__}
    record["made"] = f"{line.made.isoformat(timespec='milliseconds')}Z"
    return record


def ledger_text(lines: Sequence[LedgerLine], format: LedgerFormat) -> str:
    """The lines in their order: a JSON object on each line, or CSV with a header.

    Both have the same fields; texts of the CSV are safe for a spreadsheet.
    """
    return _WRITERS[format](lines)


def _json_lines(lines: Sequence[LedgerLine]) -> str:
    return "".join(f"{json.dumps(line_record(line), ensure_ascii=False)}\n" for line in lines)


def _csv(lines: Sequence[LedgerLine]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(LedgerLine.__dataclass_fields__), lineterminator="\n")
    writer.writeheader()
    for line in lines:
        record = line_record(line).items()
        writer.writerow({k: cell_text(v) if isinstance(v, str) else v for k, v in record})
    return out.getvalue()


_WRITERS: Final[Mapping[LedgerFormat, Callable[[Sequence[LedgerLine]], str]]] = MappingProxyType(
    {"jsonl": _json_lines, "csv": _csv}
)
