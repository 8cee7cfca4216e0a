"""CSV, for spreadsheets and notebooks: the whole chat as JSON text beside its first turn."""

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
    filled,
    score_fields,
)
from deita_core.formats.write_verify import verify

MAPPING = Mapping(
    "openai", {"messages": "messages", "role": "role", "text": "content", "tools": "tools"}
)
TEXT_FIELDS = ("messages", "tools", "instruction", "response")


class CsvSink:
    """UTF-8, comma, every text quoted: a bare carriage return inside a text survives."""

    def __init__(self, file: BinaryIO, with_scores: bool) -> None:
        self._file, self._with_scores = file, with_scores
        self._columns = TEXT_FIELDS + (SCORE_FIELDS if with_scores else ())
        self._file.write(_line(self._columns))

    def add(self, row: ExportRow) -> frozenset[str]:
        """Appends the row. Raises NotExpressibleError when it would not read back."""
        turns = row.conversation.turns
        record: JsonObject = {
            "messages": row.conversation.to_json(),
            "tools": row.conversation.tools,
            "instruction": turns[0].instruction if turns else None,
            "response": turns[0].response if turns else None,
        }
        verify(record, MAPPING, row.conversation)
        if self._with_scores:
            record |= score_fields(row)
            record["flags"] = json.dumps(list(row.flags), ensure_ascii=False)
        self._file.write(_line([record[name] for name in self._columns]))
        return filled(record)

    def close(self) -> None:
        """Nothing to complete."""


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
    "own, and the scores; for spreadsheets.",
    trainers=(),
    scores_by_default=True,
    mapping=MAPPING,
    open=_open,
)
