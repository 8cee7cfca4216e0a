"""Chat models by name, opened for a run: with a log of answers and a limit on spending.

    gpt-x@https://api.openai.com/v1      an OpenAI-compatible endpoint
    local:FOLDER                         a causal LM of `transformers` with its chat template

Every answer that was paid for is in the log before who asked for it sees it.
"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Protocol

from deita_core.conversation import without_surrogates
from deita_core.models.answers import AnswerLog
from deita_core.models.chat import Chat, ChatAnswer, ChatRequest
from deita_core.models.endpoint import EndpointClient, Failures, Reply, parts_of_name
from deita_core.models.options import ModelOptions
from deita_core.models.spending import Purse, SpendingLimit, Spent


class OpenChat(Chat, Protocol):
    """A chat model during a run."""

    @property
    def spent(self) -> Spent:
        """What the run has cost so far."""

    @property
    def most_open(self) -> int:
        """How many coroutines should ask at once (`run_chats`)."""


def checked_chat_name(name: str) -> str:
    """The name as it is stored; ModelError for one that names no chat model, or whose URL holds
    what may be a secret."""
    model, url = parts_of_name(name.strip())
    return f"{model}@{url}"


@asynccontextmanager
async def open_chat(
    name: str,
    options: ModelOptions,
    log: AnswerLog,
    limit: SpendingLimit | None = None,
    before: Spent | None = None,
) -> AsyncIterator[OpenChat]:
    """The chat model of that name, for the time of a run.

    before: what the run spent before it was stopped, which counts towards the limit.
    At the end the answers that are on their way still come in and are kept. Raises ModelError when
    there is no such model, a key that was named is not set, or the limit cannot be kept.
    """
    chat = EndpointChat(*parts_of_name(name), options, log, limit, before)
    async with chat.client.open():
        yield chat


class EndpointChat:
    """A chat model behind an OpenAI-compatible endpoint; see `OpenChat`.

    What the endpoint does not understand in a request (a schema, a seed, a temperature) is left
    out from then on, and said in `spent`.
    """

    def __init__(
        self,
        model: str,
        base_url: str,
        options: ModelOptions,
        log: AnswerLog,
        limit: SpendingLimit | None = None,
        before: Spent | None = None,
    ) -> None:
        self.client = EndpointClient(base_url, options)
        self.id = f"{model}@{self.client.base_url}"
        self._wire = ChatWire(model)
        self._log = log
        self._purse = Purse(limit, before=before)
        self._failures = Failures(self.client.base_url, "check that it is a chat endpoint")
        self._asking: dict[str, asyncio.Lock] = {}

    @property
    def spent(self) -> Spent:
        """What the run has cost so far."""
        pace = self.client.pace
        return self._purse.spent(pace.limit, pace.held, self._wire.left_out)

    @property
    def most_open(self) -> int:
        """Enough that the pace, and nothing else, says how many requests are under way."""
        return 2 * self.client.pace.most

    async def ask(self, request: ChatRequest) -> ChatAnswer:
        """The answer, out of the log where it is known; see `Chat.ask`."""
        key = request.key(self.id)
        # The same request at the same moment waits for the answer to the first.
        lock = self._asking.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                if (known := self._log.get(key)) is not None:
                    self._purse.from_log += 1
                    return known
                return await self._paid(key, request)
        finally:
            if not lock.locked():
                self._asking.pop(key, None)

    async def _paid(self, key: str, request: ChatRequest) -> ChatAnswer:
        aside = await self._purse.set_aside(request)
        started = time.monotonic()
        came: list[ChatAnswer] = []

        def arrived(reply: Reply) -> None:
            answer = answer_of(reply.body or {}, time.monotonic() - started)
            came.append(answer)
            if answer.text is not None or answer.prompt_tokens or answer.answer_tokens:
                self._purse.pay(request, answer)
                self._log.add(key, answer)

        try:
            reply = await self._send(request, arrived)
        finally:
            self._purse.give_back(aside)
        answer = came[0] if came else ChatAnswer(None, reply.reason)
        of_use = answer.text is not None or answer.answer_tokens > 0
        self._purse.failed += not of_use
        self._failures.count(of_use, answer.reason)
        return answer

    async def _send(self, request: ChatRequest, arrived: Any) -> Reply:
        """The reply; what the endpoint does not understand is left out, one thing after another."""
        while True:
            body = self._wire.body(request)
            reply = await self.client.post("/chat/completions", body, arrived)
            if reply.good or not self._wire.leave_out(body, reply):
                return reply


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
