"""Alpaca JSON: instruction, input, output, system and history.

Alpaca knows one optional system message and pairs of a user message and its answer, and nothing
else; every other shape is refused with the reason rather than bent. The instruction is the whole
user message and `input` stays empty: where an imported row was split into two is not kept.
"""

from __future__ import annotations

from typing import BinaryIO

from deita_core.conversation import Conversation, Message
from deita_core.formats.model import Mapping
from deita_core.formats.write_json import JsonArraySink, Recorder
from deita_core.formats.write_model import (
    ExportFormat,
    ExportRow,
    JsonObject,
    JsonValue,
    NotExpressibleError,
)

MAPPING = Mapping(
    "alpaca",
    {
        "instruction": "instruction",
        "input": "input",
        "output": "output",
        "system": "system",
        "history": "history",
    },
)


def record(row: ExportRow) -> JsonObject:
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


def _pairs(conversation: Conversation) -> tuple[str | None, list[tuple[str, str]]]:
    messages = conversation.messages
    _refuse_unknown(conversation)
    system: str | None = None
    if messages and messages[0].role == "system":
        system, messages = messages[0].content, messages[1:]
        if not system:
            raise NotExpressibleError("Alpaca cannot tell an empty system message from none")
    if not messages or messages[0].role == "assistant":
        raise NotExpressibleError("Alpaca has no place for a chat that the user does not start")
    if messages[-1].role != "assistant":
        raise NotExpressibleError("Alpaca has no place for a last user message without an answer")
    users, answers = messages[0::2], messages[1::2]
    if not _all(users, "user") or not _all(answers, "assistant"):
        raise NotExpressibleError("Alpaca needs user and assistant to alternate")
    return system, [(u.content, a.content) for u, a in zip(users, answers, strict=True)]


def _all(messages: tuple[Message, ...], role: str) -> bool:
    return all(m.role == role for m in messages)


def _refuse_unknown(conversation: Conversation) -> None:
    if conversation.tools is not None or any(
        m.role in ("function_call", "tool") for m in conversation.messages
    ):
        raise NotExpressibleError("Alpaca has no place for tools and function calls")
    if any(m.role == "system" for m in conversation.messages[1:]):
        raise NotExpressibleError("Alpaca has no place for a system message after the start")


def _open(file: BinaryIO, with_scores: bool) -> JsonArraySink:
    return JsonArraySink(file, Recorder(record, MAPPING), with_scores)


FORMAT = ExportFormat(
    key="alpaca",
    label="Alpaca JSON",
    extension=".json",
    explanation="instruction, input and output, earlier turns as history; chats with function "
    "calls or without a last answer do not fit and are left out.",
    trainers=("LLaMA-Factory", "axolotl", "Stanford Alpaca"),
    scores_by_default=True,
    mapping=MAPPING,
    open=_open,
)
