"""Records that hold a list: of messages (ShareGPT, OpenAI), or of bare texts.

A message has a role and a text, or holds both sides of a turn under the names of their roles
(`{"human": ..., "assistant": ...}`). A list of bare texts is a chat (LIMA, UltraChat) or questions
only (MT-Bench): the fields beside it decide.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from itertools import cycle

from deita_core.conversation import Message, Role, without_surrogates
from deita_core.formats.read.layout import (
    MISSING,
    ROLE_NAMES,
    WHOLE_RECORD,
    Column,
    Fields,
    Layout,
    Mapping,
    RowError,
    as_list,
    found_columns,
    kind_of,
    lookup,
    role_of,
)
from deita_core.formats.read.parts import REASONING_FIELDS, Spoken, call_text

LISTS = ("conversations", "conversation", "messages", "dialog", "dialogue", "dialogs", "chat")
ROLE_KEYS = ("from", "role", "user", "speaker", "author", "sender", "human_or_bot")
TEXT_KEYS = ("value", "content", "text", "message", "utterance")

MESSAGES = Column("messages", "the list of messages", LISTS, required=True)
ROLE = Column("role", "who speaks, within a message", ROLE_KEYS, shape=True)
TEXT = Column("text", "what is said, within a message", TEXT_KEYS, shape=True)
TOOLS = Column("tools", "the functions that the assistant can call", ("tools", "functions"))
SYSTEM = Column("system", "a system message beside the list", ("system", "system_prompt"))
CHAT_COLUMNS = (MESSAGES, ROLE, TEXT, SYSTEM, TOOLS)


def _chat_columns(record: object) -> dict[str, str] | None:
    """The columns to read a record by, when it or one of its fields is a list of messages."""
    for name, items in _lists(record, LISTS):
        keys = message_keys(items)
        if keys is not None:
            return {**(found_columns((SYSTEM, TOOLS), record) or {}), "messages": name, **keys}
    return None


def _lists(record: object, names: tuple[str, ...]) -> Iterator[tuple[str, list[object] | None]]:
    """The fields of these names as lists, None where one is no list; or the record itself."""
    if isinstance(record, list):
        yield WHOLE_RECORD, record
    elif isinstance(record, dict):
        yield from ((name, as_list(record[name])) for name in names if name in record)


def message_keys(items: list[object] | None) -> dict[str, str] | None:
    """The names of role and text in a list of messages, none in an empty one; None for others."""
    objects = [item for item in items or () if isinstance(item, dict)]
    if items is None or len(objects) * 2 < len(items):
        return None
    if not items:
        return {}
    role = _shared(objects, ROLE_KEYS)
    text = _shared(objects, TEXT_KEYS)
    if role and text:
        return {"role": role, "text": text}
    pairs = all(item and all(key.lower() in ROLE_NAMES for key in item) for item in objects)
    return {} if pairs else None


def _shared(objects: list[dict[str, object]], keys: tuple[str, ...]) -> str | None:
    counts = {key: sum(key in item for item in objects) for key in keys}
    best = max(keys, key=lambda key: counts[key])
    return best if counts[best] * 2 >= len(objects) else None


def _chat_messages(fields: Fields) -> list[Message]:
    messages = [m for item in _listed(fields, "messages") for m in read_message(item, fields)]
    return [*fields.system(), *messages]


def _listed(fields: Fields, column: str) -> list[object]:
    value = fields.required(column)
    items = as_list(value)
    if items is None:
        raise RowError(f"its {column} are {kind_of(value)}, not a list")
    return items


def read_message(item: object, fields: Fields) -> list[Message]:
    """The message of one list element: several for tool calls and for turns in one object."""
    if not isinstance(item, dict):
        raise RowError(f"one of its messages is {kind_of(item)}, not an object")
    name, content = _role_and_text(item, fields.mapping)
    if name is MISSING:
        return _both_sides(item, fields)
    said = Spoken(role := fields.role(name), fields)
    thought = _reasoning(item, fields.mapping)
    if thought is not MISSING:
        said.think(thought)
    calls = item.get("tool_calls") or item.get("function_call")
    if role == "assistant" and isinstance(calls, list | dict):
        said.add("" if content is MISSING else content)
        for call in calls if isinstance(calls, list) else [calls]:
            said.call(call_text(call))
        return said.messages()
    if content is MISSING and thought is MISSING:
        raise RowError(f"a message of {name!r} has no text (it has: {', '.join(item)})")
    if content is None:
        fields.notes.append(f"a null text of {name!r} was taken as empty")
    said.add("" if content is MISSING else content)
    return said.messages()


def _reasoning(item: dict[str, object], mapping: Mapping) -> object:
    """The reasoning beside the text; MISSING when there is none, or when it is read as the text."""
    held = (key for key in REASONING_FIELDS if item.get(key) not in (None, "", []))
    key = next(held, None)
    return MISSING if key is None or key in mapping.columns.values() else item[key]


def _role_and_text(item: dict[str, object], mapping: Mapping) -> tuple[object, object]:
    """Who speaks and what is said; a message without the file's names is read by usual ones."""
    role, text = mapping.columns.get("role"), mapping.columns.get("text")
    name = lookup(item, role) if role else MISSING
    content = lookup(item, "content" if text is None else text)
    if name is not MISSING and content is not MISSING:
        return name, content
    # Names that the user chose, unusual ones or none at all, are the only ones to be read.
    if name is MISSING and (role is None or role in ROLE_KEYS) and (keys := message_keys([item])):
        role = keys["role"]
        name = item[role]
    if content is MISSING and (text is None or text in TEXT_KEYS):
        content = next((item[key] for key in TEXT_KEYS if key in item and key != role), MISSING)
    return name, content


def unknown_roles(record: object, mapping: Mapping) -> list[str]:
    """The names of roles in a record's messages that have to be mapped first, as they come."""
    key = mapping.columns.get("role", "")
    items = as_list(Fields(record, mapping).value("messages")) if key else None
    names = [lookup(item, key) for item in items or () if isinstance(item, dict)]
    texts = (name for name in names if isinstance(name, str))
    return list(dict.fromkeys(name for name in texts if not role_of(name, mapping.roles)))


def _both_sides(item: dict[str, object], fields: Fields) -> list[Message]:
    known = ((role_of(name, fields.mapping.roles), value) for name, value in item.items())
    found = [(role, value) for role, value in known if role is not None and value is not None]
    if not found:
        raise RowError(f"a message has no role (it has: {', '.join(item) or 'nothing'})")
    # The answer never comes before its question, whatever the order of the fields.
    found.sort(key=lambda pair: pair[0] == "assistant")
    return [message for role, value in found for message in _side(role, value, fields)]


def _side(role: Role, value: object, fields: Fields) -> list[Message]:
    said = Spoken(role, fields)
    said.add(value)
    return said.messages()


def tools_text(value: object) -> str | None:
    """The tools as JSON text; a text stays as it is. None when there are none.

    OpenAI's wrapper {"type": "function", "function": ...} is taken off: ShareGPT files have none.
    """
    if value in (MISSING, None, "", [], {}):
        return None
    if isinstance(value, str):
        empty = "".join(value.split()) in ("", "[]", "{}", "null")
        return None if empty else without_surrogates(value)
    wrapped = {"type", "function"}
    if isinstance(value, list) and all(isinstance(t, dict) and set(t) == wrapped for t in value):
        value = [tool["function"] for tool in value]
    return without_surrogates(json.dumps(value, ensure_ascii=False, default=str))


def _columns_of(record: object, openai: bool) -> dict[str, str] | None:
    columns = _chat_columns(record)
    if columns is None:
        return None
    named = columns.get("role"), columns.get("text")
    by_list = named == (None, None) and columns["messages"] == "messages"
    return columns if openai == (by_list or named == ("role", "content")) else None


SHAREGPT = Layout(
    "sharegpt",
    "ShareGPT",
    "A list of messages with from / value, user / text or similar: human, gpt, system, "
    "function_call, observation.",
    CHAT_COLUMNS,
    partial(_columns_of, openai=False),
    _chat_messages,
)

OPENAI = Layout(
    "openai",
    "OpenAI messages",
    "A list of messages with role / content; content is a text or a list of parts; tool calls "
    "become function calls, reasoning is kept apart.",
    CHAT_COLUMNS,
    partial(_columns_of, openai=True),
    _chat_messages,
)


_TEXTS = Column("messages", "the list of texts, user first", (*LISTS, "turns", "data"), True)
_ASKED = ("turns", "questions", "prompts")
_QUESTIONS = Column("questions", "the list of the user's texts", _ASKED, True)


def _texts_columns(record: object) -> dict[str, str] | None:
    numbered = isinstance(record, dict) and "question_id" in record
    return None if numbered else _listed_texts(record, "messages", _TEXTS.aliases)


def _question_columns(record: object) -> dict[str, str] | None:
    if not isinstance(record, dict):
        return None
    return _listed_texts(record, "questions", _ASKED if "question_id" in record else _ASKED[1:])


def _listed_texts(record: object, column: str, names: tuple[str, ...]) -> dict[str, str] | None:
    for name, items in _lists(record, names):
        if items and all(isinstance(item, str) for item in items):
            return {**(found_columns((SYSTEM,), record) or {}), column: name}
    return None


def _texts(fields: Fields, column: str, speakers: tuple[Role, ...]) -> list[Message]:
    spoken = zip(cycle(speakers), _listed(fields, column), strict=False)
    return [*fields.system(), *(Message(role, fields.as_text(text)) for role, text in spoken)]


TEXTS = Layout(
    "texts",
    "List of texts",
    "A list of bare texts: the user speaks first, then both in turn (LIMA, UltraChat).",
    (_TEXTS, SYSTEM),
    _texts_columns,
    partial(_texts, column="messages", speakers=("user", "assistant")),
)

QUESTIONS = Layout(
    "questions",
    "List of questions",
    "A list of bare texts that are all the user's, without answers (MT-Bench).",
    (_QUESTIONS, SYSTEM),
    _question_columns,
    partial(_texts, column="questions", speakers=("user",)),
)

CHAT_LAYOUTS = (SHAREGPT, OPENAI, QUESTIONS, TEXTS)
