"""The one client of OpenAI-compatible endpoints: the `openai` package, with our patience and words.

What can pass by itself (no connection, a timeout, status 408, 409, 429 and 5xx, an answer that is
no JSON) is tried again, after a growing wait or the server's `Retry-After`; how many requests are
under way is a matter of `pace.py`. The base URL is stored with what comes of it, the API key never:
it comes out of an environment variable when the client is made, and is struck out of all that the
server says. OPENAI_API_KEY, proxies and netrc, which `openai` would use, are not.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from deita_core.errors import JobCancelledError, ModelError
from deita_core.models.options import ModelOptions
from deita_core.models.pace import Pace, retry_after

KEY_VARIABLE = "DEITA_ENDPOINT_KEY"
ATTEMPTS, TIMEOUT = 5, 120.0
# Seconds for which answers that are on their way are waited for when a user stops a run: the owner
# of a job ends its worker after 20.
SETTLE_SECONDS = 12.0
# So many failures before the first good answer, or in a row after it, end the run.
FAILED_FIRST, FAILED_IN_A_ROW = 8, 32
# A limit on the rate passes for sure, so it is given so many times the attempts; those that are
# usual count by the minute.
_PATIENCE = 3
_LONGEST_CONNECT = 10.0  # seconds
_NO_KEY = "EMPTY"  # what servers without a key are sent by convention
_REFUSALS = {
    401: "it wants a valid API key",
    402: "the account there has no money left",
    403: "it does not allow this",
    404: "it has no such address or model",
    405: "it takes no requests of this kind there",
}
_OVERLOADED = (408, 429, 503, 529)
_NAME = re.compile(r"(.+)@(https?://.+)", re.I | re.S)


@dataclass(frozen=True, slots=True)
class Reply:
    """body: the JSON object of a good answer, or None; reason: why. status: 0 for no answer.

    content: the bytes of a good answer that was not asked for as JSON.
    """

    body: Mapping[str, Any] | None
    reason: str | None
    status: int
    content: bytes = b""

    @property
    def good(self) -> bool:
        """Whether there is an answer."""
        return self.reason is None


@dataclass(frozen=True, slots=True)
class _Exchange:
    """One attempt. passing: another may go well. busy: others get through meanwhile."""

    reply: Reply
    passing: bool = False
    busy: bool = False
    hold: float | None = None


Arrived = Callable[[Reply], None]


class EndpointClient:
    """Sends JSON to one endpoint, as many requests at once as it takes gladly.

    Used inside `async with client.open()`; the pace outlives it. Raises ModelError when the URL may
    not be stored, or a key that was named is not set.
    """

    def __init__(self, base_url: str, options: ModelOptions) -> None:
        self.base_url = checked_url(base_url)
        self.pace = Pace(options.requests)
        self._key = _key(options.key_variable)
        self._attempts = options.attempts or ATTEMPTS
        self._timeout = options.timeout or TIMEOUT
        self._flying: set[asyncio.Task[_Exchange]] = set()
        self._good = 0
        self._client: Any = None

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Connect; at the end waits for the answers that are on their way, and closes.

        An error does not cut them short; a cancel leaves them `SETTLE_SECONDS`.
        """
        import openai

        self._client = openai.AsyncOpenAI(
            api_key=self._key or _NO_KEY,
            base_url=self.base_url,
            max_retries=0,
            timeout=openai.Timeout(
                self._timeout, connect=min(_LONGEST_CONNECT, self._timeout), pool=None
            ),
            http_client=openai.DefaultAsyncHttpxClient(follow_redirects=False, trust_env=False),
        )
        patience = self._timeout
        try:
            yield
        except (JobCancelledError, asyncio.CancelledError, KeyboardInterrupt):
            patience = min(patience, SETTLE_SECONDS)
            raise
        finally:
            if self._flying:
                _, late = await asyncio.wait(self._flying, timeout=patience)
                for flight in late:
                    flight.cancel()
            await self._client.close()

    async def post(
        self,
        path: str,
        request: Mapping[str, Any],
        arrived: Arrived | None = None,
        *,
        attempts: int | None = None,
    ) -> Reply:
        """The answer, after as many attempts as it may take (None: as the options say); ModelError
        for a refusal of the run (a wrong key, no such model, a redirect).

        arrived: told of a good answer at once, and also when who asked does not wait any more.
        """
        return await self._insist(_Call("POST", path, dict(request)), arrived, attempts)

    async def get(self, path: str, *, raw: bool = False) -> Reply:
        """What stands at an address; raw: as `Reply.content`."""
        return await self._insist(_Call("GET", path, raw=raw))

    async def upload(
        self, path: str, name: str, content: bytes, fields: Mapping[str, str]
    ) -> Reply:
        """The answer to a file, sent as a form with some fields beside it."""
        return await self._insist(_Call("POST", path, dict(fields), (name, content)))

    async def _insist(
        self, call: _Call, arrived: Arrived | None = None, most: int | None = None
    ) -> Reply:
        attempts = 0
        while True:
            good = self._good
            burst = await self.pace.enter()
            # A task of its own: what was sent is paid for, so it comes in whoever stops waiting.
            flight = asyncio.create_task(self._fly(call, arrived, burst))
            self._flying.add(flight)
            flight.add_done_callback(self._landed)
            exchange = await asyncio.shield(flight)
            if not exchange.passing:
                return exchange.reply
            # A limit on the rate that lets others through costs nobody an attempt.
            attempts += not (exchange.busy and self._good > good)
            if attempts >= (most or self._attempts) * (_PATIENCE if exchange.busy else 1):
                said = f"{exchange.reply.reason} ({attempts} attempts)"
                return Reply(None, said, exchange.reply.status)
            if exchange.hold is None:
                await self.pace.wait_before(max(1, attempts) + 1)

    async def _fly(self, call: _Call, arrived: Arrived | None, burst: int) -> _Exchange:
        try:
            exchange = await self._exchange(call)
            if exchange.reply.good:
                self._good += 1
                self.pace.answered()
                if arrived is not None:
                    arrived(exchange.reply)
            else:
                self.pace.failed()
            if exchange.reply.status in _OVERLOADED:
                self.pace.too_many(burst, exchange.hold)
            return exchange
        finally:
            self.pace.leave()  # after a hold was set, which the next request must see

    def _landed(self, flight: asyncio.Task[_Exchange]) -> None:
        self._flying.discard(flight)
        if not flight.cancelled():
            flight.exception()  # seen, also where nobody waits for it any more

    async def _exchange(self, call: _Call) -> _Exchange:
        import httpx2
        import openai

        try:
            answer = await call.sent_by(self._client)
        except openai.APITimeoutError:
            return _passing("the endpoint did not answer in time", 408)
        except openai.APIConnectionError as error:
            cause = error.__cause__
            if isinstance(cause, httpx2.ConnectError):
                return _passing("nothing answers at the endpoint's address")
            said = self._without_key(str(cause).encode()).decode()
            return _passing(f"the connection failed: {_first_words(said)}")
        except openai.APIStatusError as error:
            return self._refused(call.path, error)
        content = self._without_key(answer.content)
        if call.raw:
            return _Exchange(Reply(None, None, answer.status_code, content))
        if (body := _json_object(content)) is None:
            return _passing("the endpoint's answer is not JSON", 200)
        return _Exchange(Reply(body, None, answer.status_code))

    def _without_key(self, content: bytes) -> bytes:
        # Before it is cut short, or a part of the key would be left.
        return content.replace(self._key.encode(), b"***") if self._key else content

    def _refused(self, path: str, error: Any) -> _Exchange:
        """What a status that is not 200 means; ModelError where no answer will come."""
        status: int = error.status_code
        address = self.base_url + path
        if 300 <= status < 400:
            wrong = "redirects to another address: give the final one as base URL"
            raise ModelError(f"{address} {wrong}")
        content = self._without_key(error.response.content)
        said = _message(content)
        no_money = b"insufficient_quota" in content  # OpenAI says it with 429
        if status in _REFUSALS or no_money:
            why = _REFUSALS[402 if no_money else status]
            raise ModelError(
                f"{address} refuses with status {status}: {why}"
                f"{f' ({said})' if said else ''}; check model, base URL and API key"
            )
        reason = f"the endpoint answered with status {status}: {said}"
        if status not in (408, 409, 429) and status < 500:
            return _Exchange(Reply(None, reason, status))
        hold = retry_after(error.response.headers.get("Retry-After"))
        return _Exchange(Reply(None, reason, status), True, status == 429, hold)


@dataclass(frozen=True, slots=True)
class _Call:
    """A request. body: JSON, or the fields of a form where there is a file (name, content)."""

    method: str
    path: str
    body: dict[str, Any] | None = None
    file: tuple[str, bytes] | None = None
    raw: bool = False

    async def sent_by(self, client: Any) -> Any:
        """The response; errors as `openai` raises them."""
        import httpx2

        if self.method == "GET":
            return await client.get(self.path, cast_to=httpx2.Response)
        if self.file is None:
            return await client.post(self.path, cast_to=httpx2.Response, body=self.body)
        return await client.post(
            self.path,
            cast_to=httpx2.Response,
            body=self.body,
            files={"file": self.file},
            options={"headers": {"Content-Type": "multipart/form-data"}},
        )


class Failures:
    """Ends a run when the endpoint answers nothing that is of use."""

    def __init__(self, base_url: str, remedy: str) -> None:
        self._base_url = base_url
        self._remedy = remedy
        self._proven = False
        self._in_a_row = 0

    def count(self, of_use: bool, reason: str | None) -> None:
        """One more has come to its end; ModelError after too many that were of no use."""
        self._proven |= of_use
        self._in_a_row = 0 if of_use else self._in_a_row + 1
        if self._in_a_row >= (FAILED_IN_A_ROW if self._proven else FAILED_FIRST):
            raise ModelError(
                f"{self._base_url} failed {self._in_a_row} times in a row, the last time because "
                f"{reason}; {self._remedy}, then resume: what was answered before is kept"
            )


def parts_of_name(name: str) -> tuple[str, str]:
    """MODEL and URL of "MODEL@URL"; ModelError for a URL that may not be stored."""
    found = _NAME.fullmatch(name)
    if found is None:
        # Without what comes behind the model: it may hold a password.
        raise ModelError(
            "an endpoint is named MODEL@URL (as a scorer endpoint:MODEL@URL) with an http(s) URL, "
            f"got {name.partition('@')[0]!r} and no such URL behind it"
        )
    return found[1], checked_url(found[2])


def checked_url(url: str) -> str:
    """The base URL as it is stored: http(s), without final slash, with "/v1" where it has no path.

    ModelError when it has a user, password or query, since these can be secrets.
    """
    try:
        parts = urlsplit(url.strip())
        port = parts.port
    except ValueError:
        # Its words, and what it was raised from, would hold the password.
        raise ModelError("the endpoint's URL is not valid: check its host and port") from None
    if parts.scheme.lower() not in ("http", "https") or not parts.hostname:
        got = url.rpartition("@")[2]  # what stands before may be a password
        raise ModelError(f"the endpoint's URL must begin with http:// or https://, got {got!r}")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ModelError(
            "the endpoint's URL must have no user, password, query or fragment, because it is "
            f"stored with the scores: put the API key into the variable {KEY_VARIABLE}"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    place = host if port is None else f"{host}:{port}"
    return f"{parts.scheme.lower()}://{place}{parts.path.rstrip('/') or '/v1'}"


def _key(variable: str | None) -> str | None:
    key = os.environ.get(variable or KEY_VARIABLE, "").strip()
    if variable is not None and not key:
        raise ModelError(f"the environment variable {variable} is not set: put the API key there")
    return key or None


def _passing(reason: str, status: int = 0) -> _Exchange:
    return _Exchange(Reply(None, reason, status), passing=True)


def _json_object(content: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(content)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _message(content: bytes) -> str:
    """What an error answer says, in a line."""
    found = _json_object(content)
    if found is None:
        return _first_words(content.decode("utf-8", "replace"))
    inner = found.get("error", found)
    return _first_words(str(inner.get("message", inner) if isinstance(inner, dict) else inner))


def _first_words(text: str) -> str:
    return " ".join(text.split())[:300]
