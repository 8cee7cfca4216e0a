"""ShareGPT JSON: `conversations` of `from` / `value`, as LLaMA-Factory and axolotl read it.

The system message stays the first message (both trainers read it there), so that a second one
later in the chat keeps its place. `tools` is JSON text, as LLaMA-Factory expects.
"""

from __future__ import annotations

from typing import BinaryIO

from deita_core.formats.write_checks import llama_factory_problem, no_answer
from deita_core.formats.write_json import JsonArraySink
from deita_core.formats.write_model import Check, ExportFormat, ExportRow, JsonObject

FROM = {
    "system": "system",
    "user": "human",
    "assistant": "gpt",
    "function_call": "function_call",
    "tool": "observation",
}


def record(row: ExportRow) -> JsonObject:
    """The row as a ShareGPT record; `tools` only where there are tools."""
    messages = row.conversation.messages
    made: JsonObject = {
        "conversations": [{"from": FROM[m.role], "value": m.content} for m in messages]
    }
    if row.conversation.tools is not None:
        made["tools"] = row.conversation.tools
    return made


def _open(file: BinaryIO, with_scores: bool) -> JsonArraySink:
    return JsonArraySink(file, record, with_scores)


FORMAT = ExportFormat(
    key="sharegpt",
    label="ShareGPT JSON",
    extension=".json",
    explanation="A list of chats, each message with from and value; several turns, system "
    "messages and function calls fit.",
    trainers=("LLaMA-Factory", "axolotl", "FastChat"),
    scores_by_default=True,
    open=_open,
    checks=(
        Check("LLaMA-Factory", llama_factory_problem),
        Check("axolotl", no_answer),
    ),
)
