"""OpenAI chat JSONL: `messages` of `role` / `content`, function calls as `tool_calls`.

A function call is an assistant message with `tool_calls`; each tool result names the call it
answers, the oldest one still open. Tools are wrapped as `{"type": "function", "function": ...}`.
What would not read back as the same conversation is refused with the reason.
"""

from __future__ import annotations

import json
from collections import deque
from typing import BinaryIO

from deita_core.conversation import Message
from deita_core.formats.model import Mapping
from deita_core.formats.write_checks import llama_factory_openai_problem, openai_problem
from deita_core.formats.write_json import JsonLinesSink, Recorder
from deita_core.formats.write_model import (
    Check,
    ExportFormat,
    ExportRow,
    JsonObject,
    JsonValue,
    NotExpressibleError,
)

_NOT_A_CALL = 'a function call is not {"name": ..., "arguments": ...}; the ShareGPT export keeps it'
MAPPING = Mapping(
    "openai", {"messages": "messages", "role": "role", "text": "content", "tools": "tools"}
)


def record(row: ExportRow) -> JsonObject:
    """The row as an OpenAI training example. Raises NotExpressibleError."""
    made: JsonObject = {"messages": _messages(row.conversation.messages)}
    if row.conversation.tools is not None:
        made["tools"] = _tools(row.conversation.tools)
    return made


def _messages(messages: tuple[Message, ...]) -> list[JsonValue]:
    made: list[JsonObject] = []
    calls = 0
    waiting: deque[str] = deque()
    for message in messages:
        if message.role == "function_call":
            call_id = f"call_{calls}"
            calls += 1
            waiting.append(call_id)
            _add_call(made, _call(message.content, call_id))
        elif message.role == "tool":
            if not waiting:
                raise NotExpressibleError(
                    "a tool result follows no function call; OpenAI needs the call it answers"
                )
            made.append(
                {"role": "tool", "tool_call_id": waiting.popleft(), "content": message.content}
            )
        else:
            made.append({"role": message.role, "content": message.content})
    return list(made)


def _add_call(made: list[JsonObject], call: JsonObject) -> None:
    """Puts the call into the assistant's message before it, or into a new one.

    What the assistant says and calls before it hears back is one message there: calls in
    messages of their own would each need their result at once.
    """
    last = made[-1] if made else {}
    calls = last.get("tool_calls")
    if isinstance(calls, list):
        calls.append(call)
    elif last.get("role") == "assistant" and last["content"]:
        last["tool_calls"] = [call]
    else:
        made.append({"role": "assistant", "content": None, "tool_calls": [call]})


def _call(content: str, call_id: str) -> JsonObject:
    try:
        call = json.loads(content)
    except (ValueError, RecursionError):
        call = None
    if not isinstance(call, dict) or not isinstance(call.get("name"), str) or len(call) != 2:
        raise NotExpressibleError(_NOT_A_CALL)
    if "arguments" not in call:
        raise NotExpressibleError(_NOT_A_CALL)
    function: JsonObject = {
        "name": call["name"],
        "arguments": json.dumps(call["arguments"], ensure_ascii=False),
    }
    return {"id": call_id, "type": "function", "function": function}


def _tools(tools: str) -> JsonValue:
    try:
        known = json.loads(tools)
    except (ValueError, RecursionError):
        known = None
    if not isinstance(known, list) or not all(isinstance(tool, dict) for tool in known):
        raise NotExpressibleError("its tools are not a JSON list; the ShareGPT export keeps them")
    return [
        tool if "function" in tool else {"type": "function", "function": tool} for tool in known
    ]


def _open(file: BinaryIO, with_scores: bool) -> JsonLinesSink:
    return JsonLinesSink(file, Recorder(record, MAPPING), with_scores)


FORMAT = ExportFormat(
    key="openai",
    label="OpenAI messages JSONL",
    extension=".jsonl",
    explanation="messages with role and content, function calls as tool_calls; what OpenAI's "
    "fine-tuning and most chat templates take.",
    trainers=("OpenAI", "TRL", "axolotl", "LLaMA-Factory"),
    scores_by_default=False,
    mapping=MAPPING,
    open=_open,
    checks=(
        Check("OpenAI", openai_problem),
        Check("LLaMA-Factory", llama_factory_openai_problem),
    ),
)
