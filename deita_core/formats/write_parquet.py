"""Parquet: messages as a list of {role, content}, with the scores beside them.

Roles are ours (`conversation.ROLES`): TRL reads chats of system, user and assistant as they
are; LLaMA-Factory reads the other two through the tags in its dataset_info.json.
"""

from __future__ import annotations

from typing import Any, BinaryIO

from deita_core.formats.model import Mapping
from deita_core.formats.write_checks import chat_template_problem, llama_factory_problem
from deita_core.formats.write_model import (
    Check,
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
        verify(record, MAPPING, row.conversation)
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


def _open(file: BinaryIO, with_scores: bool) -> ParquetSink:
    return ParquetSink(file, with_scores)


FORMAT = ExportFormat(
    key="parquet",
    label="Parquet",
    extension=".parquet",
    explanation="Messages with role and content, and the scores, in typed columns; small, and "
    "what the Hugging Face hub shows best.",
    trainers=("TRL", "LLaMA-Factory"),
    scores_by_default=True,
    mapping=MAPPING,
    open=_open,
    checks=(
        Check("TRL", chat_template_problem),
        Check("LLaMA-Factory", llama_factory_problem),
    ),
)
