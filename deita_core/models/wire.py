"""A request to a chat model as an endpoint reads it, and the answer as it writes it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from deita_core.conversation import without_surrogates
from deita_core.models.chat import ChatAnswer, ChatRequest
from deita_core.models.endpoint import Reply


class ChatWire:
    """How a request is written for one model behind an endpoint."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._without: list[str] = []
        self._length = "max_tokens"

    @property
    def left_out(self) -> tuple[str, ...]:
        """What the endpoint did not understand, and is not sent any more."""
        return tuple(self._without)

    def body(self, request: ChatRequest) -> dict[str, Any]:
        """The JSON of a chat completion."""
        messages = [
            {"role": who, "content": without_surrogates(text)} for who, text in request.messages
        ]
        body: dict[str, Any] = {"model": self._model, "messages": messages}
        body |= {self._length: request.max_tokens, "temperature": request.temperature}
        body["seed"] = request.draw
        if request.schema is not None:
            described = {"name": "answer", "strict": True, "schema": json.loads(request.schema)}
            body["response_format"] = {"type": "json_schema", "json_schema": described}
        return {name: value for name, value in body.items() if name not in self._without}

    def leave_out(self, body: Mapping[str, Any], reply: Reply) -> bool:
        """Whether a refused request (status 400 or 422) is worth sending again, without what the
        endpoint did not understand."""
        said = (reply.reason or "").lower()
        if reply.status not in (400, 422):
            return False
        if "max_tokens" in body and "max_completion_tokens" in said:
            self._length = "max_completion_tokens"  # the new name of the same
            return True
        for name, signs in _REFUSED_PARTS.items():
            if name in body and any(sign in said for sign in signs):
                if name not in self._without:
                    self._without.append(name)
                return True
        return False


# By what an endpoint names a part of the request that it refuses.
_REFUSED_PARTS = {
    "response_format": ("response_format", "json_schema", "schema", "structured output"),
    "seed": ("seed",),
    "temperature": ("temperature",),
}


def answer_of(body: Mapping[str, Any], seconds: float = 0.0) -> ChatAnswer:
    """The answer in the JSON of a chat completion; without text where it has none, or refuses."""
    usage = body.get("usage")
    usage = usage if isinstance(usage, Mapping) else {}
    counts = [_count(usage.get(name)) for name in ("prompt_tokens", "completion_tokens")]
    reason: str | None = None
    try:
        choice = body["choices"][0]
        message, end = choice["message"], choice.get("finish_reason")
        text, refusal = _text_in(message.get("content")), message.get("refusal")
    except (KeyError, IndexError, TypeError, AttributeError):
        reason = "the endpoint's answer is no chat completion"
        return ChatAnswer(None, reason, counts[0], counts[1], seconds)
    cut = end == "length"
    if refusal:
        reason = f"refused: {str(refusal)[:300]}"
    elif end == "content_filter":
        reason = "refused by the endpoint's filter"
    elif text is None:
        reason = "it had no room left for an answer" if cut else "the answer has no text"
    return ChatAnswer(None if reason else text, reason, counts[0], counts[1], seconds, cut)


def _text_in(content: object) -> str | None:
    """The text of a message's content, be it text or parts; what it thought before it is left."""
    if isinstance(content, list):
        parts = [str(part.get("text") or "") for part in content if isinstance(part, Mapping)]
        content = "".join(parts)
    if not isinstance(content, str):
        return None
    if content.lstrip().startswith("<think>"):
        _, ended, content = content.partition("</think>")
        return content.lstrip() if ended else None
    return content


def _count(value: object) -> int:
    return value if isinstance(value, int) and value > 0 else 0
