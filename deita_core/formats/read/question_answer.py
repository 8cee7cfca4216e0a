"""Records of one question and its answer: Alpaca, prompt/completion, QA, preference pairs.

Input or context stand below the question after one line break, as trainers join them. The chosen
side of a preference pair is a text, a message, a list of messages (with or without the prompt), or
a transcript of "Human:" and "Assistant:" paragraphs, the whole chat (HH-RLHF).
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import partial

from deita_core.conversation import Message
from deita_core.formats.read.chat import LISTS, SYSTEM, TOOLS, message_keys, read_message
from deita_core.formats.read.layout import (
    MISSING,
    Column,
    Fields,
    Layout,
    Mapping,
    RowError,
    as_list,
    found_columns,
    kind_of,
    mapping_for,
    need_object,
)

HISTORY = Column("history", "earlier turns, a list of [question, answer]", ("history",))
_BESIDE = (SYSTEM, HISTORY, TOOLS)


def _turns(asked: str, below: str, answered: str, fields: Fields) -> list[Message]:
    need_object(fields.record)
    said = [*_opening(fields), *_question(fields, asked, below)]
    return said + _answer(fields.value(answered), fields)


def _opening(fields: Fields) -> list[Message]:
    """The system message and the earlier turns."""
    messages = fields.system()
    value = fields.value("history")
    turns = [] if value in (MISSING, None, "") else as_list(value)
    if turns is None:
        raise RowError(f"its history is {kind_of(value)}, not a list of turns")
    for turn in turns:
        if not isinstance(turn, list | tuple) or len(turn) != 2:
            raise RowError("its history has an entry that is not [question, answer]")
        messages.append(Message("user", fields.as_text(turn[0])))
        if turn[1] is not None:
            messages.append(Message("assistant", fields.as_text(turn[1])))
    return messages


def _question(fields: Fields, asked: str, below: str) -> list[Message]:
    """The user's message; the messages themselves where the prompt is a list of them."""
    value = fields.required(asked)
    if messages := _listed_messages(value, fields):
        return messages
    text = fields.as_text(value)
    more = fields.text(below) if below else None
    return [Message("user", f"{text}\n{more}" if text and more else text or more or "")]


def _answer(value: object, fields: Fields) -> list[Message]:
    """The assistant's message; of several answers the first, of a list of messages all."""
    if value is MISSING or value is None:
        return []
    if isinstance(value, dict) and isinstance(value.get("text"), list):
        value = value["text"]
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        if not value:
            return []
        if len(value) > 1:
            fields.notes.append(f"the first of {len(value)} answers was taken")
        value = value[0]
    return _listed_messages(value, fields) or [Message("assistant", fields.as_text(value))]


def _listed_messages(value: object, fields: Fields) -> list[Message] | None:
    """The messages of a field that holds a list of them, or one; None for any other value."""
    items: list[object] | None = [value] if isinstance(value, dict) else as_list(value)
    keys = message_keys(items)
    if not items or not keys:
        return None
    within = Fields(value, replace(fields.mapping, columns=keys), fields.notes)
    return [message for item in items for message in read_message(item, within)]


def _layout(
    name: str, label: str, description: str, asked: Column, below: Column | None, answered: Column
) -> Layout:
    columns = (asked, *([below] if below else []), answered, *_BESIDE)
    messages = partial(_turns, asked.name, below.name if below else "", answered.name)
    return Layout(name, label, description, columns, partial(found_columns, columns), messages)


_MATERIAL = "the material it is asked about"
ALPACA = _layout(
    "alpaca",
    "Alpaca",
    "instruction, input and output (or response), with optional system and history.",
    Column("instruction", "what is asked", ("instruction",), True),
    Column("input", _MATERIAL, ("input", "context")),
    Column("output", "the answer", ("output", "response", "answer", "completion", "target")),
)
_COMPLETIONS = ("completion", "response", "output", "answer", "targets", "target", "reply")
PROMPT_COMPLETION = _layout(
    "prompt_completion",
    "Prompt and completion",
    "One field with the prompt and one with the completion.",
    Column("prompt", "what is asked", ("prompt", "query", "input", "inputs"), True),
    None,
    Column("completion", "the answer", _COMPLETIONS),
)
_ANSWERS = ("answer", "answers", "response", "solution", "output", "a")
QUESTION_ANSWER = _layout(
    "question_answer",
    "Question and answer",
    "One field with the question and one with the answer, optionally a context.",
    Column("question", "what is asked", ("question", "problem", "q"), True),
    Column("context", _MATERIAL, ("context", "passage")),
    Column("answer", "the answer", _ANSWERS),
)


_PROMPTS = ("prompt", "instruction", "question", "query", "input", *LISTS)
_CHOSEN = ("chosen", "chosen_response", "preferred", "accepted")
_PREFERENCE = (
    Column("prompt", "what is asked", _PROMPTS),
    Column("input", _MATERIAL, ("input", "context")),
    Column("chosen", "the better answer", _CHOSEN, True),
    Column("rejected", "the worse answer", ("rejected", "rejected_response", "dispreferred")),
    *_BESIDE,
)
_SIDES = ("chosen", "rejected")
_SPEAKER = re.compile(r"(?:\A|\n\n)(Human|Assistant): ?")


def _preferred(fields: Fields) -> list[Message]:
    need_object(fields.record)
    chosen = fields.required("chosen")
    whole = _listed_messages(chosen, fields) or _transcript(chosen)
    if whole and any(message.role == "user" for message in whole):
        return [*fields.system(), *whole]
    messages = _opening(fields)
    if fields.mapping.columns.get("prompt"):
        messages += _question(fields, "prompt", "input")
    return messages + (whole or _answer(chosen, fields))


def _transcript(text: object) -> list[Message] | None:
    """The messages of a transcript; None for what does not begin like one."""
    if not isinstance(text, str) or not _SPEAKER.match(text):
        return None
    _, *parts = _SPEAKER.split(text)
    spoken = zip(parts[0::2], parts[1::2], strict=True)
    return [Message("user" if who == "Human" else "assistant", said) for who, said in spoken]


PREFERENCE = Layout(
    "preference",
    "Preference pairs",
    "A prompt with a chosen and a rejected answer; the chosen one is imported.",
    _PREFERENCE,
    partial(found_columns, _PREFERENCE),
    _preferred,
)


def rejected_messages(record: object, mapping: Mapping) -> list[Message]:
    """The messages of a preference pair with the rejected answer in place of the chosen one.

    mapping: of the file that the record is from. Raises RowError where it has no such answer.
    """
    read_as = mapping_for(record, mapping, PREFERENCE.open_columns(mapping))
    rejected = read_as.columns.get("rejected")
    if rejected is None:
        raise RowError("it has no rejected answer")
    return _preferred(
        Fields(record, replace(read_as, columns={"chosen": rejected} | _but(read_as)))
    )


def _but(mapping: Mapping) -> dict[str, str]:
    """The columns of the messages before both answers."""
    return {ours: path for ours, path in mapping.columns.items() if ours not in _SIDES}


ANSWER_LAYOUTS = (ALPACA, QUESTION_ANSWER, PROMPT_COMPLETION)
