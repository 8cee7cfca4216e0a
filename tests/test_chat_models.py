"""models.chat_models: each fault costs its request or waits, and no answer is paid for twice."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from deita_core.errors import ModelError, SpendingCapError
from deita_core.models.answers import AnswerLog
from deita_core.models.chat import ChatAnswer, ChatRequest
from deita_core.models.chat_models import checked_chat_name, open_chat
from deita_core.models.options import ModelOptions
from deita_core.models.running import run_chats
from deita_core.models.spending import SpendingLimit, Spent
from tests.fake_endpoint import Answer, Fault, Server, said, serving

QUICK = ModelOptions(requests=4, attempts=3, timeout=0.5)
SCHEMA = '{"type": "object", "properties": {"a": {"type": "string"}}}'


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deita_core.models.pace.FIRST_WAIT", 0.01)
    monkeypatch.delenv("DEITA_ENDPOINT_KEY", raising=False)


def question(number: int, draw: int = 0, schema: str | None = None) -> ChatRequest:
    return ChatRequest((("user", f"question {number}"),), 100, 0.5, schema, draw)


QUESTIONS = [question(number) for number in range(12)]


class Asked:
    """What came of asking: answers by question, and what was spent."""

    answers: dict[str, ChatAnswer]
    spent: Spent
    server: Server


def asked(
    answer: Answer,
    folder: Path,
    questions: list[ChatRequest] = QUESTIONS,
    options: ModelOptions = QUICK,
    limit: SpendingLimit | None = None,
) -> Asked:
    found = Asked()
    found.answers = {}
    with serving(answer) as server:
        found.server = server
        asyncio.run(_ask(found, folder, questions, options, limit))
    return found


async def _ask(
    found: Asked,
    folder: Path,
    questions: list[ChatRequest],
    options: ModelOptions,
    limit: SpendingLimit | None,
) -> None:
    log = AnswerLog(folder / "answers.jsonl")
    async with open_chat(f"m@{found.server.url}", options, log, limit) as chat:

        async def one(request: ChatRequest) -> tuple[str, ChatAnswer]:
            return f"{request.messages[-1][1]}/{request.draw}", await chat.ask(request)

        try:
            await run_chats(
                map(one, questions), lambda got: found.answers.update([got]), most=chat.most_open
            )
        finally:
            found.spent = chat.spent


def text_of(request: dict[str, Any]) -> str:
    return str(request["messages"][-1]["content"])


def echo(request: dict[str, Any], _: int) -> dict[str, Any]:
    return said(f"answer to {text_of(request)}")


def first_time(fault: Fault) -> Answer:
    """Every question meets the fault once, then it is answered."""
    seen: set[str] = set()

    def answer(request: dict[str, Any], number: int) -> dict[str, Any] | Fault:
        new = text_of(request) not in seen
        seen.add(text_of(request))
        return fault if new else echo(request, number)

    return answer


def test_every_question_gets_its_answer_and_the_tokens_are_counted(tmp_path: Path):
    found = asked(echo, tmp_path)
    assert found.answers["question 7/0"].text == "answer to question 7"
    assert (found.spent.requests, found.spent.tokens, found.spent.failed) == (12, 180, 0)
    assert found.server.asked[0] | {"messages": ""} == {
        "model": "m", "messages": "", "max_tokens": 100, "temperature": 0.5, "seed": 0,
    }  # fmt: skip


def test_an_answer_that_is_known_is_not_asked_for_again(tmp_path: Path):
    with serving(echo) as server:
        first, again = Asked(), Asked()
        for found in (first, again):
            found.answers, found.server = {}, server
            asyncio.run(_ask(found, tmp_path, QUESTIONS, QUICK, None))
        assert len(server.asked) == 12
    assert again.answers == first.answers
    assert (again.spent.requests, again.spent.from_log, again.spent.tokens) == (0, 12, 0)


def test_equal_questions_at_the_same_moment_are_asked_once_and_other_draws_apart(tmp_path: Path):
    found = asked(echo, tmp_path, [question(1)] * 6 + [question(1, draw=5)] * 2)
    assert sorted(request["seed"] for request in found.server.asked) == [0, 5]
    assert (found.spent.requests, found.spent.from_log) == (2, 6)


@pytest.mark.parametrize(
    "fault",
    [
        Fault(429, b"slow down"),
        Fault(429, headers={"Retry-After": "0.05"}),
        Fault(503),
        Fault(body=b'{"choices": [', breaks=True),
        Fault(body=b"<html>"),
        Fault(seconds=0.8, body=b"{}"),
    ],
    ids=["busy", "retry after", "down", "breaks off", "garbage", "slow"],
)
def test_what_passes_waits_and_is_answered(fault: Fault, tmp_path: Path):
    found = asked(first_time(fault), tmp_path, QUESTIONS[:3])
    assert all(answer.text for answer in found.answers.values())
    assert len(found.server.asked) == 6


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({"hello": "world"}, "no chat completion"),
        ({"choices": []}, "no chat completion"),
        ({"choices": [{"message": None}]}, "no chat completion"),
        (said(None), "no text"),
        (said(None, end="length"), "no room left"),
        (said("x", end="content_filter"), "refused by the endpoint's filter"),
        ({"choices": [{"message": {"content": None, "refusal": "I cannot"}}]}, "refused: I can"),
        (Fault(400, b"maximum context length is 100"), "status 400: maximum context"),
        (Fault(500, b"bad luck"), r"bad luck \(3 attempts\)"),
    ],
)
def test_an_answer_that_is_none_costs_that_question_alone(
    body: dict[str, Any] | Fault, reason: str, tmp_path: Path
):
    found = asked(lambda r, n: body if text_of(r) == "question 7" else echo(r, n), tmp_path)
    assert re.search(reason, found.answers["question 7/0"].reason or "")
    assert sum(answer.text is not None for answer in found.answers.values()) == 11


def test_a_limit_on_the_rate_that_lets_others_through_costs_nobody_an_answer(tmp_path: Path):
    found = asked(lambda r, n: echo(r, n) if n % 4 == 0 else Fault(429), tmp_path)
    assert all(answer.text for answer in found.answers.values())


@pytest.mark.parametrize(
    ("fault", "said_of_it"),
    [(Fault(401), "valid API key"), (Fault(404), "no such address"), (Fault(402), "no money"),
     (Fault(429, b'{"error": {"code": "insufficient_quota"}}'), "no money"),
     (Fault(302), "redirects"), (Fault(429, headers={"Retry-After": "7200"}), "hours"),
     (Fault(500), "8 times in a row")],
)  # fmt: skip
def test_what_will_not_pass_ends_the_run(fault: Fault, said_of_it: str, tmp_path: Path):
    with serving(lambda *_: fault) as server:
        found = Asked()
        found.answers, found.server = {}, server
        with pytest.raises(ModelError, match=said_of_it):
            asyncio.run(_ask(found, tmp_path, QUESTIONS * 5, QUICK, None))
        assert len(server.asked) <= 45


def test_what_is_in_flight_when_a_run_ends_still_comes_in_and_is_kept(tmp_path: Path):
    def answer(request: dict[str, Any], number: int) -> dict[str, Any] | Fault:
        if text_of(request) == "question 0":
            return Fault(401)
        body = echo(request, number)
        return slowly(body, 0.3)

    with serving(answer) as server, suppress(ModelError):
        found = Asked()
        found.answers, found.server = {}, server
        asyncio.run(_ask(found, tmp_path, QUESTIONS, QUICK, None))
    assert len(AnswerLog(tmp_path / "answers.jsonl")) == len(server.asked) - 1 > 0


def slowly(body: dict[str, Any], seconds: float) -> Fault:
    return Fault(body=json.dumps(body).encode(), seconds=seconds)


def test_the_cap_holds_and_says_what_to_do(tmp_path: Path):
    limit = SpendingLimit(most_tokens=900)
    found = Asked()
    found.answers = {}

    def dear(request: dict[str, Any], _: int) -> dict[str, Any]:
        return said(text_of(request), tokens=(20, 100))

    with serving(dear) as server:
        found.server = server
        with pytest.raises(SpendingCapError, match="limit of 900 tokens"):
            asyncio.run(_ask(found, tmp_path, QUESTIONS, QUICK, limit))
    # A question can cost 222 tokens at most: the sixth would fit, the seventh could go over.
    assert 900 - 222 < found.spent.tokens <= 900
    assert len(AnswerLog(tmp_path / "answers.jsonl")) == found.spent.requests


Refused = Callable[[dict[str, Any]], bool]


@pytest.mark.parametrize(
    ("refused", "message", "left_out"),
    [
        (lambda r: "response_format" in r, b"response_format: json_schema is unknown",
         ("response_format",)),
        (lambda r: "seed" in r, b"Unrecognized request argument: seed", ("seed",)),
        (lambda r: r.get("temperature") == 0.5, b"temperature must be 1", ("temperature",)),
        (lambda r: "max_tokens" in r, b"use 'max_completion_tokens' instead", ()),
    ],
    ids=["schema", "seed", "temperature", "length"],
)  # fmt: skip
def test_what_an_endpoint_does_not_understand_is_left_out_and_said(
    refused: Refused, message: bytes, left_out: tuple[str, ...], tmp_path: Path
):
    questions = [question(number, schema=SCHEMA) for number in range(6)]
    found = asked(
        lambda r, n: Fault(400, message) if refused(r) else echo(r, n), tmp_path, questions
    )
    assert all(answer.text for answer in found.answers.values())
    assert found.spent.left_out == left_out


def test_a_schema_is_sent_as_the_form_of_the_answer(tmp_path: Path):
    found = asked(echo, tmp_path, [question(1, schema=SCHEMA)])
    form = found.server.asked[0]["response_format"]
    assert form["type"] == "json_schema"
    assert form["json_schema"]["schema"]["properties"] == {"a": {"type": "string"}}


def test_what_a_model_thought_before_its_answer_is_left_out(tmp_path: Path):
    found = asked(lambda *_: said("<think>hm\n</think>\n\n42"), tmp_path, QUESTIONS[:1])
    assert found.answers["question 0/0"].text == "42"


def test_a_key_is_sent_and_never_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MY_KEY", "sk-planted-4711")
    options = QUICK.model_copy(update={"key_variable": "MY_KEY"})
    found = asked(lambda *_: said("your key is sk-planted-4711"), tmp_path, options=options)
    assert found.server.keys[0] == "Bearer sk-planted-4711"
    assert found.answers["question 0/0"].text == "your key is ***"
    assert "sk-planted" not in (tmp_path / "answers.jsonl").read_text()


def test_a_name_is_kept_without_secrets():
    assert checked_chat_name(" org/m@HTTP://host:8000/ ") == "org/m@http://host:8000/v1"
    for name in ("m", "m@http://me:pw@host/v1", "m@http://host/v1?key=1"):
        with pytest.raises(ModelError):
            checked_chat_name(name)
