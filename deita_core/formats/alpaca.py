"""Records of one question and one answer under fixed names: Alpaca, prompt/completion, QA.

All are read alike: an optional system message, earlier turns (`history`), the question with
the input or context below it (joined by one line break, as trainers join them), the answer.
A record without the field of the answer, or with null there, is a turn without a response; an
empty text there is an empty response.
"""

from __future__ import annotations

from collections.abc import Callable

from deita_core.conversation import Message
from deita_core.formats.chat import SYSTEM, TOOLS, message_keys, read_message, tools_text
from deita_core.formats.layout import (
    MISSING,
    Column,
    Draft,
    Layout,
    RowError,
    as_list,
    as_text,
    field,
    found_columns,
    kind_of,
    missing_field,
    need_object,
    optional_text,
)
from deita_core.formats.model import Mapping

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
