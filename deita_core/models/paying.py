"""What all chat models have in common: the log is asked first, and what is paid for is counted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from deita_core.models.answers import AnswerLog
from deita_core.models.chat import ChatAnswer, ChatRequest
from deita_core.models.spending import Purse, Spent

# Told of an answer that was paid for the moment it arrives, be there anybody who waits for it.
Keep = Callable[[ChatAnswer], None]


class PayingChat:
    """A chat model with a log and a purse; who derives from it answers what is in neither.

    id: see `Chat`.
    """

    def __init__(self, model: str, log: AnswerLog, purse: Purse) -> None:
        self.id = model
        self.log = log
        self.purse = purse
        self._asking: dict[str, asyncio.Lock] = {}

    @property
    def spent(self) -> Spent:
        """What the run has cost so far."""
        return self.purse.spent()

    async def ask(self, request: ChatRequest) -> ChatAnswer:
        """The answer, out of the log where it is known; see `Chat.ask`."""
        key = request.key(self.id)
        # The same request at the same moment waits for the answer to the first.
        lock = self._asking.setdefault(key, asyncio.Lock())
        try:
            async with lock:
                if (known := self.log.get(key)) is not None:
                    self.purse.from_log += 1
                    return known
                return await self._paid(key, request)
        finally:
            if not lock.locked():
                self._asking.pop(key, None)

    async def _paid(self, key: str, request: ChatRequest) -> ChatAnswer:
        def keep(answer: ChatAnswer) -> None:
            self.keep(key, request, answer)

        aside = await self.purse.set_aside(request)
        try:
            answer = await self.answered(key, request, keep)
        finally:
            self.purse.give_back(aside)
        self.purse.failed += answer.text is None and not answer.answer_tokens
        return answer

    def keep(self, key: str, request: ChatRequest, answer: ChatAnswer) -> None:
        """Count and log an answer, unless it is none and cost nothing."""
        if answer.text is not None or answer.prompt_tokens or answer.answer_tokens:
            self.purse.pay(request, answer)
            self.log.add(key, answer)

    async def answered(self, key: str, request: ChatRequest, keep: Keep) -> ChatAnswer:
        """The model's own answer, which it also gives to `keep` when it arrives."""
        raise NotImplementedError
