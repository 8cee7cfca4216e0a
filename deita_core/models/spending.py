"""What asking a chat model costs: spent so far, and a cap that holds.

Before a request is sent, the most that it can cost is set aside, so that what is in flight can
never go over the cap. What a server charges for requests that it did not answer is not known here.
"""

from __future__ import annotations

import asyncio
from typing import Any

from pydantic import (
    BaseModel,
    ConfigDict,
    ModelWrapValidatorHandler,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    ValidationError,
    model_validator,
)

from deita_core.describe import approximate_tokens
from deita_core.errors import ModelError, SpendingCapError
from deita_core.models.chat import ChatAnswer, ChatRequest

_MILLION = 1_000_000
# Tokens that a chat template can put around a message, and a server before them all.
_AROUND_MESSAGE, _BEFORE_ALL = 16, 96


class SpendingLimit(BaseModel):
    """most_tokens: of questions and answers together. most_money: in the currency of the prices.

    price_in, price_out: of a million tokens of the questions and of the answers; both or none.
    None is no limit, or no price. A value out of range is a ModelError.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    most_tokens: PositiveInt | None = None
    most_money: PositiveFloat | None = None
    price_in: NonNegativeFloat | None = None
    price_out: NonNegativeFloat | None = None

    @model_validator(mode="wrap")
    @classmethod
    def _in_our_words(
        cls, given: Any, handler: ModelWrapValidatorHandler[SpendingLimit]
    ) -> SpendingLimit:
        try:
            found = handler(given)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            name = (*first["loc"], "limit")[0]
            least = "at least 0" if str(name).startswith("price") else "above 0"
            raise ModelError(f"{name} must be {least}, got {first['input']!r}") from error
        if (found.price_in is None) != (found.price_out is None):
            raise ModelError("give both prices, of a million tokens in and of a million out")
        if found.most_money is not None and found.price_in is None:
            raise ModelError("a limit in money needs the prices of a million tokens in and out")
        return found

    def money(self, prompt_tokens: float, answer_tokens: float) -> float | None:
        """What so many tokens cost, or None without prices."""
        if self.price_in is None or self.price_out is None:
            return None
        return (prompt_tokens * self.price_in + answer_tokens * self.price_out) / _MILLION


class Spent(BaseModel):
    """What a run has cost so far.

    requests: answered for money; from_log: answered by what was paid for before; failed: requests
    that got no answer. uncounted: answers whose tokens the model did not count, so that they are
    estimated. money: None without prices. concurrency: requests at once at this moment; held:
    seconds for which the server wants none. left_out: what the model does not understand in a
    request, and was not sent.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    requests: int = 0
    from_log: int = 0
    failed: int = 0
    uncounted: int = 0
    prompt_tokens: int = 0
    answer_tokens: int = 0
    money: float | None = None
    concurrency: int = 0
    held: float = 0.0
    left_out: tuple[str, ...] = ()

    @property
    def tokens(self) -> int:
        """Of questions and answers together."""
        return self.prompt_tokens + self.answer_tokens

    def sentence(self) -> str:
        """ "1,234 requests (56 known already), 789,012 tokens, 1.23 spent, 16 at once"."""
        known = f" ({self.from_log:,} known already)" if self.from_log else ""
        said = [f"{self.requests:,} requests{known}"]
        said.append(f"{'about ' if self.uncounted else ''}{self.tokens:,} tokens")
        if self.money is not None:
            said.append(f"{self.money:,.2f} spent")
        if self.failed:
            said.append(f"{self.failed:,} failed")
        if self.concurrency:
            said.append(f"{self.concurrency} at once")
        if self.held >= 1:
            said.append(f"the endpoint wants a rest of {self.held:,.0f} s")
        if self.left_out:
            said.append(f"sent without {', '.join(self.left_out)}")
        return ", ".join(said)


class Purse:
    """Counts what is spent, and sets aside what is in flight.

    share: of the prices that is paid (a half by the batch interface). before: what the run spent
    before it was stopped, which counts as well.
    """

    def __init__(
        self,
        limit: SpendingLimit | None = None,
        share: float = 1.0,
        before: Spent | None = None,
    ) -> None:
        before = before or Spent()
        self._limit = limit or SpendingLimit()
        self._share = share
        self._aside_tokens = 0
        self._aside_money = 0.0
        self._changed: asyncio.Event | None = None
        self.in_flight = 0
        self.requests = before.requests
        self.from_log = 0
        self.failed = 0
        self.uncounted = before.uncounted
        self.prompt_tokens = before.prompt_tokens
        self.answer_tokens = before.answer_tokens

    @property
    def money(self) -> float | None:
        """Spent so far, or None without prices."""
        return self._price(self.prompt_tokens, self.answer_tokens)

    async def set_aside(self, request: ChatRequest) -> tuple[int, float]:
        """Set aside the most that a request can cost: tokens and money, for `give_back`.

        Waits while what is in flight decides whether it fits; SpendingCapError once nothing is in
        flight and it does not.
        """
        prompt = most_prompt_tokens(request)
        tokens = prompt + request.max_tokens
        money = self._price(prompt, request.max_tokens) or 0.0
        while not self._fits(tokens, money):
            if not self.in_flight:
                raise SpendingCapError(self._reached())
            self._changed = self._changed or asyncio.Event()
            await self._changed.wait()
        self._aside_tokens += tokens
        self._aside_money += money
        self.in_flight += 1
        return tokens, money

    def give_back(self, aside: tuple[int, float]) -> None:
        """The request has come to its end, paid or not."""
        self._aside_tokens -= aside[0]
        self._aside_money -= aside[1]
        self.in_flight -= 1
        if self._changed is not None:
            self._changed.set()
            self._changed = None

    def pay(self, request: ChatRequest, answer: ChatAnswer) -> None:
        """Count an answer that was paid for; its tokens are estimated where it has no count."""
        self.requests += 1
        counted = answer.prompt_tokens or answer.answer_tokens
        self.uncounted += not counted
        said = sum(approximate_tokens(text) for _, text in request.messages)
        self.prompt_tokens += answer.prompt_tokens if counted else said
        self.answer_tokens += (
            answer.answer_tokens if counted else approximate_tokens(answer.text or "")
        )

    def spent(
        self, concurrency: int = 0, held: float = 0.0, left_out: tuple[str, ...] = ()
    ) -> Spent:
        """What is counted so far."""
        return Spent(
            requests=self.requests,
            from_log=self.from_log,
            failed=self.failed,
            uncounted=self.uncounted,
            prompt_tokens=self.prompt_tokens,
            answer_tokens=self.answer_tokens,
            money=self.money,
            concurrency=concurrency,
            held=held,
            left_out=left_out,
        )

    def _price(self, prompt: float, answer: float) -> float | None:
        money = self._limit.money(prompt, answer)
        return None if money is None else money * self._share

    def _fits(self, tokens: int, money: float) -> bool:
        most_tokens, most_money = self._limit.most_tokens, self._limit.most_money
        all_tokens = self.prompt_tokens + self.answer_tokens + self._aside_tokens + tokens
        all_money = (self.money or 0.0) + self._aside_money + money
        return (most_tokens is None or all_tokens <= most_tokens) and (
            most_money is None or all_money <= most_money
        )

    def _reached(self) -> str:
        limit = self._limit
        caps = [
            f"{limit.most_tokens:,} tokens" if limit.most_tokens is not None else "",
            f"{limit.most_money:,.2f} in money" if limit.most_money is not None else "",
        ]
        return (
            f"the next request could go over the limit of {' or '.join(filter(None, caps))}: "
            f"{self.spent().sentence()}; raise the limit and resume, what was answered is kept"
        )


def most_prompt_tokens(request: ChatRequest) -> int:
    """As many tokens as a question can have: no token is shorter than a byte."""
    texts = [text for _, text in request.messages] + [request.schema or ""]
    size = sum(len(text.encode("utf-8", "surrogatepass")) for text in texts)
    return size + _AROUND_MESSAGE * len(request.messages) + _BEFORE_ALL
