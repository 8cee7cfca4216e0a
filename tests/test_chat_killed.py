"""A process that asks many questions is killed: no answer that had arrived is asked for again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from deita_core.models.answers import AnswerLog
from deita_core.models.chat import ChatRequest
from tests.fake_chat import plausible
from tests.fake_endpoint import Fault, serving

ROOT = Path(__file__).parent.parent
MANY, AT_ONCE, KILLS = 200, 16, 3
# Forks for each line that it reads, so that the libraries are loaded once.
ASKING = f"""
import asyncio, os, sys
from pathlib import Path
import openai
from deita_core.models.answers import AnswerLog
from deita_core.models.chat import ChatRequest
from deita_core.models.chat_models import open_chat
from deita_core.models.options import ModelOptions
from deita_core.models.running import run_chats

def question(n):
    return ChatRequest((("user", f"question {{n}}"),), 64)

async def work(url, path):
    options = ModelOptions(requests={AT_ONCE})
    async with open_chat(f"m@{{url}}", options, AnswerLog(Path(path))) as chat:
        await run_chats((chat.ask(question(n)) for n in range({MANY})), lambda _: None)
        assert chat.spent.requests + chat.spent.from_log == {MANY}

for line in sys.stdin:
    if (process := os.fork()) == 0:
        asyncio.run(work(*sys.argv[1:]))
        os._exit(0)
    print(process, flush=True)
    print(os.waitpid(process, 0)[1], flush=True)
"""


def question(number: int) -> ChatRequest:
    return ChatRequest((("user", f"question {number}"),), 64)


class Asking:
    """Starts processes that ask, one after another."""

    def __init__(self, process: subprocess.Popen[str]) -> None:
        self._process = process

    def start(self) -> int:
        """The id of a process that has begun to ask."""
        assert self._process.stdin is not None
        print("go", file=self._process.stdin, flush=True)
        return self._said()

    def end(self) -> int:
        """How it ended: 0 for well."""
        return self._said()

    def _said(self) -> int:
        assert self._process.stdout is not None
        return int(self._process.stdout.readline())


@contextmanager
def asking(url: str, log: Path) -> Iterator[Asking]:
    command = [sys.executable, "-c", ASKING, url, str(log)]
    with subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Asking(process)


def slow(request: dict[str, Any], number: int) -> Fault:
    return Fault(body=json.dumps(plausible(request, number)).encode(), seconds=0.01)


def texts_of(asked: list[dict[str, Any]]) -> set[str]:
    return {request["messages"][-1]["content"] for request in asked}


def test_three_kills_cost_at_most_what_was_in_flight(tmp_path: Path):
    log = tmp_path / "answers.jsonl"
    with serving(slow) as server, asking(server.url, log) as processes:
        known: set[str] = set()
        for kill in range(1, KILLS + 1):
            before = len(server.asked)
            process = processes.start()
            while len(server.delivered) < kill * MANY // (KILLS + 1):
                time.sleep(0.002)
            os.kill(process, signal.SIGKILL)
            assert processes.end() == signal.SIGKILL
            assert not texts_of(server.asked[before:]) & known
            answered = AnswerLog(log)
            names = {question(n).key(f"m@{server.url}"): f"question {n}" for n in range(MANY)}
            known = {name for key, name in names.items() if answered.get(key)}
            assert known
        before = len(server.asked)
        processes.start()
        assert processes.end() == 0
        assert texts_of(server.asked[before:]) == set(names.values()) - known
        assert len(server.delivered) == MANY
        assert len(server.asked) - MANY <= KILLS * AT_ONCE
    assert len(AnswerLog(log)) == MANY
