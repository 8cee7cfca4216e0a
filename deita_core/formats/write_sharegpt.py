"""ShareGPT JSON: `conversations` of `from` / `value`, as LLaMA-Factory and axolotl read it.

The system message stays the first message (both trainers read it there), so that a second one
later in the chat keeps its place. `tools` is JSON text, as LLaMA-Factory expects, or null (axolotl
refuses an empty text). Every row has every field, so that a reader that looks at the first rows
only finds them all.
"""

from __future__ import annotations

from typing import BinaryIO

from deita_core.formats.model import Mapping
from deita_core.formats.write_checks import axolotl_problem, llama_factory_problem
from deita_core.formats.write_json import JsonArraySink, Recorder
from deita_core.formats.write_model import Check, ExportFormat, ExportRow, JsonObject

FROM = {
    "system": "system",
    "user": "human",
    "assistant": "gpt",
    "function_call": "function_call",
    "tool": "observation",
}

MAPPING = Mapping(
    "sharegpt",
    {"messages": "conversations", "role": "from", "text": "value", "tools": "tools"},
)


def record(row: ExportRow) -> JsonObject:
    """The row as a ShareGPT record; `tools` is null where there are none."""
    messages = row.conversation.messages
    return {
        "conversations": [{"from": FROM[m.role], "value": m.content} for m in messages],
        "tools": row.conversation.tools,
    }


def _open(file: BinaryIO, with_scores: bool) -> JsonArraySink:
    return JsonArraySink(file, Recorder(record, MAPPING), with_scores)


FORMAT = ExportFormat(
    key="sharegpt",
    label="ShareGPT JSON",
    extension=".json",
    explanation="A list of chats, each message with from and value; several turns, system "
    "messages and function calls fit.",
    trainers=("LLaMA-Factory", "axolotl", "FastChat"),
    scores_by_default=True,
    mapping=MAPPING,
    open=_open,
    checks=(
        Check("LLaMA-Factory", llama_factory_problem),
        Check("axolotl", axolotl_problem),
    ),
)
