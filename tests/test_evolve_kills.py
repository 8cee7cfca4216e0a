"""A run that is killed in the middle: worker, command, both; no answer that had arrived is asked
for again."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest

from deita_core.models.chat import ChatRequest
from deita_core.project import Project
from deita_core.project.evolutions import Evolution, find_evolution
from tests.answering import plausible
from tests.builders import prepared_project
from tests.documents import ROOT
from tests.fake_endpoint import Server, serving

Kill = Callable[[subprocess.Popen[bytes], int], None]


def kill_worker(command: subprocess.Popen[bytes], worker: int) -> None:
    os.kill(worker, signal.SIGKILL)


def kill_command(command: subprocess.Popen[bytes], worker: int) -> None:
    command.kill()


def kill_both(command: subprocess.Popen[bytes], worker: int) -> None:
    command.kill()
    os.kill(worker, signal.SIGKILL)


KILLS: tuple[Kill, ...] = (kill_worker, kill_command, kill_both)


def run_with_kills(folder: Path, pool: int, seeds: int, rounds: int) -> tuple[Evolution, Server]:
    """A run that is killed at a quarter, half and three quarters of its requests.

    Asserts after each kill that nothing is asked again that was answered before it.
    """
    path = prepared_project(folder / "p.duckdb", pool)
    requests = seeds * (rounds + 1)
    with serving(slowly) as server:
        command = started(path, server, seeds, rounds)
        for number, kill in enumerate(KILLS, start=1):
            wait_for(command, asked_at_least(server, requests * number // 4))
            kill(command, worker_of(path))
            if kill is not kill_worker:
                command.wait()
                wait_for(None, lambda: gone(path))
            answered, asked = answers_of(path), len(server.asked)
            assert answered <= {key_of(body, server) for body in server.asked}
            if kill is not kill_worker:
                command = started(path, server, seeds, rounds)
            wait_for(command, asked_at_least(server, asked + requests // 20))
            again = {key_of(body, server) for body in server.asked[asked:]} & answered
            assert not again, f"{len(again)} answers were paid for again after {kill.__name__}"
        assert command.wait() == 0
    with Project.open(path) as project:
        return find_evolution(project, "complexity"), server


def slowly(body: dict[str, Any], number: int) -> dict[str, Any]:
    time.sleep(0.02)
    return plausible(body, number)


def started(path: Path, server: Server, seeds: int, rounds: int) -> subprocess.Popen[bytes]:
    asked = ["--kind", "complexity", "--seeds", str(seeds), "--rounds", str(rounds)]
    model = ["--model", "m", "--base-url", server.url, "--requests", "8"]
    command = [sys.executable, "-m", "deita_core", "evolve", *asked, *model, "--quiet"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([*command, "--project", str(path), "--wait", "10"], env=environment)


def wait_for(command: subprocess.Popen[bytes] | None, there: Callable[[], bool]) -> None:
    """Until it is so, or the command has ended."""
    deadline = time.monotonic() + 120
    while not there() and (command is None or command.poll() is None):
        assert time.monotonic() < deadline
        time.sleep(0.02)


def asked_at_least(server: Server, number: int) -> Callable[[], bool]:
    return lambda: len(server.asked) >= number


def job_folder(path: Path) -> Path:
    return max(path.with_name(path.name + ".work").glob("job-*"))


def worker_of(path: Path) -> int:
    return int((job_folder(path) / "pid").read_text())


def gone(path: Path) -> bool:
    """A worker whose owner was killed ends by itself."""
    with suppress(psutil.NoSuchProcess):
        return psutil.Process(worker_of(path)).status() == psutil.STATUS_ZOMBIE
    return True


def answers_of(path: Path) -> set[str]:
    """The keys of the answers that had arrived, as the worker's log has them."""
    lines = (job_folder(path) / "answers.jsonl").read_bytes().split(b"\n")[:-1]
    return {json.loads(line)["key"] for line in lines}


def key_of(body: dict[str, Any], server: Server) -> str:
    schema = body["response_format"]["json_schema"]["schema"]
    return ChatRequest(
        messages=tuple((one["role"], one["content"]) for one in body["messages"]),
        max_tokens=body["max_tokens"],
        temperature=body["temperature"],
        schema=json.dumps(schema),
        draw=body["seed"],
    ).key(f"m@{server.url}")


@pytest.mark.slow
def test_a_run_killed_three_times_pays_for_no_answer_twice(tmp_path: Path) -> None:
    run, server = run_with_kills(tmp_path, 60, 40, 3)
    assert (run.chains, run.done, run.complete) == (40, 40, 40)
    # What was on its way when a process was killed is all that is asked again: 8 at once.
    assert run.requests == 160 <= len(server.asked) <= 160 + 3 * 8
