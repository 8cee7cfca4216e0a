"""models.pace: how many requests are under way, and that all wait when the server says so."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from deita_core.errors import ModelError
from deita_core.models.pace import ANSWERS_PER_STEP, Pace, retry_after


class Clock:
    """Time that passes only when somebody sleeps."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.now = max(self.now, self.now + seconds)
        await asyncio.sleep(0)


def run(work: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(work, 10))


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


def test_there_are_never_more_requests_than_places():
    async def work() -> None:
        pace, seen = Pace(3), [0]

        async def one() -> None:
            await pace.enter()
            seen[0] = max(seen[0], pace.in_flight)
            await asyncio.sleep(0)
            pace.leave()

        await asyncio.gather(*(one() for _ in range(20)))
        assert (seen[0], pace.in_flight) == (3, 0)

    run(work())


def test_a_row_of_good_answers_makes_room_for_one_more_and_a_failure_ends_the_row():
    pace = Pace()
    first = pace.limit
    for _ in range(ANSWERS_PER_STEP - 1):
        pace.answered()
    pace.failed()
    pace.answered()
    assert pace.limit == first
    for _ in range(ANSWERS_PER_STEP):
        pace.answered()
    assert pace.limit == first + 1


def test_it_never_grows_over_what_the_user_allows():
    pace = Pace(2)
    for _ in range(10 * ANSWERS_PER_STEP):
        pace.answered()
    assert pace.limit == 2


def test_a_burst_of_refusals_cuts_once_and_the_next_burst_once_more():
    async def work() -> None:
        pace = Pace()
        bursts = [await pace.enter() for _ in range(16)]
        for burst in bursts:
            pace.too_many(burst)
        assert pace.limit == 12
        for _ in range(16):
            pace.leave()
        later = await pace.enter()
        pace.too_many(later)
        pace.too_many(bursts[0])  # one of the first that came late
        assert pace.limit == 9

    run(work())


def test_one_place_is_always_left():
    pace = Pace(1)
    for burst in range(10):
        pace.too_many(burst)
    assert pace.limit == 1


def test_all_requests_wait_as_long_as_the_server_wants():
    async def work() -> None:
        clock = Clock()
        pace = Pace(clock=clock, sleep=clock.sleep)
        burst = await pace.enter()
        pace.too_many(burst, 7.5)
        pace.too_many(burst, 2.0)  # asks for less, and was said at the same time
        assert pace.held == 7.5
        sent: list[float] = []

        async def one() -> None:
            await pace.enter()
            sent.append(clock.now)

        await asyncio.gather(*(one() for _ in range(5)))
        assert min(sent) >= 7.5

    run(work())


def test_who_stops_waiting_takes_no_place_along():
    async def work() -> None:
        pace = Pace(1)
        await pace.enter()
        waiting = [asyncio.create_task(pace.enter()) for _ in range(3)]
        await settle()
        waiting[0].cancel()
        pace.leave()
        waiting[1].cancel()  # at the moment at which it gets the place
        await settle()
        assert waiting[2].done()
        assert not waiting[2].cancelled()
        assert pace.in_flight == 1

    run(work())


def test_a_rest_of_hours_ends_the_run_and_says_so():
    with pytest.raises(ModelError, match=r"2\.0 hours.*resume"):
        Pace().too_many(0, 7200)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [("2", 2.0), ("0.5", 0.5), ("-3", 0.0), (None, None), ("soon", None),
     ("Wed, 21 Oct 2015 07:28:00 GMT", 0.0)],
)  # fmt: skip
def test_the_wait_is_read_as_seconds_or_as_a_date(value: str | None, seconds: float | None):
    assert retry_after(value) == seconds
