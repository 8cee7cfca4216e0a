"""models.spending: the cap holds, whatever is in flight, and what is spent adds up."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from deita_core.errors import ModelError, SpendingCapError
from deita_core.models.chat import ChatAnswer, ChatRequest
from deita_core.models.spending import Purse, SpendingLimit, Spent, most_prompt_tokens

REQUEST = ChatRequest((("user", "x" * 88),), max_tokens=300)  # at most 200 + 300 tokens
PRICES: dict[str, Any] = {"price_in": 2.0, "price_out": 10.0}


def test_a_request_sets_aside_the_most_that_it_can_cost():
    assert most_prompt_tokens(REQUEST) == 200
    assert most_prompt_tokens(ChatRequest((("user", "é漢\ud800"),))) == 16 + 96 + 2 + 3 + 3


def test_what_is_in_flight_counts_towards_the_cap():
    async def work() -> None:
        purse = Purse(SpendingLimit(most_tokens=1100))
        first, second = [await purse.set_aside(REQUEST) for _ in range(2)]
        third = asyncio.create_task(purse.set_aside(REQUEST))
        await asyncio.sleep(0)
        assert not third.done()  # waits for what the first two will have cost
        purse.pay(REQUEST, ChatAnswer("cheap", None, 50, 10))
        purse.give_back(first)
        await asyncio.wait_for(third, 5)
        purse.give_back(second)
        purse.give_back(third.result())
        assert purse.spent().tokens == 60

    asyncio.run(work())


def test_the_cap_ends_the_run_once_nothing_is_in_flight():
    async def work() -> None:
        purse = Purse(SpendingLimit(most_tokens=700))
        aside = await purse.set_aside(REQUEST)
        second = asyncio.create_task(purse.set_aside(REQUEST))
        await asyncio.sleep(0)
        purse.pay(REQUEST, ChatAnswer("dear", None, 190, 290))
        purse.give_back(aside)
        with pytest.raises(
            SpendingCapError, match=r"limit of 700 tokens.*raise the limit and resu"
        ):
            await asyncio.wait_for(second, 5)

    asyncio.run(work())


def test_a_cap_in_money_goes_by_the_prices_in_and_out():
    async def work() -> None:
        # The most that the request costs: (200 x 2 + 300 x 10) / a million.
        await Purse(SpendingLimit(most_money=0.0034, **PRICES)).set_aside(REQUEST)
        with pytest.raises(SpendingCapError):
            await Purse(SpendingLimit(most_money=0.0033, **PRICES)).set_aside(REQUEST)
        await Purse(SpendingLimit(most_money=0.0017, **PRICES), share=0.5).set_aside(REQUEST)

    asyncio.run(work())


def test_what_is_spent_adds_up_and_is_said_in_a_sentence():
    purse = Purse(SpendingLimit(**PRICES))
    for _ in range(3):
        purse.pay(REQUEST, ChatAnswer("text", None, 1000, 500))
    purse.from_log = 2
    assert purse.spent(8).money == pytest.approx(3 * (1000 * 2 + 500 * 10) / 1e6)
    said = "3 requests (2 known already), 4,500 tokens, 0.02 spent, 8 at once"
    assert purse.spent(8).sentence() == said


def test_tokens_that_the_model_did_not_count_are_estimated_and_said_to_be():
    purse = Purse()
    purse.pay(REQUEST, ChatAnswer("some words", None))
    spent = purse.spent()
    assert (spent.uncounted, spent.money) == (1, None)
    assert 0 < spent.answer_tokens < spent.prompt_tokens
    assert "about" in spent.sentence()


@pytest.mark.parametrize(
    ("given", "said"),
    [({"most_tokens": 0}, "most_tokens must be above 0"), ({"price_in": 1}, "both prices"),
     ({"most_money": 1}, "needs the prices"), ({"price_in": -1, "price_out": 1}, "at least 0")],
)  # fmt: skip
def test_limits_that_cannot_be_kept_are_refused(given: dict[str, Any], said: str):
    with pytest.raises(ModelError, match=said):
        SpendingLimit.model_validate(given)


def test_what_is_spent_survives_the_job_log():
    spent = Spent(requests=3, money=0.5, left_out=("seed",))
    assert Spent.model_validate_json(spent.model_dump_json(exclude_defaults=True)) == spent
