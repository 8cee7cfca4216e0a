"""What is asked of a chat model, and what it answers; an endpoint and a local model are both one.

A request has a key: the same request to the same model has the same key, so an answer that is known
is never asked for again, and never paid twice.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Literal, Protocol

Speaker = Literal["system", "user", "assistant"]


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """messages: who says what, in order. max_tokens: of the answer. temperature: from 0.

    schema: a JSON schema that the answer has to fit, as JSON, or None for free text.
    draw: tells requests apart that are otherwise equal and meant to be asked more than once; it is
    sent as the seed.
    """

    messages: tuple[tuple[Speaker, str], ...]
    max_tokens: int = 1024
    temperature: float = 1.0
    schema: str | None = None
    draw: int = 0

    def key(self, model: str) -> str:
        """SHA-256 of the request and of the model (see `Chat.id`) that it goes to."""
        said = [
            model,
            self.messages,
            self.max_tokens,
            self.temperature,
            self.schema,
            self.draw,
        ]
        text = json.dumps(said, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


@dataclass(frozen=True, slots=True)
class ChatAnswer:
    """text: what was answered, or None; reason: why there is none.

    prompt_tokens, answer_tokens: as the model counted them, 0 where it did not say. seconds: until
    the answer was there. cut: it ended at `max_tokens`.
    """

    text: str | None
    reason: str | None = None
    prompt_tokens: int = 0
    answer_tokens: int = 0
    seconds: float = 0.0
    cut: bool = False

    def __post_init__(self) -> None:
        if (self.text is None) != (self.reason is not None):
            raise ValueError(f"text {self.text!r} and reason {self.reason!r} contradict each other")


class Chat(Protocol):
    """A chat model; many requests may be asked at once, each a coroutine."""

    @property
    def id(self) -> str:
        """The model, and where it is: "MODEL@URL" or "local:FOLDER"."""

    async def ask(self, request: ChatRequest) -> ChatAnswer:
        """The answer; a failure that is of this request alone is an answer without text.

        Raises ModelError for what ends the run: a refused key, an endpoint that has gone, a cap on
        spending that is reached.
        """
