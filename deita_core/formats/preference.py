"""Preference pairs: the chosen answer is imported, the rejected one stays in the raw record.

The chosen side is a text, a message, a list of messages (with or without the prompt in it), or
a transcript of "Human:" and "Assistant:" paragraphs that holds the whole chat (HH-RLHF).
"""

from __future__ import annotations

import re

from deita_core.conversation import Message
from deita_core.formats.alpaca import HISTORY, answer, listed_messages, opening, question
from deita_core.formats.chat import LISTS, SYSTEM, TOOLS, tools_text
from deita_core.formats.layout import (
    MISSING,
    Column,
    Draft,
    Layout,
    field,
    found_columns,
    missing_field,
    need_object,
    optional_text,
)
from deita_core.formats.model import Mapping
from deita_core.formats.roles import role_of

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
