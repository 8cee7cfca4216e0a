"""A chat model that answers by a function of the request, and keeps what it was asked."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable

from deita_core.models.chat import ChatAnswer, ChatRequest

Said = str | ChatAnswer


class ScriptedChat:
    """answer: from the request to a text or a whole answer. Tokens are counted by the letter."""

    id = "scripted"

    def __init__(self, answer: Callable[[ChatRequest], Said]) -> None:
        self.answer = answer
        self.asked: list[ChatRequest] = []

    async def ask(self, request: ChatRequest) -> ChatAnswer:
        self.asked.append(request)
        said = self.answer(request)
        if isinstance(said, ChatAnswer):
            return said
        return ChatAnswer(said, prompt_tokens=len(request.messages[-1][1]), answer_tokens=len(said))


def in_turn(answers: Iterable[Said]) -> ScriptedChat:
    """Answers one after the other, whatever is asked."""
    left = iter(answers)
    return ScriptedChat(lambda _: next(left))


def as_json(**texts: object) -> str:
    return json.dumps(texts)


def said_to(request: ChatRequest) -> str:
    """The user's last message."""
    return request.messages[-1][1]
