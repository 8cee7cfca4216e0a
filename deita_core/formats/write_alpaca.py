"""Alpaca JSON: instruction, input, output, system and history.

Alpaca knows one optional system message and pairs of a user message and its answer, the last of
which may be missing (`output` is null then, "" being an empty answer); every other shape is
refused with the reason rather than bent. The instruction is the whole user message and `input`
stays empty: where an imported row was split into two is not kept.
"""

from __future__ import annotations

from typing import BinaryIO

from deita_core.conversation import Conversation, Message
from deita_core.formats.model import Mapping
from deita_core.formats.write_checks import alpaca_problem, llama_factory_alpaca_problem
from deita_core.formats.write_json import JsonArraySink, Recorder
from deita_core.formats.write_model import (
    Check,
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


def _open(file: BinaryIO, with_scores: bool) -> JsonArraySink:
    return JsonArraySink(file, Recorder(record, MAPPING), with_scores)


FORMAT = ExportFormat(
    key="alpaca",
    label="Alpaca JSON",
    extension=".json",
    explanation="instruction, input and output, earlier turns as history; a missing last "
    "answer is null. Chats with function calls do not fit and are left out.",
    trainers=("LLaMA-Factory", "axolotl", "Stanford Alpaca"),
    scores_by_default=True,
    mapping=MAPPING,
    open=_open,
    checks=(
        Check("LLaMA-Factory", llama_factory_alpaca_problem),
        Check("axolotl", alpaca_problem),
        Check("Stanford Alpaca", alpaca_problem),
    ),
)
