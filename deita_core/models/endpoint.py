"""Asking an HTTP endpoint: connections kept open, a bounded number of requests, patience.

What can pass by itself is tried again: connections that are refused or break off, timeouts,
status 408, 429 and 5xx, an answer that is no JSON. Between attempts it waits 0.5 s, then twice as
long each time (30 s at most, with a random share, so that requests do not come back together);
a `Retry-After` holds back all requests. What will not pass ends the run with a ModelError.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any

from deita_core.errors import ModelError

_FIRST_WAIT, _LONGEST_WAIT, _LONGEST_HELD = 0.5, 30.0, 300.0
_PASSING = frozenset({408, 409, 425, 429})
_REFUSALS = {
    401: "it wants a valid API key",
    403: "it does not allow this",
    404: "it has no such address or model",
    405: "it takes no requests of this kind there",
}


@dataclass(frozen=True, slots=True)
class Reply:
    """body: the JSON object of a good answer, or None; reason: why there is none.

    status: of the last answer, 0 when there was none.
    """

    body: Mapping[str, Any] | None
    reason: str | None
    status: int


class EndpointClient:
    """Posts JSON to one address; safe to use from `requests` threads at once."""

    def __init__(
        self, url: str, key: str | None, *, requests: int, attempts: int, timeout: float
    ) -> None:
        import urllib3

        self._url = url
        self._key = key
        self._attempts = attempts
        self._pool = urllib3.PoolManager(
            maxsize=requests,
            block=True,
            timeout=urllib3.Timeout(connect=min(10.0, timeout), read=timeout),
        )
        self._stopped = threading.Event()
        self._held_until = 0.0

    def stop(self) -> None:
        """Let waiting requests give up at once: the run is over."""
        self._stopped.set()

    def post(self, request: Mapping[str, Any]) -> Reply:
        """The answer to a request, after as many attempts as it may take.

        Raises ModelError when the endpoint refuses this run as a whole.
        """
        content = json.dumps(request, ensure_ascii=True).encode("ascii")
        reply = Reply(None, "the run was stopped", 0)
        for attempt in range(self._attempts):
            if self._stopped.wait(max(0.0, self._held_until - time.monotonic())):
                return reply
            reply, after = self._once(content)
            if reply.body is not None or after is None:
                return reply
            if attempt + 1 < self._attempts:
                self._wait(attempt, after)
        return Reply(None, f"{reply.reason} ({self._attempts} attempts)", reply.status)

    def _wait(self, attempt: int, after: float) -> None:
        if after:
            self._held_until = max(self._held_until, time.monotonic() + min(after, _LONGEST_HELD))
            return
        longest = min(_LONGEST_WAIT, _FIRST_WAIT * 2**attempt)
        self._stopped.wait(longest * random.uniform(0.5, 1.0))

    def _once(self, content: bytes) -> tuple[Reply, float | None]:
        """One attempt: the reply, and the seconds to wait before another (None: do not)."""
        import urllib3

        headers = {"Content-Type": "application/json"}
        if self._key is not None:
            headers["Authorization"] = f"Bearer {self._key}"
        try:
            answer = self._pool.request(
                "POST", self._url, body=content, headers=headers, retries=False, redirect=False
            )
        except urllib3.exceptions.NewConnectionError:  # counts as a timeout in urllib3
            return Reply(None, "nothing answers at the endpoint's address", 0), 0.0
        except urllib3.exceptions.TimeoutError:
            return Reply(None, "the endpoint did not answer in time", 0), 0.0
        except urllib3.exceptions.HTTPError as error:
            return Reply(None, f"the connection failed: {_first_words(str(error))}", 0), 0.0
        return self._judged(answer.status, answer.data, answer.headers.get("Retry-After"))

    def _judged(
        self, status: int, data: bytes, retry_after: str | None
    ) -> tuple[Reply, float | None]:
        if status == 200:
            body = _json_object(data)
            if body is not None:
                return Reply(body, None, status), None
            return Reply(None, "the endpoint's answer is not JSON", status), 0.0
        said = self._without_key(_message(data))
        if 300 <= status < 400:
            raise ModelError(
                f"{self._url} redirects to another address: give the final one as base URL"
            )
        if status in _REFUSALS:
            raise ModelError(
                f"{self._url} refuses with status {status}: {_REFUSALS[status]}"
                f"{f' ({said})' if said else ''}; check model, base URL and API key"
            )
        reply = Reply(None, f"the endpoint answered with status {status}: {said}", status)
        if status in _PASSING or status >= 500:
            return reply, _seconds(retry_after)
        return reply, None

    def _without_key(self, text: str) -> str:
        return text.replace(self._key, "***") if self._key else text


def _json_object(data: bytes) -> dict[str, Any] | None:
    try:
        found = json.loads(data)
    except ValueError:
        return None
    return found if isinstance(found, dict) else None


def _message(data: bytes) -> str:
    """What an error answer says, in a line."""
    found = _json_object(data)
    if found is not None:
        inner = found.get("error", found)
        said = inner.get("message", inner) if isinstance(inner, dict) else inner
        return _first_words(str(said))
    return _first_words(data.decode("utf-8", "replace"))


def _first_words(text: str) -> str:
    return " ".join(text.split())[:300]


def _seconds(retry_after: str | None) -> float:
    """Seconds of a Retry-After header: a number, or a date; 0 without one."""
    if retry_after is None:
        return 0.0
    try:
        return max(0.0, float(retry_after))
    except ValueError:
        pass
    try:
        return max(0.0, parsedate_to_datetime(retry_after).timestamp() - time.time())
    except ValueError:
        return 0.0
