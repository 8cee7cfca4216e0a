"""A process that asks many questions is killed: no answer that had arrived is asked for again."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from deita_core.models.answers import AnswerLog
from deita_core.models.chat import ChatRequest
from tests.fake_chat import plausible
from tests.fake_endpoint import Fault, serving

ROOT = Path(__file__).parent.parent
MANY, AT_ONCE, KILLS = 200, 16, 3
ASKING = f"""
import asyncio, sys
from pathlib import Path
from deita_core.models.answers import AnswerLog
from deita_core.models.chat_models import open_chat
from deita_core.models.options import ModelOptions
from deita_core.models.running import run_chats
from deita_core.models.chat import ChatRequest

def question(n):
    return ChatRequest((("user", f"question {{n}}"),), 64)

async def work(url, path):
    options = ModelOptions(requests={AT_ONCE})
    async with open_chat(f"m@{{url}}", options, AnswerLog(Path(path))) as chat:
        await run_chats((chat.ask(question(n)) for n in range({MANY})), lambda _: None)
        assert chat.spent.requests + chat.spent.from_log == {MANY}

asyncio.run(work(*sys.argv[1:]))
"""


def question(number: int) -> ChatRequest:
    return ChatRequest((("user", f"question {number}"),), 64)


def test_three_kills_cost_at_most_what_was_in_flight(tmp_path: Path):
    log = tmp_path / "answers.jsonl"

    def slow(request: dict[str, Any], number: int) -> Fault:
        return Fault(body=json.dumps(plausible(request, number)).encode(), seconds=0.01)

    with serving(slow) as server:
        command = [sys.executable, "-c", ASKING, server.url, str(log)]
        known: set[int] = set()
        for kill in range(1, KILLS + 1):
            before = len(server.asked)
            process = subprocess.Popen(command, cwd=ROOT)
            while len(server.delivered) < kill * MANY // (KILLS + 1):
                assert process.poll() is None
                time.sleep(0.002)
            process.send_signal(signal.SIGKILL)
            process.wait()
            assert not texts_of(server.asked[before:]) & {f"question {n}" for n in known}
            answered = AnswerLog(log)
            known = {n for n in range(MANY) if answered.get(question(n).key(f"m@{server.url}"))}
            assert known
        before = len(server.asked)
        subprocess.run(command, cwd=ROOT, check=True, timeout=120)
        assert texts_of(server.asked[before:]) == {
            f"question {n}" for n in range(MANY) if n not in known
        }
        assert len(server.delivered) == MANY
        assert len(server.asked) - MANY <= KILLS * AT_ONCE
    assert len(AnswerLog(log)) == MANY


def texts_of(asked: list[dict[str, Any]]) -> set[str]:
    return {request["messages"][-1]["content"] for request in asked}
