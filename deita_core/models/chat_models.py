"""Chat models by name, opened for a run: with a log of answers and a limit on spending.

    gpt-x@https://api.openai.com/v1      an OpenAI-compatible endpoint
    local:FOLDER                         a causal LM of `transformers` with its chat template

Every answer that was paid for is in the log before who asked for it sees it.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Protocol

from deita_core.errors import ModelError
from deita_core.models.answers import AnswerLog
from deita_core.models.batch_chat import PRICE_SHARE, BatchChat
from deita_core.models.chat import Chat, ChatAnswer, ChatRequest
from deita_core.models.endpoint import EndpointClient, Failures, Reply, parts_of_name
from deita_core.models.language_model import model_facts
from deita_core.models.local_chat import LocalChat
from deita_core.models.options import ModelOptions
from deita_core.models.paying import Keep, PayingChat
from deita_core.models.spending import Purse, SpendingLimit, Spent
from deita_core.models.wire import ChatWire, answer_of

_LOCAL = "local:"


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
    name = name.strip()
    if name.startswith(_LOCAL):
        return _LOCAL + model_facts(name.removeprefix(_LOCAL)).name
    model, url = parts_of_name(name)
    return f"{model}@{url}"


@asynccontextmanager
async def open_chat(
    name: str,
    options: ModelOptions,
    log: AnswerLog,
    limit: SpendingLimit | None = None,
    before: Spent | None = None,
    *,
    batches: Path | None = None,
) -> AsyncIterator[OpenChat]:
    """The chat model of that name, for the time of a run.

    before: what the run spent before it was stopped, which counts towards the limit. batches: by
    OpenAI's batch interface, at half the price; the file, of this endpoint and model alone, that
    says which batches are under way, and has to be there when they are collected.
    At the end the answers that are on their way still come in and are kept. Raises ModelError when
    there is no such model, a key that was named is not set, or the limit cannot be kept.
    """
    chat = _made(name.strip(), options, log, limit, before, batches)
    async with chat.open():
        yield chat


def _made(
    name: str,
    options: ModelOptions,
    log: AnswerLog,
    limit: SpendingLimit | None,
    before: Spent | None,
    batches: Path | None,
) -> EndpointChat | BatchChat | LocalChat:
    if name.startswith(_LOCAL):
        if batches is not None:
            raise ModelError(f"{name} has no batch interface: it is a model on this machine")
        return LocalChat(name.removeprefix(_LOCAL), options, log, Purse(limit, before=before))
    model, url = parts_of_name(name)
    if batches is not None:
        purse = Purse(limit, PRICE_SHARE, before)
        return BatchChat(model, url, options, log, purse, batches)
    return EndpointChat(model, url, options, log, Purse(limit, before=before))


class EndpointChat(PayingChat):
    """A chat model behind an OpenAI-compatible endpoint; see `OpenChat`.

    What the endpoint does not understand in a request (a schema, a seed, a temperature) is left
    out from then on, and said in `spent`.
    """

    def __init__(
        self, model: str, base_url: str, options: ModelOptions, log: AnswerLog, purse: Purse
    ) -> None:
        self.client = EndpointClient(base_url, options)
        super().__init__(f"{model}@{self.client.base_url}", log, purse)
        self._wire = ChatWire(model)
        self._failures = Failures(self.client.base_url, "check that it is a chat endpoint")

    @property
    def spent(self) -> Spent:
        """What the run has cost so far."""
        pace = self.client.pace
        return self.purse.spent(pace.limit, pace.held, self._wire.left_out)

    @property
    def most_open(self) -> int:
        """Enough that the pace, and nothing else, says how many requests are under way."""
        return 2 * self.client.pace.most

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Connect, and close once what is on its way has come in."""
        async with self.client.open():
            yield

    async def answered(self, key: str, request: ChatRequest, keep: Keep) -> ChatAnswer:
        """The endpoint's answer; see `PayingChat`."""
        started = time.monotonic()
        came: list[ChatAnswer] = []

        def arrived(reply: Reply) -> None:
            came.append(answer_of(reply.body or {}, time.monotonic() - started))
            keep(came[0])

        reply = await self._send(request, arrived)
        answer = came[0] if came else ChatAnswer(None, reply.reason)
        of_use = answer.text is not None or answer.answer_tokens > 0
        self._failures.count(of_use, answer.reason)
        return answer

    async def _send(self, request: ChatRequest, arrived: Any) -> Reply:
        """The reply; what the endpoint does not understand is left out, one thing after another."""
        while True:
            body = self._wire.body(request)
            reply = await self.client.post("/chat/completions", body, arrived)
            if reply.good or not self._wire.leave_out(body, reply):
                return reply
