"""CSV, for spreadsheets and notebooks: the whole chat as JSON text beside its first turn.

A spreadsheet runs a cell that begins with = + - @ (or a tab or return before them) as a formula.
So the cells that are there to be looked at (first turn, source) get an apostrophe in front of
such a beginning. The cells that are read back stay as they are: messages begin with a bracket,
and a row whose tools begin like a formula is refused.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import BinaryIO

from deita_core.formats.model import Mapping
from deita_core.formats.write_model import (
    SCORE_FIELDS,
    ExportFormat,
    ExportRow,
    JsonObject,
    JsonValue,
    NotExpressibleError,
    filled,
    score_fields,
)
from deita_core.formats.write_verify import verify

MAPPING = Mapping(
    "openai", {"messages": "messages", "role": "role", "text": "content", "tools": "tools"}
)
FORMULA = ("=", "+", "-", "@", "\t", "\r")
TEXT_FIELDS = ("messages", "tools", "instruction", "response")


class CsvSink:
    """UTF-8, comma, every text quoted: a bare carriage return inside a text survives."""

    def __init__(self, file: BinaryIO, with_scores: bool) -> None:
        self._file, self._with_scores = file, with_scores
        self._columns = TEXT_FIELDS + (SCORE_FIELDS if with_scores else ())
        self._file.write(_line(self._columns))

    def add(self, row: ExportRow) -> frozenset[str]:
        """Appends the row. Raises NotExpressibleError when it would not read back."""
        turns, tools = row.conversation.turns, row.conversation.tools
        if tools is not None and tools.startswith(FORMULA):
            raise NotExpressibleError(
                "its tools begin like a formula, which a spreadsheet would run"
            )
        record: JsonObject = {
            "messages": row.conversation.to_json(),
            "tools": tools,
            "instruction": _harmless(turns[0].instruction if turns else None),
            "response": _harmless(turns[0].response if turns else None),
        }
        verify(record, MAPPING, row.conversation)
        if self._with_scores:
            record |= score_fields(row)
            record["source"] = _harmless(record["source"])
            record["flags"] = json.dumps(list(row.flags), ensure_ascii=False)
        self._file.write(_line([record[name] for name in self._columns]))
        return filled(record)

    def close(self) -> None:
        """Nothing to complete."""


def _harmless(cell: JsonValue) -> JsonValue:
    """The cell as a spreadsheet shows it rather than runs it."""
    return f"'{cell}" if isinstance(cell, str) and cell.startswith(FORMULA) else cell


def _line(cells: Sequence[object]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC).writerow(cells)
    return text.getvalue().encode("utf-8")


def _open(file: BinaryIO, with_scores: bool) -> CsvSink:
    return CsvSink(file, with_scores)


FORMAT = ExportFormat(
    key="csv",
    label="CSV",
    extension=".csv",
    explanation="One line per chat: messages as JSON text, the first turn in columns of its "
    "own, and the scores; for spreadsheets. Of these columns, a text that a spreadsheet would "
    "run as a formula (= + - @) begins with an apostrophe; messages are exact.",
    trainers=(),
    scores_by_default=True,
    mapping=MAPPING,
    open=_open,
)
