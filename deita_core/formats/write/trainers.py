"""What trainers need: the rules by which they take or drop a row, and LLaMA-Factory's settings.

Sources: LLaMA-Factory's converter of ShareGPT rows (an optional system message, then messages that
alternate between user or tool and assistant or function call, even in number; any other row is
dropped), its converter of OpenAI rows (the same once calls and results are joined; without tools it
adds "detailed thinking off" to the system message), and its loader, which finds columns by
dataset_info.json; OpenAI's fine-tuning guide (at least ten rows, an answer in each, each tool call
answered); the chat templates of TRL and axolotl.
"""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path

from deita_core.conversation import ASSISTANT_ROLES, Conversation, Message
from deita_core.errors import ExportError
from deita_core.files import locked_folder, whole_file
from deita_core.formats.write.export_format import JsonObject

OPENAI_LEAST_ROWS = 10


def no_answer(conversation: Conversation) -> str | None:
    """Nothing to train on: no message of the assistant."""
    answered = any(m.role in ASSISTANT_ROLES for m in conversation.messages)
    return None if answered else "would teach nothing: no message of the assistant"


def llama_factory_problem(conversation: Conversation) -> str | None:
    """Why LLaMA-Factory would drop the row, or None."""
    messages = conversation.messages
    if messages and messages[0].role == "system":
        messages = messages[1:]
    if not messages:
        return "would be dropped: no messages beside the system message"
    for index, message in enumerate(messages):
        if message.role == "system":
            return "would be dropped: a system message after the start"
        if (message.role in ASSISTANT_ROLES) != (index % 2 == 1):
            why = "user and assistant do not alternate" if index else "starts with the assistant"
            return f"would be dropped: {why}"
    return "would be dropped: odd number of messages" if len(messages) % 2 else None


def llama_factory_alpaca_problem(conversation: Conversation) -> str | None:
    """Why LLaMA-Factory would drop the row of an Alpaca file, or None."""
    answered = conversation.messages[-1].role in ASSISTANT_ROLES
    return None if answered else "would be dropped: no last answer"


def alpaca_problem(conversation: Conversation) -> str | None:
    """What trainers that read instruction, input and output alone would get wrong, or None."""
    if conversation.messages[-1].role not in ASSISTANT_ROLES:
        return "would teach a wrong answer: the last one is missing"
    if sum(message.role == "user" for message in conversation.messages) > 1:
        return "with earlier turns, which it does not read"
    return "with a system message, which it does not read" if conversation.system else None


def axolotl_problem(conversation: Conversation) -> str | None:
    """Why axolotl would stop at the row of a ShareGPT file, or None: it wants tools as a list."""
    if conversation.tools is not None:
        return "with tools as text, which it reads only as a list: use the OpenAI export"
    return no_answer(conversation)


def openai_problem(conversation: Conversation) -> str | None:
    """Why OpenAI's fine-tuning would refuse the file because of this row, or None."""
    if problem := no_answer(conversation):
        return problem
    if any(m.reasoning is not None for m in conversation.messages):
        return "would be refused: reasoning_content is no field of OpenAI's"
    if conversation.messages[-1].role not in ASSISTANT_ROLES:
        return "would be refused: the last message is not the assistant's"
    if _unanswered_call(conversation.messages):
        return "would be refused: a function call without its result"
    return None


def _unanswered_call(messages: tuple[Message, ...]) -> bool:
    # The last call may stay open: it is then what the row teaches.
    waiting = 0
    for message in messages:
        if message.role == "function_call":
            waiting += 1
        elif message.role == "tool":
            waiting -= 1
        elif waiting > 0:
            return True
    return False


def llama_factory_openai_problem(conversation: Conversation) -> str | None:
    """As `llama_factory_problem`, for messages in OpenAI's form.

    Its converter takes a message with calls for its calls alone, joins tool results that follow
    each other, and loses those at the end.
    """
    messages = conversation.messages
    joined: list[Message] = []
    for message in messages:
        last = joined[-1] if joined else Message("system", "")
        call = message.role == "function_call" and message.reasoning is None
        if message.role == last.role and (call or last.role == "tool"):
            continue
        if call and last.role == "assistant" and last.content:
            return "with a text beside a tool call, which it does not read"
        joined.append(message)
    if joined and joined[-1].role == "tool":
        return "would be dropped: no answer to the last tool result"
    if problem := llama_factory_problem(Conversation(tuple(joined))):
        return problem
    if any(m.role == "function_call" for m in messages):
        return "with tool calls, whose arguments it takes for a text: use the ShareGPT export"
    return None


def chat_template_problem(conversation: Conversation) -> str | None:
    """Why a chat template (TRL, axolotl) may fail on messages with our role names, or None."""
    if any(m.role == "function_call" for m in conversation.messages):
        return "with the role function_call, which chat templates lack: use the OpenAI export"
    return no_answer(conversation)


DATASET_INFO = "dataset_info.json"
# A column that is listed but absent makes the loader fail; one that is not listed is ignored.
_COLUMNS: dict[str, dict[str, str]] = {
    "sharegpt": {"messages": "conversations", "tools": "tools"},
    "openai": {"messages": "messages", "tools": "tools"},
    "parquet": {"messages": "messages", "tools": "tools"},
    "alpaca": {"prompt": "instruction", "query": "input", "response": "output"}
    | {name: name for name in ("system", "history")},
}
_ALWAYS = frozenset({"conversations", "messages", "instruction", "input", "output"})
READABLE = frozenset(_COLUMNS)  # by LLaMA-Factory
_FORMATTING = {"alpaca": "alpaca", "openai": "openai"}  # else ShareGPT
MESSAGE_TAGS: JsonObject = {
    "role_tag": "role",
    "content_tag": "content",
    "user_tag": "user",
    "assistant_tag": "assistant",
    "observation_tag": "tool",
    "function_tag": "function_call",
    "system_tag": "system",
}


def dataset_info(name: str, file_name: str, format: str, fields: Collection[str]) -> JsonObject:
    """The entry `{name: {...}}` for an export of that format.

    fields: the fields that hold a value in some row (`WriteReport.fields`); only those columns
    are listed. Raises ExportError for a format that LLaMA-Factory does not read.
    """
    columns = _COLUMNS.get(format)
    if columns is None:
        raise ExportError(
            f"LLaMA-Factory does not read {format!r}: export as one of {', '.join(_COLUMNS)}"
        )
    here = _ALWAYS.union(fields)
    entry: JsonObject = {
        "file_name": file_name,
        "formatting": _FORMATTING.get(format, "sharegpt"),
        "columns": {ours: theirs for ours, theirs in columns.items() if theirs in here},
    }
    if format in ("openai", "parquet"):
        entry["tags"] = MESSAGE_TAGS
    return {name: entry}


def merge_dataset_info(path: Path, entry: JsonObject) -> None:
    """Adds `entry` to the dataset_info.json at `path`, in place of one of the same name.

    The file is made when it is missing; entries that are added at the same time all stay. Raises
    ExportError when it is not a JSON object.
    """
    try:
        with locked_folder(path.parent):
            known = check_dataset_info(path)
            text = json.dumps(known | entry, ensure_ascii=False, indent=2) + "\n"
            with whole_file(path) as part:
                part.write_text(text, encoding="utf-8")
    except OSError as error:
        raise ExportError(f"cannot write {path}: {error.strerror or error}") from error


def check_dataset_info(path: Path) -> JsonObject:
    """The entries in a dataset_info.json; none when it is missing. Raises ExportError."""
    try:
        text = path.read_text(encoding="utf-8-sig") if path.exists() else "{}"
        found = json.loads(text, parse_constant=_refuse)
    except (OSError, ValueError) as error:
        raise ExportError(
            f"{path} cannot be read as JSON ({error}): mend it or export to another folder"
        ) from error
    if not isinstance(found, dict):
        what = f"holds a {type(found).__name__}, not an object of datasets"
        raise ExportError(f"{path} {what}: mend it or export to another folder")
    return found


def _refuse(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON")
