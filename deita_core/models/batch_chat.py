"""OpenAI's batch interface as a chat model: half the price, and an answer within a day.

Requests are gathered until nobody asks any more, uploaded as a file, and collected once the
endpoint has answered them all. Which batches are under way stands in a file, so one can leave and
come back: whoever asks the same again waits for the batch that is there already.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from deita_core.errors import ModelError
from deita_core.models.answers import AnswerLog
from deita_core.models.chat import ChatAnswer, ChatRequest
from deita_core.models.endpoint import EndpointClient, Reply
from deita_core.models.options import ModelOptions
from deita_core.models.paying import Keep, PayingChat
from deita_core.models.spending import Purse, Spent
from deita_core.models.wire import ChatWire, answer_of

PRICE_SHARE = 0.5
# Nobody has asked for so long: all wait. Then how often the endpoint is asked for its progress.
QUIET_SECONDS = 0.3
FIRST_POLL, LONGEST_POLL = 5.0, 60.0
# The interface takes 50,000 requests and 200 MB a batch.
_MOST_REQUESTS, _MOST_BYTES = 20_000, 100_000_000
_NAME = "deita_studio"  # of the hash in a batch's metadata
_OVER = ("completed", "failed", "expired", "cancelled")
_ALL_AT_ONCE = 100_000
# A batch that expired is sent again, so often.
_ROUNDS = 3


@dataclass(slots=True)
class _Waiting:
    request: ChatRequest
    keep: Keep
    answer: asyncio.Future[ChatAnswer]
    body: dict[str, Any] = field(default_factory=dict)
    rounds: int = 0


class BatchNotes:
    """Batches under way: a file of lines, each with the hash of a batch and what is known of it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._found: dict[str, dict[str, Any]] = {}
        with suppress(FileNotFoundError):
            for line in path.read_bytes().splitlines():
                with suppress(ValueError, KeyError, TypeError):  # torn by a kill
                    self._add(json.loads(line))
        if not self.under_way():
            path.unlink(missing_ok=True)

    def note(self, digest: str, **said: Any) -> None:
        """Write down, at once, what is known of a batch: keys, id, over."""
        line = {"hash": digest, **said}
        self._add(line)
        with self._path.open("ab") as file:
            file.write(b"\n" + json.dumps(line).encode("ascii"))

    def under_way(self) -> dict[str, dict[str, Any]]:
        """By hash: the keys of its requests, and its id where that is known."""
        return {digest: one for digest, one in self._found.items() if not one.get("over")}

    def _add(self, line: dict[str, Any]) -> None:
        self._found.setdefault(line["hash"], {}).update(line)


class BatchChat(PayingChat):
    """A chat model behind an endpoint with OpenAI's batch interface; see `OpenChat`."""

    def __init__(
        self,
        model: str,
        base_url: str,
        options: ModelOptions,
        log: AnswerLog,
        purse: Purse,
        batches: Path,
    ) -> None:
        self.client = EndpointClient(base_url, options)
        super().__init__(f"{model}@{self.client.base_url}", log, purse)
        self._wire = ChatWire(model)
        self._notes = BatchNotes(batches)
        self._waiting: dict[str, _Waiting] = {}
        self._pending: dict[str, frozenset[str]] = {}  # by id: the keys of its requests
        self._hashes: dict[str, str] = {}  # by id
        self._asked = 0.0

    @property
    def spent(self) -> Spent:
        """What the run has cost so far; at once: requests in batches under way."""
        pending = sum(map(len, self._pending.values()))
        return self.purse.spent(pending, self.client.pace.held, self._wire.left_out)

    @property
    def most_open(self) -> int:
        """All of them: a batch is the cheaper to wait for the more is in it."""
        return _ALL_AT_ONCE

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Gather, send and collect what is asked meanwhile. At the end batches stay under way."""
        async with self.client.open():
            await self._find_batches()
            working = asyncio.create_task(self._work())
            try:
                yield
            finally:
                working.cancel()
                with suppress(asyncio.CancelledError):
                    await working

    async def answered(self, key: str, request: ChatRequest, keep: Keep) -> ChatAnswer:
        """The answer, once its batch is done; see `PayingChat`."""
        future: asyncio.Future[ChatAnswer] = asyncio.get_running_loop().create_future()
        self._waiting[key] = _Waiting(request, keep, future)
        self._asked = time.monotonic()
        try:
            return await future
        finally:
            self._waiting.pop(key, None)

    async def _find_batches(self) -> None:
        """What a former run has left under way, be its id known or not."""
        left = self._notes.under_way()
        if any("id" not in one for one in left.values()):
            for batch in (await self._got("/batches?limit=100")).get("data", []):
                digest = (batch.get("metadata") or {}).get(_NAME)
                if digest in left and "id" not in left[digest]:
                    self._notes.note(digest, id=batch["id"])
        for digest, one in self._notes.under_way().items():
            if "id" in one:
                self._pending[one["id"]] = frozenset(one["keys"])
                self._hashes[one["id"]] = digest
            else:
                self._notes.note(digest, over="never sent")

    async def _work(self) -> None:
        poll, polled = FIRST_POLL, time.monotonic() - FIRST_POLL
        try:
            while True:
                await asyncio.sleep(QUIET_SECONDS)
                if time.monotonic() - self._asked >= QUIET_SECONDS:
                    await self._send_new()
                if self._pending and time.monotonic() - polled >= poll:
                    before = len(self._pending)
                    for batch in list(self._pending):
                        await self._look_at(batch)
                    polled = time.monotonic()
                    done = len(self._pending) < before
                    poll = FIRST_POLL if done else min(poll * 1.5, LONGEST_POLL)
        except Exception as error:
            for one in self._waiting.values():
                if not one.answer.done():
                    one.answer.set_exception(error)

    async def _send_new(self) -> None:
        """Upload what waits and is in no batch yet."""
        known = frozenset().union(*self._pending.values())
        lines: list[tuple[str, bytes]] = []
        for key, one in self._waiting.items():
            if key in known or one.answer.done():
                continue
            one.body = self._wire.body(one.request)
            line = {"custom_id": key, "method": "POST", "url": "/v1/chat/completions"}
            lines.append((key, json.dumps({**line, "body": one.body}).encode("ascii") + b"\n"))
        for part in _parts(lines):
            await self._send([key for key, _ in part], b"".join(line for _, line in part))

    async def _send(self, keys: Sequence[str], content: bytes) -> None:
        digest = hashlib.sha256(content + str(time.time_ns()).encode("ascii")).hexdigest()[:32]
        self._notes.note(digest, keys=list(keys))
        file = _body(
            await self.client.upload("/files", "requests.jsonl", content, {"purpose": "batch"})
        )
        request = {
            "input_file_id": file["id"],
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
            "metadata": {_NAME: digest},
        }
        # Once: where the answer is lost, the batch may be there, and a second would be paid, too.
        reply = await self.client.post("/batches", request, attempts=1)
        if reply.good:
            self._notes.note(digest, id=_body(reply)["id"])
        await self._find_batches()
        if digest not in self._hashes.values():
            raise ModelError(f"the batch interface takes no batch: {reply.reason}; resume later")

    async def _look_at(self, batch: str) -> None:
        found = await self._got(f"/batches/{batch}")
        state = found.get("status")
        if state not in _OVER:
            return
        for name in ("output_file_id", "error_file_id"):
            if found.get(name):
                reply = await self.client.get(f"/files/{found[name]}/content", raw=True)
                if not reply.good:
                    raise ModelError(f"the answers of batch {batch} cannot be read: {reply.reason}")
                for line in reply.content.splitlines():
                    self._take(line)
        keys = self._pending.pop(batch)
        self._notes.note(self._hashes.pop(batch), over=state)
        if state == "failed":
            raise ModelError(f"the endpoint refuses the batch {batch}: {_why(found)}")
        for key in keys & self._waiting.keys():
            self._not_answered(self._waiting[key], str(state))

    def _not_answered(self, one: _Waiting, state: str) -> None:
        """What a batch left unanswered goes into the next, a few times."""
        one.rounds += 1
        if one.rounds >= _ROUNDS and not one.answer.done():
            reason = f"its batch was {state} without an answer to it ({_ROUNDS} batches)"
            one.answer.set_result(ChatAnswer(None, reason))

    def _take(self, line: bytes) -> None:
        """One answer of a batch; into the log also where nobody waits for it yet."""
        try:
            found = json.loads(line)
            key, response = str(found["custom_id"]), found.get("response") or {}
            status, body = response.get("status_code"), response.get("body") or {}
        except (ValueError, KeyError, TypeError, AttributeError):
            return
        one = self._waiting.get(key)
        if status == 200:
            answer = answer_of(body)
            if one is None:
                if self.log.get(key) is None:
                    self.keep(key, ChatRequest(()), answer)
                return
            one.keep(answer)
        else:
            said = found.get("error") or body.get("error") or {}
            reason = str(said.get("message") if isinstance(said, Mapping) else said)[:300]
            refused = Reply(
                None, f"the endpoint answered with status {status}: {reason}", status or 0
            )
            if one is None or self._wire.leave_out(one.body, refused):
                return  # it goes into the next batch, without what was not understood
            answer = ChatAnswer(None, refused.reason)
        if not one.answer.done():
            one.answer.set_result(answer)

    async def _got(self, path: str) -> Mapping[str, Any]:
        return _body(await self.client.get(path))


def _body(reply: Reply) -> Mapping[str, Any]:
    if reply.body is None:
        raise ModelError(f"the batch interface does not answer: {reply.reason}; resume later")
    return reply.body


def _why(batch: Mapping[str, Any]) -> str:
    errors = (batch.get("errors") or {}).get("data") or []
    said = [str(one.get("message")) for one in errors if isinstance(one, Mapping)]
    return "; ".join(said[:3]) or "it does not say why"


def _parts(lines: Sequence[tuple[str, bytes]]) -> list[list[tuple[str, bytes]]]:
    """Lines in parts that the interface takes."""
    parts: list[list[tuple[str, bytes]]] = []
    size = 0
    for line in lines:
        if not parts or len(parts[-1]) >= _MOST_REQUESTS or size + len(line[1]) > _MOST_BYTES:
            parts.append([])
            size = 0
        parts[-1].append(line)
        size += len(line[1])
    return parts
