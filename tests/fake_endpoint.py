"""A fake OpenAI-compatible server on this machine: honest by default, faulty on demand."""

from __future__ import annotations

import argparse
import json
import math
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.fake_batches import FakeBatches

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
    """url: the base URL; asked: the requests so far; keys: their Authorization headers.

    delivered: how often a whole good answer to a request was sent, by the request as JSON. batches:
    what stands behind the batch interface.
    """

    url: str
    asked: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    keys: list[str | None] = field(default_factory=list)
    delivered: Counter[str] = field(default_factory=Counter)
    batches: FakeBatches = field(default_factory=FakeBatches)
    lock: threading.Lock = field(default_factory=threading.Lock)


class _Quiet(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: object, client_address: object) -> None:
        """Clients that hang up are part of the tests."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    answer: Answer
    fake: Server

    def do_GET(self) -> None:
        with self.fake.lock:
            status, body = self.fake.batches.got(self.path)
        self._send(Fault(status, body))

    def do_POST(self) -> None:
        content = self.rfile.read(int(self.headers["Content-Length"]))
        if self.path.endswith(("/files", "/batches")):
            with self.fake.lock:
                posted = self.fake.batches.posted
                status, body = posted(self.path, content, self.headers, type(self).answer)
            self._send(Fault(status, body))
            return
        request = json.loads(content)
        with self.fake.lock:
            self.fake.asked.append(request)
            self.fake.paths.append(self.path)
            self.fake.keys.append(self.headers.get("Authorization"))
            number = len(self.fake.asked) - 1
        given = type(self).answer(request, number)
        fault = given if isinstance(given, Fault) else Fault(body=json.dumps(given).encode())
        time.sleep(fault.seconds)
        self._send(fault)
        if fault.status == 200 and not fault.breaks:
            with self.fake.lock:
                self.fake.delivered[json.dumps(request, sort_keys=True)] += 1

    def _send(self, fault: Fault) -> None:
        self.send_response(fault.status)
        for name, value in fault.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(fault.body) + 100 * fault.breaks))
        self.end_headers()
        self.wfile.write(fault.body)
        self.close_connection = fault.breaks

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def serving(answer: Answer, port: int = 0) -> Iterator[Server]:
    """A server that answers a request (and how many came before it) as `answer` says."""
    handler = type("Handler", (_Handler,), {"answer": staticmethod(answer)})
    http = _Quiet(("127.0.0.1", port), handler)
    server = Server(f"http://127.0.0.1:{http.server_address[1]}/v1")
    handler.fake = server  # type: ignore[attr-defined]
    thread = threading.Thread(target=http.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield server
    finally:
        http.shutdown()
        http.server_close()


def main() -> None:
    """`python -m tests.fake_endpoint --port N`: a chat server for trying things out."""
    from tests.fake_chat import PASSING, USELESS, Moody, plausible

    parser = argparse.ArgumentParser(prog="python -m tests.fake_endpoint")
    parser.add_argument("--port", type=int, default=8765)
    parser.add_argument("--slow", type=float, default=0.0, help="seconds before each answer")
    parser.add_argument("--limit-rate", type=int, help="answers a second; 429 for the others")
    parser.add_argument("--faults", type=int, help="one request in so many meets a fault first")
    parser.add_argument("--useless", type=int, help="one request in so many is never of use")
    given = parser.parse_args()
    answer: Answer = plausible
    if given.useless:
        answer = Moody(USELESS, given.useless, True, answer)
    if given.faults:
        answer = Moody(PASSING, given.faults, False, answer)
    with serving(_paced(answer, given.slow, given.limit_rate), given.port) as server:
        print(f"model@{server.url}", flush=True)
        while True:
            time.sleep(10)
            twice = sum(count - 1 for count in server.delivered.values())
            print(f"{len(server.asked):,} asked, {twice:,} answered twice", flush=True)


def _paced(answer: Answer, seconds: float, rate: int | None) -> Answer:
    """An answer that takes its time, and is given only so often a second."""
    recent: deque[float] = deque()
    lock = threading.Lock()

    def paced(request: dict[str, Any], number: int) -> dict[str, Any] | Fault:
        now = time.monotonic()
        with lock:
            while recent and now - recent[0] > 1:
                recent.popleft()
            if rate is not None and len(recent) >= rate:
                return Fault(429, b"too many", {"Retry-After": "1"})
            recent.append(now)
        found = answer(request, number)
        if isinstance(found, Fault):
            return found
        return Fault(body=json.dumps(found).encode(), seconds=seconds)

    return paced


if __name__ == "__main__":
    main()
