"""CSV, for spreadsheets and notebooks: the whole chat as JSON text beside its first turn.

A spreadsheet runs a cell that begins with = + - @ (or a tab or return before them) as a formula.
So the cells that are there to be looked at (first turn, source) get an apostrophe in front of
such a beginning. The cells that are read back stay as they are: messages begin with a bracket,
and a row whose tools begin like a formula is refused.

Parquet: messages as a list of {role, content}, with the scores beside them.

Roles are ours (`conversation.ROLES`): TRL reads chats of system, user and assistant as they
are; LLaMA-Factory reads the other two through the tags in its dataset_info.json.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Sequence
from typing import Any, BinaryIO

from deita_core.formats.read.layout import Mapping
from deita_core.formats.write.export_format import (
    SCORE_FIELDS,
    Check,
    ExportFormat,
    ExportRow,
    JsonObject,
    JsonValue,
    NotExpressibleError,
    filled,
    score_fields,
    verify,
)
from deita_core.formats.write.trainers import chat_template_problem, llama_factory_problem

CSV_MAPPING = Mapping(
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
        verify(record, CSV_MAPPING, row.conversation)
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


def _open_csv(file: BinaryIO, with_scores: bool) -> CsvSink:
    return CsvSink(file, with_scores)


CSV = ExportFormat(
    key="csv",
    label="CSV",
    extension=".csv",
    explanation="One line per chat: messages as JSON text, the first turn in columns of its "
    "own, and the scores; for spreadsheets. Of these columns, a text that a spreadsheet would "
    "run as a formula (= + - @) begins with an apostrophe; messages are exact.",
    trainers=(),
    scores_by_default=True,
    mapping=CSV_MAPPING,
    open=_open_csv,
)


PARQUET_MAPPING = Mapping(
    "openai", {"messages": "messages", "role": "role", "text": "content", "tools": "tools"}
)
ROWS_PER_GROUP = 1_000


class ParquetSink:
    """Writes row groups of ROWS_PER_GROUP rows; memory holds one group."""

    def __init__(self, file: BinaryIO, with_scores: bool) -> None:
        import pyarrow.parquet as parquet

        self._with_scores = with_scores
        self._schema = _schema(with_scores)
        self._writer = parquet.ParquetWriter(file, self._schema, compression="zstd")
        self._rows: list[JsonObject] = []

    def add(self, row: ExportRow) -> frozenset[str]:
        """Takes the row. Raises NotExpressibleError when it would not read back."""
        messages = row.conversation.messages
        tools = row.conversation.tools
        record: JsonObject = {
            "messages": [{"role": m.role, "content": m.content} for m in messages],
            "tools": tools,
        }
        verify(record, PARQUET_MAPPING, row.conversation)
        if self._with_scores:
            record |= score_fields(row)
        self._rows.append(record)
        if len(self._rows) == ROWS_PER_GROUP:
            self._flush()
        return filled(record)

    def close(self) -> None:
        """Writes what is left and the footer."""
        self._flush()
        self._writer.close()

    def _flush(self) -> None:
        import pyarrow as pa

        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
            self._rows = []


def _schema(with_scores: bool) -> Any:
    import pyarrow as pa

    message = pa.struct([("role", pa.string()), ("content", pa.string())])
    fields = [("messages", pa.list_(message)), ("tools", pa.string())]
    if with_scores:
        fields += [
            ("id", pa.string()),
            ("rank", pa.int64()),
            ("evol_score", pa.float64()),
            ("complexity", pa.float64()),
            ("quality", pa.float64()),
            ("language", pa.string()),
            ("flags", pa.list_(pa.string())),
            ("source", pa.string()),
            ("position", pa.int64()),
        ]
    return pa.schema(fields)


def _open_parquet(file: BinaryIO, with_scores: bool) -> ParquetSink:
    return ParquetSink(file, with_scores)


PARQUET = ExportFormat(
    key="parquet",
    label="Parquet",
    extension=".parquet",
    explanation="Messages with role and content, and the scores, in typed columns; small, and "
    "what the Hugging Face hub shows best.",
    trainers=("TRL", "LLaMA-Factory"),
    scores_by_default=True,
    mapping=PARQUET_MAPPING,
    open=_open_parquet,
    checks=(
        Check("TRL", chat_template_problem),
        Check("LLaMA-Factory", llama_factory_problem),
    ),
)
