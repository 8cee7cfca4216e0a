"""A fake OpenAI-compatible server on this machine: honest by default, faulty on demand."""

from __future__ import annotations

import json
import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

DIGITS = {str(digit): math.log(p) for digit, p in zip(range(1, 7), (1, 2, 3, 6, 5, 2), strict=True)}
LOGPROBS = {digit: value - math.log(20) for digit, value in DIGITS.items()}  # they sum to 0.95
SCORE = (1 * 1 + 2 * 2 + 3 * 3 + 4 * 6 + 5 * 5 + 6 * 2) / 19


def completion(logprobs: dict[str, float] | None) -> dict[str, Any]:
    """An answer of the completions API."""
    if logprobs is None:
        return {"choices": [{"text": "4", "logprobs": None}]}
    first = {"tokens": [max(logprobs, key=lambda t: logprobs[t])], "top_logprobs": [logprobs]}
    return {"choices": [{"text": "4", "logprobs": first}]}


def chat(logprobs: dict[str, float]) -> dict[str, Any]:
    """An answer of the chat API."""
    top = [{"token": token, "logprob": value} for token, value in logprobs.items()]
    place = {**(top or [{}])[0], "top_logprobs": top}
    return {"choices": [{"message": {"content": "4"}, "logprobs": {"content": [place]}}]}


def said(
    text: str | None, *, end: str = "stop", tokens: tuple[int, int] = (10, 5)
) -> dict[str, Any]:
    """A chat completion. tokens: of question and answer, as the server counts them."""
    usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1]}
    message = {"role": "assistant", "content": text}
    return {"choices": [{"message": message, "finish_reason": end}], "usage": usage}


@dataclass
class Fault:
    """What to do instead of answering: a status with a body and headers, or to break off."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0
    breaks: bool = False


Answer = Callable[[dict[str, Any], int], dict[str, Any] | Fault]


@dataclass
class Server:
    """url: the base URL; asked: the requests so far; keys: their Authorization headers."""

    url: str
    asked: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are part of the tests."""


@contextmanager
def serving(answer: Answer) -> Iterator[Server]:
    """A server that answers a request (and how many came before it) as `answer` says."""
    lock = threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            with lock:
                server.asked.append(request)
                server.paths.append(self.path)
                server.keys.append(self.headers.get("Authorization"))
                number = len(server.asked) - 1
            given = answer(request, number)
            fault = given if isinstance(given, Fault) else Fault(body=json.dumps(given).encode())
            time.sleep(fault.seconds)
            self.send_response(fault.status)
            for name, value in fault.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(fault.body) + 100 * fault.breaks))
            self.end_headers()
            self.wfile.write(fault.body)
            self.close_connection = fault.breaks

        def log_message(self, *_: object) -> None:
            """Quiet."""

    http = _Quiet(("127.0.0.1", 0), Handler)
    server = Server(f"http://127.0.0.1:{http.server_address[1]}/v1")
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()
