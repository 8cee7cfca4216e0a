"""The conversation: what a pool is made of.

Each user message opens a *turn*; what the assistant says and calls before the next one is its
response, None when there is nothing. Tool results are context. System messages and what stands
before the first user message belong to no turn, and never shift the pairing of the rest.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from typing import Literal, get_args

Role = Literal["system", "user", "assistant", "function_call", "tool"]
ROLES: tuple[str, ...] = get_args(Role)
ASSISTANT_ROLES = frozenset({"assistant", "function_call"})


@dataclass(frozen=True, slots=True)
class Message:
    """One message: a role out of `ROLES` and its text, exactly as in the file.

    reasoning: what the assistant thought before it, where the file keeps that apart. It is no
    part of the text: neither scored nor embedded, and no part of the conversation's id.
    """

    role: Role
    content: str
    reasoning: str | None = None

    def to_object(self) -> dict[str, str]:
        """{"role", "content"}, and "reasoning_content" where there is some."""
        made = {"role": self.role, "content": self.content}
        return made if self.reasoning is None else made | {"reasoning_content": self.reasoning}


@dataclass(frozen=True, slots=True)
class Turn:
    """One user message and the response to it."""

    index: int
    instruction: str
    response: str | None


@dataclass(frozen=True)
class Conversation:
    """Messages in order, and the tools (JSON text) the assistant could call, if any."""

    messages: tuple[Message, ...]
    tools: str | None = None

    @cached_property
    def id(self) -> str:
        """32 hex digits, BLAKE2b-128 of roles, texts and tools: the same wherever they are from."""
        content = [[m.role, m.content] for m in self.messages]
        if self.tools is not None:
            content.append(["tools", self.tools])
        encoded = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
        return hashlib.blake2b(encoded.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()

    @cached_property
    def turns(self) -> tuple[Turn, ...]:
        """The turns in order; empty when there is no user message."""
        turns: list[Turn] = []
        asked: str | None = None
        said: list[str] = []
        # One more user message at the end closes the last turn.
        for message in (*self.messages, Message("user", "")):
            if message.role == "user":
                if asked is not None:
                    turns.append(Turn(len(turns), asked, "\n\n".join(said) if said else None))
                asked, said = message.content, []
            elif asked is not None and message.role in ASSISTANT_ROLES:
                said.append(message.content)
        return tuple(turns)

    @property
    def system(self) -> str | None:
        """The text of the system messages, or None."""
        texts = [m.content for m in self.messages if m.role == "system"]
        return "\n\n".join(texts) if texts else None

    @property
    def text(self) -> str:
        """The whole conversation as one text (for language, length and embedding)."""
        return "\n\n".join(m.content for m in self.messages if m.content)

    @property
    def without_reasoning(self) -> Conversation:
        """The conversation itself when there is none in it."""
        if all(m.reasoning is None for m in self.messages):
            return self
        return Conversation(tuple(Message(m.role, m.content) for m in self.messages), self.tools)

    def to_json(self) -> str:
        """The messages as a JSON array of {"role", "content"}, "reasoning_content" where it is."""
        return json.dumps([m.to_object() for m in self.messages], ensure_ascii=False)

    @staticmethod
    def from_json(messages: str, tools: str | None = None) -> Conversation:
        """The inverse of `to_json`."""
        items = json.loads(messages)
        made = (Message(i["role"], i["content"], i.get("reasoning_content")) for i in items)
        return Conversation(tuple(made), tools)


def without_surrogates(text: str) -> str:
    """The text with U+FFFD for each half of a surrogate pair, and whole pairs joined.

    Broken JSON escapes leave such halves, which neither UTF-8 nor a tokenizer takes.
    """
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
