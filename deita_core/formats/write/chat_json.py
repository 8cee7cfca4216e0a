"""The two JSON containers: an array with one record per line, and JSON Lines.

ShareGPT JSON: `conversations` of `from` / `value`, as LLaMA-Factory and axolotl read it.

The system message stays the first message (both trainers read it there), so that a second one
later in the chat keeps its place. `tools` is JSON text, as LLaMA-Factory expects, or null (axolotl
refuses an empty text). Every row has every field, so that a reader that looks at the first rows
only finds them all.

OpenAI chat JSONL: `messages` of `role` / `content`, function calls as `tool_calls`.

A function call is an assistant message with `tool_calls`; each tool result names the call it
answers, the oldest one still open. Tools are wrapped as `{"type": "function", "function": ...}`.
What would not read back as the same conversation is refused with the reason.

Alpaca JSON: instruction, input, output, system and history.

Alpaca knows one optional system message and pairs of a user message and its answer, the last of
which may be missing (`output` is null then, "" being an empty answer); every other shape is
refused with the reason rather than bent. The instruction is the whole user message and `input`
stays empty: where an imported row was split into two is not kept.

The original records, untouched, one per line.

A tree of messages that were records of their own (OASST) becomes these records again.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from deita_core.conversation import Conversation, Message
from deita_core.formats.read.layout import Mapping
from deita_core.formats.read.trees import FLAT_TREE
from deita_core.formats.write.export_format import (
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
from deita_core.formats.write.trainers import (
    alpaca_problem,
    axolotl_problem,
    llama_factory_alpaca_problem,
    llama_factory_openai_problem,
    llama_factory_problem,
    openai_problem,
)


@dataclass(frozen=True, slots=True)
class Recorder:
    """Makes the record of a row, sure to read back by `mapping` as the same conversation."""

    record: Callable[[ExportRow], JsonObject]
    mapping: Mapping

    def complete(self, row: ExportRow, with_scores: bool) -> JsonObject:
        """The record, with the scores after it. Raises NotExpressibleError."""
        made = self.record(row)
        verify(made, self.mapping, row.conversation)
        return made | score_fields(row) if with_scores else made


def encode(value: JsonValue) -> bytes:
    """One line of JSON in UTF-8."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")


class JsonArraySink:
    """A JSON array, one record per line, so that it can be compared and paged line by line."""

    def __init__(self, file: BinaryIO, recorder: Recorder, with_scores: bool) -> None:
        self._file, self._recorder, self._with_scores = file, recorder, with_scores
        self._empty = True
        file.write(b"[")

    def add(self, row: ExportRow) -> frozenset[str]:
        """Appends the row's record."""
        record = self._recorder.complete(row, self._with_scores)
        self._file.write((b"\n" if self._empty else b",\n") + encode(record))
        self._empty = False
        return filled(record)

    def close(self) -> None:
        """Closes the array."""
        self._file.write(b"]\n" if self._empty else b"\n]\n")


class JsonLinesSink:
    """JSON Lines: one record per line."""

    def __init__(self, file: BinaryIO, recorder: Recorder, with_scores: bool) -> None:
        self._file, self._recorder, self._with_scores = file, recorder, with_scores

    def add(self, row: ExportRow) -> frozenset[str]:
        """Appends the row's record."""
        record = self._recorder.complete(row, self._with_scores)
        self._file.write(encode(record) + b"\n")
        return filled(record)

    def close(self) -> None:
        """Nothing to complete."""


FROM = {
    "system": "system",
    "user": "human",
    "assistant": "gpt",
    "function_call": "function_call",
    "tool": "observation",
}

SHAREGPT_MAPPING = Mapping(
    "sharegpt",
    {"messages": "conversations", "role": "from", "text": "value", "tools": "tools"},
)


def sharegpt_record(row: ExportRow) -> JsonObject:
    """The row as a ShareGPT record; `tools` is null where there are none."""
    messages = row.conversation.messages
    return {
        "conversations": [{"from": FROM[m.role], "value": m.content} for m in messages],
        "tools": row.conversation.tools,
    }


def _open_sharegpt(file: BinaryIO, with_scores: bool) -> JsonArraySink:
    return JsonArraySink(file, Recorder(sharegpt_record, SHAREGPT_MAPPING), with_scores)


SHAREGPT = ExportFormat(
    key="sharegpt",
    label="ShareGPT JSON",
    extension=".json",
    explanation="A list of chats, each message with from and value; several turns, system "
    "messages and function calls fit.",
    trainers=("LLaMA-Factory", "axolotl", "FastChat"),
    scores_by_default=True,
    mapping=SHAREGPT_MAPPING,
    open=_open_sharegpt,
    checks=(
        Check("LLaMA-Factory", llama_factory_problem),
        Check("axolotl", axolotl_problem),
    ),
)


_NOT_A_CALL = 'a function call is not {"name": ..., "arguments": ...}; the ShareGPT export keeps it'
OPENAI_MAPPING = Mapping(
    "openai", {"messages": "messages", "role": "role", "text": "content", "tools": "tools"}
)


def openai_record(row: ExportRow) -> JsonObject:
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


def _open_openai(file: BinaryIO, with_scores: bool) -> JsonLinesSink:
    return JsonLinesSink(file, Recorder(openai_record, OPENAI_MAPPING), with_scores)


OPENAI = ExportFormat(
    key="openai",
    label="OpenAI messages JSONL",
    extension=".jsonl",
    explanation="messages with role and content, function calls as tool_calls; what OpenAI's "
    "fine-tuning and most chat templates take.",
    trainers=("OpenAI", "TRL", "axolotl", "LLaMA-Factory"),
    scores_by_default=False,
    mapping=OPENAI_MAPPING,
    open=_open_openai,
    checks=(
        Check("OpenAI", openai_problem),
        Check("LLaMA-Factory", llama_factory_openai_problem),
    ),
)


ALPACA_MAPPING = Mapping(
    "alpaca",
    {
        "instruction": "instruction",
        "input": "input",
        "output": "output",
        "system": "system",
        "history": "history",
    },
)


def alpaca_record(row: ExportRow) -> JsonObject:
    """The row as an Alpaca record. Raises NotExpressibleError for a shape Alpaca lacks."""
    system, pairs = _pairs(row.conversation)
    *earlier, (instruction, output) = pairs
    history: list[JsonValue] = [[user, answer] for user, answer in earlier]
    return {
        "instruction": instruction,
        "input": "",
        "output": output,
        "system": system or "",
        "history": history,
    }


def _pairs(conversation: Conversation) -> tuple[str | None, list[tuple[str, str | None]]]:
    messages = conversation.messages
    _refuse_unknown(conversation)
    system: str | None = None
    if messages and messages[0].role == "system":
        system, messages = messages[0].content, messages[1:]
        if not system:
            raise NotExpressibleError("Alpaca cannot tell an empty system message from none")
    if not messages or messages[0].role == "assistant":
        raise NotExpressibleError("Alpaca has no place for a chat that the user does not start")
    users, answers = messages[0::2], messages[1::2]
    if not _all(users, "user") or not _all(answers, "assistant"):
        raise NotExpressibleError("Alpaca needs user and assistant to alternate")
    texts: list[str | None] = [answer.content for answer in answers]
    if len(users) > len(answers):
        texts.append(None)
    return system, [(u.content, text) for u, text in zip(users, texts, strict=True)]


def _all(messages: tuple[Message, ...], role: str) -> bool:
    return all(m.role == role for m in messages)


def _refuse_unknown(conversation: Conversation) -> None:
    if conversation.tools is not None or any(
        m.role in ("function_call", "tool") for m in conversation.messages
    ):
        raise NotExpressibleError("Alpaca has no place for tools and function calls")
    if any(m.role == "system" for m in conversation.messages[1:]):
        raise NotExpressibleError("Alpaca has no place for a system message after the start")


def _open_alpaca(file: BinaryIO, with_scores: bool) -> JsonArraySink:
    return JsonArraySink(file, Recorder(alpaca_record, ALPACA_MAPPING), with_scores)


ALPACA = ExportFormat(
    key="alpaca",
    label="Alpaca JSON",
    extension=".json",
    explanation="instruction, input and output, earlier turns as history; a missing last "
    "answer is null. Chats with function calls do not fit and are left out.",
    trainers=("LLaMA-Factory", "axolotl", "Stanford Alpaca"),
    scores_by_default=True,
    mapping=ALPACA_MAPPING,
    open=_open_alpaca,
    checks=(
        Check("LLaMA-Factory", llama_factory_alpaca_problem),
        Check("axolotl", alpaca_problem),
        Check("Stanford Alpaca", alpaca_problem),
    ),
)


class OriginalSink:
    """JSON Lines of the records as they were read: unknown fields, spacing and all."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def add(self, row: ExportRow) -> frozenset[str]:
        """Appends the original record; for a tree of messages, each of its messages."""
        for line in _lines(row.raw):
            self._file.write(line + b"\n")
        return frozenset()

    def close(self) -> None:
        """Nothing to complete."""


def _lines(raw: str) -> list[bytes]:
    # In valid JSON a bare line end is never part of a string, so that a blank is the same value.
    line = raw.strip().replace("\r", " ").replace("\n", " ")
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise NotExpressibleError(f"the original record is not JSON: {error}") from error
    texts = _elements(line) if _is_flat_tree(value) else [line]
    try:
        return [text.encode("utf-8") for text in texts]
    except UnicodeEncodeError as error:
        raise NotExpressibleError("the original record holds a lone surrogate") from error


def _is_flat_tree(value: object) -> bool:
    """Whether this is a tree whose messages were records of their own in the pool file."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(FLAT_TREE.fits(message) is not None for message in value)
    )


def _elements(array: str) -> list[str]:
    """The texts of the elements of a JSON array, each exactly as it stands there."""
    decoder = json.JSONDecoder()
    found: list[str] = []
    at = 1
    while True:
        while array[at] in ", \t":
            at += 1
        if array[at] == "]":
            return found
        _, end = decoder.raw_decode(array, at)
        found.append(array[at:end])
        at = end


def _open_original(file: BinaryIO, with_scores: bool) -> OriginalSink:
    # Untouched means untouched: scores never go in.
    return OriginalSink(file)


ORIGINAL = ExportFormat(
    key="original",
    label="Original records",
    extension=".jsonl",
    explanation="Each kept record exactly as it was in its pool file, one per line; for "
    "pipelines that read that format already.",
    trainers=(),
    scores_by_default=False,
    mapping=None,
    open=_open_original,
)
