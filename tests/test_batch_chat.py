"""models.batch_chat: half the price, one can leave and collect, and no batch is sent twice."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from deita_core.errors import JobCancelledError, ModelError
from deita_core.evolving.plan import EvolvePlan
from deita_core.jobs import JobRunner
from deita_core.jobs.evolve_seeds import SeedChoice
from deita_core.jobs.kinds.evolve import EvolveSpec
from deita_core.models.answers import AnswerLog
from deita_core.models.chat import ChatAnswer, ChatRequest
from deita_core.models.chat_models import open_chat
from deita_core.models.options import ModelOptions
from deita_core.models.running import run_chats
from deita_core.models.spending import SpendingLimit, Spent
from deita_core.project import Project
from deita_core.project.evolutions import find_evolution
from tests.builders import prepared_project
from tests.fake_chat import plausible
from tests.fake_endpoint import Answer, Fault, Server, said, serving

QUESTIONS = [ChatRequest((("user", f"question {n}"),), 100) for n in range(10)]
PRICES = SpendingLimit(price_in=2.0, price_out=10.0)


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deita_core.models.pace.FIRST_WAIT", 0.01)
    monkeypatch.setattr("deita_core.models.batch_chat.QUIET_SECONDS", 0.05)
    monkeypatch.setattr("deita_core.models.batch_chat.FIRST_POLL", 0.05)
    monkeypatch.setattr("deita_core.models.running.WATCH_SECONDS", 0.05)


def echo(request: dict[str, Any], _: int) -> dict[str, Any]:
    return said(f"answer to {request['messages'][-1]['content']}")


def ask(
    server: Server, folder: Path, watch: Callable[[], None] | None = None
) -> tuple[list[ChatAnswer], Spent]:
    """The answers in the order of the questions, and what they cost."""
    found: dict[str, ChatAnswer] = {}

    async def work() -> Spent:
        log = AnswerLog(folder / "answers.jsonl")
        options = ModelOptions(timeout=20)
        async with open_chat(
            f"m@{server.url}", options, log, PRICES, batches=folder / "batches"
        ) as chat:

            async def one(request: ChatRequest) -> tuple[str, ChatAnswer]:
                return request.messages[0][1], await chat.ask(request)

            work = map(one, QUESTIONS)
            await run_chats(work, lambda got: found.update([got]), most=chat.most_open, watch=watch)
            return chat.spent

    spent = asyncio.run(asyncio.wait_for(work(), 60))
    return [found[one.messages[0][1]] for one in QUESTIONS], spent


def test_all_go_in_one_batch_at_half_the_price(tmp_path: Path):
    with serving(echo) as server:
        answers, spent = ask(server, tmp_path)
    assert [one.text for one in answers] == [f"answer to question {n}" for n in range(10)]
    assert len(server.batches.batches) == 1
    assert not server.asked  # nothing at the full price
    assert spent.money == pytest.approx(0.5 * 10 * (10 * 2 + 5 * 10) / 1e6)


def test_one_can_leave_and_collect(tmp_path: Path):
    def leave() -> None:
        if server.batches.batches:
            raise JobCancelledError("left")

    with serving(echo) as server:
        server.batches.polls = 10**9
        with pytest.raises(JobCancelledError):
            ask(server, tmp_path, leave)
        server.batches.polls = 0
        answers, _ = ask(server, tmp_path)
        assert all(one.text for one in answers)
        again, spent = ask(server, tmp_path)
    assert len(server.batches.batches) == 1
    assert again == answers
    assert spent.from_log == 10


def test_a_batch_whose_acceptance_was_lost_is_found_and_not_sent_again(tmp_path: Path):
    with serving(echo) as server:
        server.batches.loses = True
        answers, _ = ask(server, tmp_path)
    assert all(one.text for one in answers)
    assert len(server.batches.batches) == 1


def test_a_kill_between_sending_and_noting_sends_nothing_twice(tmp_path: Path):
    with serving(echo) as server:
        ask(server, tmp_path)
        notes = tmp_path / "batches"
        lines = notes.read_bytes().splitlines()
        notes.write_bytes(lines[1] + b'\n{"hash": "to')  # only the keys, and a torn line
        (tmp_path / "answers.jsonl").unlink()
        answers, _ = ask(server, tmp_path)
    assert all(one.text for one in answers)
    assert len(server.batches.batches) == 1


def test_what_an_expired_batch_left_open_goes_into_another(tmp_path: Path):
    with serving(echo) as server:
        server.batches.expires = True
        answers, _ = ask(server, tmp_path)
    assert all(one.text for one in answers)
    assert sorted(server.batches.answered.values()) == [1] * 10
    assert len(server.batches.batches) == 2


def refusing(name: str, message: bytes) -> Answer:
    return lambda r, n: Fault(400, message) if name in r else echo(r, n)


def test_what_the_endpoint_does_not_understand_is_left_out_of_the_next_batch(tmp_path: Path):
    with serving(refusing("seed", b"no such field: seed")) as server:
        answers, spent = ask(server, tmp_path)
    assert all(one.text for one in answers)
    assert spent.left_out == ("seed",)


def test_a_request_that_is_refused_costs_itself_alone(tmp_path: Path):
    def answer(request: dict[str, Any], number: int) -> dict[str, Any] | Fault:
        bad = request["messages"][-1]["content"] == "question 3"
        return Fault(400, b"not allowed") if bad else echo(request, number)

    with serving(answer) as server:
        answers, spent = ask(server, tmp_path)
    assert answers[3].reason == "the endpoint answered with status 400: not allowed"
    assert sum(one.text is not None for one in answers) == 9
    assert spent.failed == 1


def test_an_endpoint_without_the_interface_says_so(tmp_path: Path):
    with serving(echo) as server:
        url = server.url
    server.url = url  # nobody listens there any more
    with pytest.raises(ModelError, match=r"batch interface does not answer.*nothing answers"):
        ask(server, tmp_path)


@pytest.mark.usefixtures("job_here")
def test_a_job_can_be_left_and_the_next_one_collects(tmp_path: Path):
    with (
        serving(plausible) as server,
        Project.open(prepared_project(tmp_path / "p.duckdb")) as pool,
    ):
        spec = EvolveSpec(
            name="run",
            plan=EvolvePlan(kind="complexity", rounds=1),
            seeds=SeedChoice(by="random", size=5),
            chat=f"m@{server.url}",
            batch=True,
        )
        runner = JobRunner(pool)
        runner.start()
        server.batches.polls = 10**9
        (left,) = runner.submit([spec])
        while not server.batches.batches:
            time.sleep(0.01)
        runner.cancel(left)
        while runner.record(left).active:
            time.sleep(0.01)
        server.batches.polls = 0
        (collects,) = runner.submit([spec])
        while runner.record(collects).active:
            time.sleep(0.01)
        runner.stop()
        assert runner.record(collects).state == "done"
        assert find_evolution(pool, "run").sentence().startswith("5 of 5 chains done")
    assert set(server.batches.answered.values()) == {1}
    assert len(server.batches.batches) == 2  # the round, and the ranking
