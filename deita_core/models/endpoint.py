"""The one client of OpenAI-compatible endpoints: the `openai` package, with our patience and words.

What can pass by itself (no connection, a timeout, status 408, 409, 429 and 5xx, an answer that is
no JSON) is tried again, after a growing wait or the server's `Retry-After`. The base URL is stored
with the scores, the API key never: it comes out of an environment variable when the client is made.
OPENAI_API_KEY, proxies and netrc, which `openai` would use, are not.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar
from urllib.parse import urlsplit

from deita_core.errors import ModelError
from deita_core.models.options import ModelOptions

KEY_VARIABLE = "DEITA_ENDPOINT_KEY"
REQUESTS, ATTEMPTS, TIMEOUT = 16, 5, 120.0
_LONGEST_CONNECT = 10.0  # seconds
_NO_KEY = "EMPTY"  # what servers without a key are sent by convention
_REFUSALS = {
    401: "it wants a valid API key",
    403: "it does not allow this",
    404: "it has no such address or model",
    405: "it takes no requests of this kind there",
}
Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Reply:
    """body: the JSON object of a good answer, or None; reason: why. status: 0 for no answer."""

    body: Mapping[str, Any] | None
    reason: str | None
    status: int


class EndpointClient:
    """Posts JSON to one endpoint, from up to `options.requests` threads at once.

    Raises ModelError when the URL may not be stored, or a key that was named is not set.
    """

    def __init__(self, base_url: str, options: ModelOptions) -> None:
        self.base_url = checked_url(base_url)
        self._key = _key(options.key_variable)
        self._requests = options.requests or REQUESTS
        self._attempts = options.attempts or ATTEMPTS
        self._timeout = options.timeout or TIMEOUT

    def post(self, path: str, request: Mapping[str, Any]) -> Reply:
        """The answer, after as many attempts as it may take; ModelError for a refusal of the run
        (a wrong key, no such model, a redirect)."""
        import httpx2
        import openai

        try:
            answer = self._client.post(path, cast_to=httpx2.Response, body=dict(request))
        except openai.APITimeoutError:
            return self._given_up("the endpoint did not answer in time")
        except openai.APIConnectionError as error:
            cause = error.__cause__
            if isinstance(cause, httpx2.ConnectError):
                return self._given_up("nothing answers at the endpoint's address")
            if isinstance(cause, httpx2.DecodingError):
                return self._given_up(str(cause), 200)
            return self._given_up(f"the connection failed: {_first_words(str(cause))}")
        except openai.APIStatusError as error:
            return self._refused(path, error.status_code, error.response.content)
        return Reply(answer.json(), None, answer.status_code)

    def for_each(self, ask: Callable[[Item], Result], items: Sequence[Item]) -> list[Result]:
        """`ask` for each of the items, side by side; results in their order. The first error ends
        the run: nothing else is sent, and the client is closed."""
        client = self._client  # made here, not by the first threads at the same moment
        threads = ThreadPoolExecutor(self._requests, thread_name_prefix="endpoint")
        asked = [threads.submit(ask, item) for item in items]
        try:
            return [one.result() for one in asked]
        except BaseException:
            client.close()
            raise
        finally:
            threads.shutdown(wait=False, cancel_futures=True)

    @cached_property
    def _client(self) -> Any:
        import openai

        return openai.OpenAI(
            api_key=self._key or _NO_KEY,
            base_url=self.base_url,
            max_retries=self._attempts - 1,
            timeout=openai.Timeout(self._timeout, connect=min(_LONGEST_CONNECT, self._timeout)),
            http_client=openai.DefaultHttpxClient(
                follow_redirects=False,
                trust_env=False,
                event_hooks={"response": [_refuse_what_is_no_json]},
            ),
        )

    def _given_up(self, reason: str, status: int = 0) -> Reply:
        return Reply(None, f"{reason} ({self._attempts} attempts)", status)

    def _refused(self, path: str, status: int, content: bytes) -> Reply:
        """The reply to a status that is not 200; ModelError where none will be."""
        address = self.base_url + path
        if 300 <= status < 400:
            wrong = "redirects to another address: give the final one as base URL"
            raise ModelError(f"{address} {wrong}")
        # Before it is cut short, or a part of the key would be left.
        hidden = content.replace(self._key.encode(), b"***") if self._key else content
        said = _message(hidden)
        if status in _REFUSALS:
            raise ModelError(
                f"{address} refuses with status {status}: {_REFUSALS[status]}"
                f"{f' ({said})' if said else ''}; check model, base URL and API key"
            )
        reason = f"the endpoint answered with status {status}: {said}"
        if status in (408, 409, 429) or status >= 500:
            return self._given_up(reason, status)
        return Reply(None, reason, status)


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


def _refuse_what_is_no_json(response: Any) -> None:
    """Makes a good status with a garbled body an error that `openai` tries again."""
    import httpx2

    if response.is_success and _json_object(response.read()) is None:
        raise httpx2.DecodingError("the endpoint's answer is not JSON", request=response.request)


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
