"""The export formats: how a conversation is written down in each, and how records fill a file.

ShareGPT (`from` / `value`): the system message stays the first message, where LLaMA-Factory and
axolotl read it, so that a second one later in the chat keeps its place. `tools` is JSON text, as
LLaMA-Factory expects, or null (axolotl refuses an empty text). Every record has every field, so
that a reader that looks at the first records only finds them all.

OpenAI (`role` / `content`): a function call is an assistant message with `tool_calls`; each tool
result names the call it answers, the oldest one still open. Tools are wrapped as
`{"type": "function", "function": ...}`. Reasoning is `reasoning_content`, where chat templates
look for it.

Alpaca knows one optional system message and pairs of a user message and its answer; every other
shape is refused rather than bent. `input` stays empty: the instruction is the whole user message.

CSV and Parquet hold our own roles (`conversation.ROLES`): TRL reads chats of system, user and
assistant as they are; LLaMA-Factory reads the other two through the tags in its
dataset_info.json.
"""

from __future__ import annotations

import csv
import io
import json
import math
import re
from collections import deque
from collections.abc import Iterable
from collections.abc import Mapping as MappingType
from itertools import count, islice, zip_longest
from typing import Any, BinaryIO

import deita_core.formats.write.trainers as trainers
from deita_core.conversation import Message
from deita_core.files import cell_text
from deita_core.formats.read.layout import Mapping
from deita_core.formats.read.trees import FLAT_TREE
from deita_core.formats.write.export_format import (
    ExportFormat,
    ExportRow,
    JsonObject,
    JsonValue,
    NotExpressibleError,
)

_CSV_FIELDS = ("messages", "tools", "instruction", "response")
# Cells that are there to be looked at; the others are read back, and stay as they are.
_SHOWN = ("instruction", "response", "source", "edited_by")
_ROWS_PER_GROUP = 1_000
Fields = MappingType[str, str]


def write_json_array(file: BinaryIO, records: Iterable[JsonObject], beside: Fields) -> None:
    """A JSON array, one record per line, so that it can be compared and paged line by line."""
    start = b"[\n"
    for record in records:
        file.write(start + _json(record))
        start = b",\n"
    file.write(b"[]\n" if start == b"[\n" else b"\n]\n")


def write_json_lines(file: BinaryIO, records: Iterable[JsonObject], beside: Fields) -> None:
    """JSON Lines: one record per line."""
    for record in records:
        file.write(_json(record) + b"\n")


def write_original(file: BinaryIO, records: Iterable[JsonObject], beside: Fields) -> None:
    """The lines of JSON text that each record holds under "lines"."""
    for record in records:
        lines = record["lines"]
        assert isinstance(lines, list)  # noqa: S101 - for the type checker
        file.write("".join(f"{line}\n" for line in lines).encode())


def write_csv(file: BinaryIO, records: Iterable[JsonObject], beside: Fields) -> None:
    """UTF-8, comma, every text quoted: a bare carriage return inside a text survives."""
    columns = (*_CSV_FIELDS, *beside)
    file.write(_csv_line(columns))
    for record in records:
        file.write(_csv_line(_cell(name, record[name]) for name in columns))


def _csv_line(cells: Iterable[JsonValue]) -> bytes:
    text = io.StringIO(newline="")
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_NONNUMERIC).writerow(cells)
    return text.getvalue().encode("utf-8")


def _cell(name: str, value: JsonValue) -> JsonValue:
    if name in _SHOWN and isinstance(value, str):
        return cell_text(value)
    return json.dumps(value, ensure_ascii=False) if isinstance(value, list) else value


def write_parquet(file: BinaryIO, records: Iterable[JsonObject], beside: Fields) -> None:
    """Row groups of 1,000 rows; memory holds one group."""
    import pyarrow as pa
    import pyarrow.parquet as parquet

    message = pa.struct([("role", pa.string()), ("content", pa.string())])
    fields = [("messages", pa.list_(message)), ("tools", pa.string())]
    for name, kind in beside.items():
        is_list = kind == "list<string>"
        fields.append((name, pa.list_(pa.string()) if is_list else pa.type_for_alias(kind)))
    schema = pa.schema(fields)
    left = iter(records)
    with parquet.ParquetWriter(file, schema, compression="zstd") as writer:
        while group := list(islice(left, _ROWS_PER_GROUP)):
            writer.write_table(pa.Table.from_pylist(group, schema=schema))


def _json(record: JsonObject) -> bytes:
    return json.dumps(record, ensure_ascii=False, allow_nan=False).encode("utf-8")


# The roles that ShareGPT names otherwise.
_FROM = {"user": "human", "assistant": "gpt", "tool": "observation"}


def sharegpt_record(row: ExportRow) -> JsonObject:
    """The row as a ShareGPT record; `tools` is null where there are none."""
    chat = row.conversation
    return {"conversations": list(map(sharegpt_message, chat.messages)), "tools": chat.tools}


def sharegpt_message(message: Message) -> JsonObject:
    """The message with ShareGPT's name of its role."""
    return {"from": _FROM.get(message.role, message.role), "value": message.content}


SHAREGPT = ExportFormat(
    key="sharegpt",
    label="ShareGPT JSON",
    extension=".json",
    explanation="A list of chats, each message with from and value; several turns, system "
    "messages and function calls fit.",
    trainers=("LLaMA-Factory", "axolotl", "FastChat"),
    record=sharegpt_record,
    write=write_json_array,
    mapping=Mapping(
        "sharegpt", {"messages": "conversations", "role": "from", "text": "value", "tools": "tools"}
    ),
    checks={"LLaMA-Factory": trainers.llama_factory_problem, "axolotl": trainers.axolotl_problem},
)


_MESSAGES = Mapping(
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
    call_ids = map("call_{}".format, count())
    waiting: deque[str] = deque()
    for message in messages:
        if message.role == "function_call":
            waiting.append(next(call_ids))
            _add_call(made, _call(message.content, waiting[-1]), message.reasoning)
        elif message.role == "tool":
            if not waiting:
                raise NotExpressibleError(
                    "a tool result follows no function call; OpenAI needs the call it answers"
                )
            made.append(
                {"role": "tool", "tool_call_id": waiting.popleft(), "content": message.content}
            )
        else:
            made.append({**message.to_object()})
    return list(made)


def _add_call(made: list[JsonObject], call: JsonObject, reasoning: str | None) -> None:
    """Puts the call into the assistant's message before it, or into a new one.

    Calls in messages of their own would each need their result at once; but one with reasoning
    of its own begins a message, for it is there that the reasoning stands.
    """
    last = made[-1] if made and reasoning is None else {}
    calls = last.get("tool_calls")
    if isinstance(calls, list):
        calls.append(call)
    elif last.get("role") == "assistant" and last["content"]:
        last["tool_calls"] = [call]
    else:
        thought: JsonObject = {} if reasoning is None else {"reasoning_content": reasoning}
        made.append({"role": "assistant", "content": None, "tool_calls": [call], **thought})


def _call(content: str, call_id: str) -> JsonObject:
    call = _parsed(content)
    known = isinstance(call, dict) and call.keys() == {"name", "arguments"}
    if not known or not isinstance(call["name"], str):
        raise NotExpressibleError(
            'a function call is not {"name": ..., "arguments": ...}; the ShareGPT export keeps it'
        )
    arguments = json.dumps(call["arguments"], ensure_ascii=False)
    function: JsonObject = {"name": call["name"], "arguments": arguments}
    return {"id": call_id, "type": "function", "function": function}


def _tools(tools: str) -> JsonValue:
    known = _parsed(tools)
    if not isinstance(known, list) or not all(isinstance(tool, dict) for tool in known):
        raise NotExpressibleError("its tools are not a JSON list; the ShareGPT export keeps them")
    return [t if "function" in t else {"type": "function", "function": t} for t in known]


def _parsed(text: str) -> Any:
    """What JSON text says; None for what is none, or cannot be written as such again."""
    try:
        return json.loads(text, parse_constant=_finite, parse_float=_finite)
    except (ValueError, RecursionError):
        return None


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError(f"{text} is no JSON, or too large")
    return number


OPENAI = ExportFormat(
    key="openai",
    label="OpenAI messages JSONL",
    extension=".jsonl",
    explanation="messages with role and content, function calls as tool_calls; what OpenAI's "
    "fine-tuning and most chat templates take.",
    trainers=("OpenAI", "TRL", "axolotl", "LLaMA-Factory"),
    scores_by_default=False,
    record=openai_record,
    write=write_json_lines,
    mapping=_MESSAGES,
    reasoning=True,
    checks={
        "OpenAI": trainers.openai_problem,
        "LLaMA-Factory": trainers.llama_factory_openai_problem,
    },
)


def alpaca_record(row: ExportRow) -> JsonObject:
    """The row as an Alpaca record. Raises NotExpressibleError for a shape Alpaca lacks."""
    messages = row.conversation.messages
    roles = [message.role for message in messages]
    if row.conversation.tools is not None or "function_call" in roles or "tool" in roles:
        raise NotExpressibleError("Alpaca has no place for tools and function calls")
    if "system" in roles[1:]:
        raise NotExpressibleError("Alpaca has no place for a system message after the start")
    system = ""
    if roles[:1] == ["system"]:
        system, messages = messages[0].content, messages[1:]
        if not system:
            raise NotExpressibleError("Alpaca cannot tell an empty system message from none")
    if not messages or messages[0].role == "assistant":
        raise NotExpressibleError("Alpaca has no place for a chat that the user does not start")
    users, answers = messages[0::2], messages[1::2]
    if any(m.role != "user" for m in users) or any(m.role != "assistant" for m in answers):
        raise NotExpressibleError("Alpaca needs user and assistant to alternate")
    # A last question without an answer is paired with None.
    pairs = zip_longest((m.content for m in users), (m.content for m in answers))
    *history, (instruction, output) = map(list[JsonValue], pairs)
    return {
        "instruction": instruction,
        "input": "",
        "output": output,
        "system": system,
        "history": list[JsonValue](history),
    }


ALPACA = ExportFormat(
    key="alpaca",
    label="Alpaca JSON",
    extension=".json",
    explanation="instruction, input and output, earlier turns as history; a missing last "
    "answer is null. Chats with function calls do not fit and are left out.",
    trainers=("LLaMA-Factory", "axolotl", "Stanford Alpaca"),
    record=alpaca_record,
    write=write_json_array,
    mapping=Mapping(
        "alpaca", {name: name for name in ("instruction", "input", "output", "system", "history")}
    ),
    checks={
        "LLaMA-Factory": trainers.llama_factory_alpaca_problem,
        "axolotl": trainers.alpaca_problem,
        "Stanford Alpaca": trainers.alpaca_problem,
    },
)


def csv_record(row: ExportRow) -> JsonObject:
    """The chat as JSON text beside its first turn. Raises NotExpressibleError."""
    turns, tools = row.conversation.turns, row.conversation.tools
    # Tools are read back, so that no apostrophe can stand in front of them.
    if tools is not None and cell_text(tools) != tools:
        raise NotExpressibleError("its tools begin like a formula, which a spreadsheet would run")
    return {
        "messages": row.conversation.to_json(),
        "tools": tools,
        "instruction": turns[0].instruction if turns else None,
        "response": turns[0].response if turns else None,
    }


CSV = ExportFormat(
    key="csv",
    label="CSV",
    extension=".csv",
    explanation="One line per chat: messages as JSON text, the first turn in columns of its "
    "own, and the scores; for spreadsheets. Of these columns, a text that a spreadsheet would "
    "run as a formula (= + - @) begins with an apostrophe; messages are exact.",
    record=csv_record,
    write=write_csv,
    mapping=_MESSAGES,
    reasoning=True,
)


def parquet_record(row: ExportRow) -> JsonObject:
    """Messages as a list of {role, content}, and the tools as JSON text."""
    chat = row.conversation
    messages: list[JsonValue] = [{"role": m.role, "content": m.content} for m in chat.messages]
    return {"messages": messages, "tools": chat.tools}


PARQUET = ExportFormat(
    key="parquet",
    label="Parquet",
    extension=".parquet",
    explanation="Messages with role and content, and the scores, in typed columns; small, and "
    "what the Hugging Face hub shows best.",
    trainers=("TRL", "LLaMA-Factory"),
    record=parquet_record,
    write=write_parquet,
    mapping=_MESSAGES,
    checks={"TRL": trainers.chat_template_problem, "LLaMA-Factory": trainers.llama_factory_problem},
)


def original_lines(row: ExportRow) -> JsonObject:
    """Under "lines" the original record; for a tree of messages, each of its messages."""
    # In valid JSON a bare line end is never part of a string, so that a blank is the same value.
    line = row.raw.strip().replace("\r", " ").replace("\n", " ")
    if original_change(row):
        line = _CONSTANT.sub(lambda found: found["text"] or "null", line)
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise NotExpressibleError(f"the original record is not JSON: {error}") from error
    try:
        line.encode("utf-8")
    except UnicodeEncodeError as error:
        raise NotExpressibleError("the original record holds a lone surrogate") from error
    is_tree = isinstance(value, list) and value and all(map(FLAT_TREE.fits, value))
    return {"lines": _elements(line) if is_tree else [line]}


# A text of JSON, which stays, or one of the numbers that Python reads but JSON lacks.
_CONSTANT = re.compile(r'(?P<text>"[^"\\]*(?:\\.[^"\\]*)*")|-?Infinity|NaN')


def original_change(row: ExportRow) -> str | None:
    """What the written record has otherwise than the original one, or None."""
    if "NaN" not in row.raw and "Infinity" not in row.raw:
        return None
    if not all(found["text"] for found in _CONSTANT.finditer(row.raw)):
        return "with NaN or Infinity, which are no JSON: null stands in their place"
    return None


def _elements(array: str) -> list[JsonValue]:
    """The texts of the elements of a JSON array, each exactly as it stands there."""
    decoder = json.JSONDecoder()
    found: list[JsonValue] = []
    at = 1
    while True:
        while array[at] in ", \t":
            at += 1
        if array[at] == "]":
            return found
        _, end = decoder.raw_decode(array, at)
        found.append(array[at:end])
        at = end


ORIGINAL = ExportFormat(
    key="original",
    label="Original records",
    extension=".jsonl",
    explanation="Each kept record exactly as it was in its pool file, one per line; for "
    "pipelines that read that format already. Only NaN and Infinity, which are no JSON, become "
    "null.",
    scores_by_default=False,
    record=original_lines,
    change=original_change,
    write=write_original,
    reasoning=True,
)
