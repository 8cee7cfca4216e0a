"""How many requests an endpoint is sent at once, and when: as many as it takes gladly.

One more after 25 good answers in a row; three quarters after it says that there are too many, and
only once for all the requests that were on their way then (a burst). Where it says how long to
wait, all requests wait. The figures are those of NVIDIA's notes on data-designer, for servers of
one's own.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from deita_core.errors import ModelError

FIRST, MOST = 16, 256
ANSWERS_PER_STEP, CUT = 25, 0.75
# Seconds before a second attempt, twice as many before each further one, and the most.
FIRST_WAIT, LONGEST_WAIT = 0.5, 16.0
# A server that wants a longer rest is asked again by whoever resumes the job.
LONGEST_HOLD = 3600.0


class Pace:
    """Places for requests, given out in the order asked for.

    most: how many requests at once, never more; None begins with `FIRST` and grows up to `MOST`.
    clock, sleep: the time, in seconds.
    """

    def __init__(
        self,
        most: int | None = None,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.most = most or MOST
        self._clock = clock
        self._sleep = sleep
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._good = 0
        self._held_until = 0.0
        self.limit = min(FIRST, self.most)
        self.in_flight = 0
        self.bursts = 0

    @property
    def held(self) -> float:
        """For how many seconds from now no request is sent."""
        return max(0.0, self._held_until - self._clock())

    async def enter(self) -> int:
        """Wait for a place; returns the number of the burst, for `too_many`. `leave` gives the
        place back, once."""
        if self.in_flight >= self.limit or self._waiting:
            place = asyncio.get_running_loop().create_future()
            self._waiting.append(place)
            try:
                await place
            except asyncio.CancelledError:
                if place.done() and not place.cancelled():
                    self.leave()  # it was given the place at the same moment
                raise
        else:
            self.in_flight += 1
        try:
            while (seconds := self.held) > 0:
                await self._sleep(seconds)
        except asyncio.CancelledError:
            self.leave()
            raise
        return self.bursts

    def leave(self) -> None:
        """Give a place back."""
        self.in_flight -= 1
        self._give_out()

    def answered(self) -> None:
        """A good answer has come."""
        self._good += 1
        if self._good >= ANSWERS_PER_STEP:
            self._good = 0
            self.limit = min(self.limit + 1, self.most)
            self._give_out()

    def failed(self) -> None:
        """An answer was not good, which ends the row of good ones."""
        self._good = 0

    def too_many(self, burst: int, hold: float | None = None) -> None:
        """The server says so to a request of this burst. hold: seconds that it wants to be left
        alone. Raises ModelError where that is more than `LONGEST_HOLD`."""
        self._good = 0
        if burst == self.bursts:
            self.bursts += 1
            self.limit = max(1, int(self.limit * CUT))
        if hold is not None:
            if hold > LONGEST_HOLD:
                raise ModelError(
                    f"the endpoint wants no request for {hold / 3600:.1f} hours: its limit is "
                    "reached; resume then, what was answered is kept"
                )
            self._held_until = max(self._held_until, self._clock() + hold)

    async def wait_before(self, attempt: int) -> None:
        """Rest before attempt 2, 3, ... of a request, outside of any place."""
        seconds = min(FIRST_WAIT * 2 ** (attempt - 2), LONGEST_WAIT)
        await self._sleep(seconds * random.uniform(0.75, 1.0))  # noqa: S311 - no secret, spreads load

    def _give_out(self) -> None:
        while self._waiting and self.in_flight < self.limit:
            place = self._waiting.popleft()
            if not place.done():
                self.in_flight += 1
                place.set_result(None)


def retry_after(value: str | None) -> float | None:
    """Seconds out of a `Retry-After`: a number or a date; None where it says nothing."""
    if value is None:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        when = parsedate_to_datetime(value)
    except ValueError:
        return None
    when = when if when.tzinfo else when.replace(tzinfo=UTC)
    return max(0.0, (when - datetime.now(UTC)).total_seconds())
