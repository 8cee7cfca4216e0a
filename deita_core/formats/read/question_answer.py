"""Records of one question and one answer under fixed names: Alpaca, prompt/completion, QA.

All are read alike: an optional system message, earlier turns (`history`), the question with
the input or context below it (joined by one line break, as trainers join them), the answer.
A record without the field of the answer, or with null there, is a turn without a response; an
empty text there is an empty response.

Preference pairs: the chosen answer is imported, the rejected one stays in the raw record.

The chosen side is a text, a message, a list of messages (with or without the prompt in it), or
a transcript of "Human:" and "Assistant:" paragraphs that holds the whole chat (HH-RLHF).
"""

from __future__ import annotations

import re
from collections.abc import Callable

from deita_core.conversation import Message
from deita_core.formats.read.chat import (
    LISTS,
    SYSTEM,
    TOOLS,
    message_keys,
    read_message,
    tools_text,
)
from deita_core.formats.read.layout import (
    MISSING,
    Column,
    Draft,
    Layout,
    Mapping,
    RowError,
    as_list,
    as_text,
    found_columns,
    kind_of,
    missing_field,
    need_object,
    optional_text,
    role_of,
)
from deita_core.formats.read.layout import field_of as field

HISTORY = Column("history", "earlier turns, a list of [question, answer]", ("history",))

_ALPACA = (
    Column("instruction", "what is asked", ("instruction",), True),
    Column("input", "the material it is asked about", ("input", "context")),
    Column("output", "the answer", ("output", "response", "answer", "completion", "target")),
    SYSTEM,
    HISTORY,
    TOOLS,
)
_COMPLETION = (
    Column("prompt", "what is asked", ("prompt", "query", "input", "inputs"), True),
    Column(
        "completion",
        "the answer",
        ("completion", "response", "output", "answer", "targets", "target", "reply"),
    ),
    SYSTEM,
    HISTORY,
    TOOLS,
)
_ANSWER = (
    Column("question", "what is asked", ("question", "problem", "q"), True),
    Column("context", "the material it is asked about", ("context", "passage")),
    Column("answer", "the answer", ("answer", "answers", "response", "solution", "output", "a")),
    SYSTEM,
    HISTORY,
    TOOLS,
)


def _columns_of(columns: tuple[Column, ...]) -> Callable[[object], dict[str, str] | None]:
    def fits(record: object) -> dict[str, str] | None:
        if not isinstance(record, dict):
            return None
        found = found_columns(record, columns)
        return found if columns[0].name in found else None

    return fits


def _draft_of(asked: str, below: str, answered: str) -> Callable[[object, Mapping], Draft]:
    def draft(record: object, mapping: Mapping) -> Draft:
        notes: list[str] = []
        need_object(record)
        messages = opening(record, mapping, notes)
        messages += question(record, mapping, asked, below, notes)
        value = field(record, mapping, answered)
        if value is not MISSING and value is not None:
            messages += answer(value, mapping, notes)
        return Draft(messages, tools_text(field(record, mapping, "tools")), notes)

    return draft


def opening(record: object, mapping: Mapping, notes: list[str]) -> list[Message]:
    """The system message and the earlier turns."""
    system = optional_text(record, mapping, "system", notes)
    messages = [Message("system", system)] if system else []
    value = field(record, mapping, "history")
    if value is MISSING or value is None or value == "":
        return messages
    turns = as_list(value)
    if turns is None:
        raise RowError(f"its history is {kind_of(value)}, not a list of turns")
    for turn in turns:
        if not isinstance(turn, list | tuple) or len(turn) != 2:
            raise RowError("its history has an entry that is not [question, answer]")
        messages.append(Message("user", as_text(turn[0], notes)))
        if turn[1] is not None:
            messages.append(Message("assistant", as_text(turn[1], notes)))
    return messages


def question(
    record: object, mapping: Mapping, asked: str, below: str, notes: list[str]
) -> list[Message]:
    """The user's message; the messages themselves where the prompt is a list of them."""
    value = field(record, mapping, asked)
    if value is MISSING:
        raise missing_field(record, mapping, asked)
    messages = listed_messages(value, mapping, notes)
    if messages is not None:
        return messages
    text = as_text(value, notes)
    more = optional_text(record, mapping, below, notes) if below else None
    return [Message("user", f"{text}\n{more}" if text and more else text or more or "")]


def answer(value: object, mapping: Mapping, notes: list[str]) -> list[Message]:
    """The assistant's message; of several answers the first, of a list of messages all."""
    if isinstance(value, dict) and isinstance(value.get("text"), list):
        value = value["text"]
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        if not value:
            return []
        if len(value) > 1:
            notes.append(f"the first of {len(value)} answers was taken")
        value = value[0]
    messages = listed_messages(value, mapping, notes)
    return [Message("assistant", as_text(value, notes))] if messages is None else messages


def listed_messages(value: object, mapping: Mapping, notes: list[str]) -> list[Message] | None:
    """The messages of a field that holds a list of them, or one; None for any other value."""
    items = [value] if isinstance(value, dict) else as_list(value)
    keys = message_keys(items) if items else None
    if not keys:
        return None
    within = Mapping(mapping.layout, keys, mapping.roles)
    return [message for item in items or [] for message in read_message(item, within, notes)]


ALPACA = Layout(
    "alpaca",
    "Alpaca",
    "instruction, input and output (or response), with optional system and history.",
    _ALPACA,
    _columns_of(_ALPACA),
    _draft_of("instruction", "input", "output"),
)

PROMPT_COMPLETION = Layout(
    "prompt_completion",
    "Prompt and completion",
    "One field with the prompt and one with the completion.",
    _COMPLETION,
    _columns_of(_COMPLETION),
    _draft_of("prompt", "", "completion"),
)

QUESTION_ANSWER = Layout(
    "question_answer",
    "Question and answer",
    "One field with the question and one with the answer, optionally a context.",
    _ANSWER,
    _columns_of(_ANSWER),
    _draft_of("question", "context", "answer"),
)


_COLUMNS = (
    Column(
        "prompt", "what is asked", ("prompt", "instruction", "question", "query", "input", *LISTS)
    ),
    Column("input", "the material it is asked about", ("input", "context")),
    Column(
        "chosen", "the better answer", ("chosen", "chosen_response", "preferred", "accepted"), True
    ),
    Column("rejected", "the worse answer", ("rejected", "rejected_response", "dispreferred")),
    SYSTEM,
    HISTORY,
    TOOLS,
)
_SPEAKER = re.compile(r"(?:\A|\n\n)(Human|Assistant): ?")


def _columns(record: object) -> dict[str, str] | None:
    if not isinstance(record, dict):
        return None
    found = found_columns(record, _COLUMNS)
    return found if "chosen" in found else None


def _draft(record: object, mapping: Mapping) -> Draft:
    notes: list[str] = []
    need_object(record)
    chosen = field(record, mapping, "chosen")
    if chosen is MISSING:
        raise missing_field(record, mapping, "chosen")
    tools = tools_text(field(record, mapping, "tools"))
    whole = listed_messages(chosen, mapping, notes) or _transcript(chosen)
    if whole and any(message.role == "user" for message in whole):
        system = optional_text(record, mapping, "system", notes)
        return Draft([Message("system", system), *whole] if system else whole, tools, notes)
    messages = opening(record, mapping, notes)
    if mapping.columns.get("prompt"):
        messages += question(record, mapping, "prompt", "input", notes)
    messages += whole or ([] if chosen is None else answer(chosen, mapping, notes))
    return Draft(messages, tools, notes)


def _transcript(text: object) -> list[Message] | None:
    """The messages of a transcript; None for a text that does not begin like one."""
    if not isinstance(text, str) or not _SPEAKER.match(text):
        return None
    _, *parts = _SPEAKER.split(text)
    messages = []
    for name, said in zip(parts[0::2], parts[1::2], strict=True):
        role = role_of(name, {})
        if role is not None:
            messages.append(Message(role, said))
    return messages


PREFERENCE = Layout(
    "preference",
    "Preference pairs",
    "A prompt with a chosen and a rejected answer; the chosen one is imported.",
    _COLUMNS,
    _columns,
    _draft,
)
