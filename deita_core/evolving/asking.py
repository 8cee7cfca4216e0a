"""A question whose answer has a form: asked, read, and asked once more where it cannot be used."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from deita_core.evolving.prompts import Messages, Prompts
from deita_core.models.chat import Chat, ChatRequest

T = TypeVar("T")


class UnusableError(ValueError):
    """An answer cannot be used; the message says why, in words that the model gets as well."""


@dataclass(frozen=True, slots=True)
class Question(Generic[T]):
    """What is asked. schema: of the answer. read: raises UnusableError for one of another form.

    max_tokens, temperature, draw: see `ChatRequest`.
    """

    messages: Messages
    schema: str
    read: Callable[[str], T]
    max_tokens: int
    temperature: float = 0.0
    draw: int = 0


@dataclass(frozen=True, slots=True)
class Reply(Generic[T]):
    """value: what was read, or None; reason: why there is none. requests: their keys."""

    value: T | None
    reason: str | None
    requests: tuple[str, ...]


async def ask_for(chat: Chat, question: Question[T], prompts: Prompts) -> Reply[T]:
    """The answer as it is read; one that cannot be used is sent back for repair, once.

    A request that fails by itself is not repeated (that is the client's to do).
    """
    reply, unusable = await _ask(chat, question, question.messages, ())
    if unusable is None:
        return reply
    again = prompts.repair(question.messages, unusable, reply.reason or "")
    repaired, unusable = await _ask(chat, question, again, reply.requests)
    if unusable is None:
        return repaired
    said = f"not usable, nor after one repair: {repaired.reason}"
    return Reply(None, said, repaired.requests)


async def _ask(
    chat: Chat, question: Question[T], messages: Messages, before: tuple[str, ...]
) -> tuple[Reply[T], str | None]:
    """The reply, and the answer where it came but cannot be used."""
    request = ChatRequest(
        messages, question.max_tokens, question.temperature, question.schema, question.draw
    )
    requests = (*before, request.key(chat.id))
    answer = await chat.ask(request)
    if answer.text is None:
        return Reply(None, answer.reason, requests), None
    try:
        return Reply(question.read(answer.text), None, requests), None
    except UnusableError as error:
        broken = f"it broke off at {question.max_tokens:,} tokens" if answer.cut else str(error)
        return Reply(None, broken, requests), answer.text
