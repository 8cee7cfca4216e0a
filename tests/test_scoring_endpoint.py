"""scoring.endpoint: exact where it can be, NULL with a reason or a clear error where not."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deita_core.errors import ModelError
from deita_core.models.answers import AnswerLog
from deita_core.models.endpoint import checked_url
from deita_core.models.options import ModelOptions
from deita_core.scoring.catalogue import load_scorer, name_of_scorer
from deita_core.scoring.llm.endpoint import (
    EndpointScorer,
    NoLogprobsError,
    TopTokens,
    expectation,
    top_tokens,
)
from deita_core.scoring.protocol import ScoreBatch, TurnText
from tests.fake_endpoint import LOGPROBS, SCORE, Answer, Fault, Server, chat, completion, serving

TURNS = [TurnText(f"question {i}", f"answer {i}") for i in range(12)]
QUICK = ModelOptions(requests=4, attempts=3, timeout=0.5)
GOOD = completion(LOGPROBS)


@pytest.fixture(autouse=True)
def _no_long_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("deita_core.models.pace.FIRST_WAIT", 0.01)
    monkeypatch.delenv("DEITA_ENDPOINT_KEY", raising=False)


def scored(
    answer: Answer, turns: list[TurnText] = TURNS, options: ModelOptions = QUICK
) -> tuple[ScoreBatch, Server]:
    with serving(answer) as server:
        return EndpointScorer("m", server.url, "quality", options).score(turns), server


def first_time(fault: Fault) -> Answer:
    """Every prompt meets the fault once, then it is answered."""
    seen: set[str] = set()

    def answer(request: dict[str, Any], _: int) -> dict[str, Any] | Fault:
        new = request["prompt"] not in seen
        seen.add(request["prompt"])
        return fault if new else GOOD

    return answer


# what comes back


def test_the_score_is_the_expectation_over_the_six_digits():
    found, server = scored(lambda request, _: GOOD)
    assert found.scores == pytest.approx([SCORE] * 12)
    assert found.mass == pytest.approx([0.95] * 12)
    assert server.asked[0] | {"prompt": ""} == {
        "model": "m",
        "prompt": "",
        "max_tokens": 1,
        "temperature": 1,
        "logprobs": 20,
    }
    assert {r["prompt"].rsplit("\n", 1)[1] for r in server.asked} == {"##Quality: "}


def test_a_chat_endpoint_gives_the_same():
    found, server = scored(
        lambda request, _: chat(LOGPROBS), options=QUICK.model_copy(update={"api": "chat"})
    )
    assert found.scores == pytest.approx([SCORE] * 12)
    assert server.paths[0] == "/v1/chat/completions"
    assert server.asked[0]["top_logprobs"] == 20


def test_exact_tokens_can_be_asked_for_by_id():
    ids = (31, 32, 33, 34, 35, 36)
    named = {f"token_id:{i}": v for i, v in zip(ids, LOGPROBS.values(), strict=True)}
    found, server = scored(
        lambda r, _: completion(named), options=QUICK.model_copy(update={"digit_ids": ids})
    )
    assert found.scores == pytest.approx([SCORE] * 12)
    assert server.asked[0]["logprob_token_ids"] == list(ids)


def test_turns_that_cannot_be_scored_are_not_sent():
    turns = [TurnText(" ", "x"), TurnText("q", None), TurnText("q", " "), TurnText("q", "a")]
    found, server = scored(lambda request, _: GOOD, turns)
    assert found.reasons == ("empty instruction", "no response", "empty response", None)
    assert len(server.asked) == 1


NO_TOKENS = {"tokens": [], "top_logprobs": [{}]}


@pytest.mark.parametrize(
    "body",
    [{}, {"choices": []}, completion(None), {"choices": [{"logprobs": NO_TOKENS}]}, chat({})],
)
def test_an_answer_without_log_probabilities_is_told_apart(body: dict[str, Any]):
    with pytest.raises(NoLogprobsError):
        top_tokens(body)


def test_spaced_digits_count_only_when_none_stands_alone():
    assert expectation(TopTokens({"▁3": -1.0, " 5": -1.0}, None)).score == pytest.approx(4.0)
    assert expectation(TopTokens({"3": -1.0, " 5": -1.0}, None)).score == pytest.approx(3.0)


@pytest.mark.parametrize("seed", range(5))
def test_the_bound_holds_for_every_choice_of_the_most_probable(seed: int):
    random = np.random.default_rng(seed)
    logits = random.normal(0, 2.5, 40)
    p = np.exp(logits) / np.exp(logits).sum()
    true = float(np.arange(1, 7) @ p[:6] / p[:6].sum())
    names = [*map(str, range(1, 7)), *(f"word{i}" for i in range(34))]
    drawn = int(random.integers(40))
    for k in (3, 5, 8, 20):
        returned = {int(i) for i in np.argsort(-p)[:k]} | {drawn}
        tokens = TopTokens({names[i]: math.log(p[i]) for i in returned}, names[drawn])
        found = expectation(tokens)
        if not math.isnan(found.score):
            assert abs(found.score - true) <= found.bound + 1e-9


def test_missing_digits_that_matter_give_no_score():
    few = {"4": math.log(0.3), "5": math.log(0.3), "word": math.log(0.2)}
    found, _ = scored(lambda request, _: completion(few))
    assert np.isnan(found.scores).all()
    assert found.reasons[0] is not None
    assert "4 of the digits 1 to 6 are not among" in found.reasons[0]
    assert found.mass == pytest.approx([0.6] * 12)


def test_no_mass_on_any_digit_is_a_reason_and_not_an_error():
    found, _ = scored(lambda request, _: completion({"The": -0.1, "A": -3.0}))
    assert set(found.reasons) == {"none of the digits 1 to 6 is among the most probable tokens"}
    assert found.mass == pytest.approx([0.0] * 12)


# faults that pass


@pytest.mark.parametrize(
    "fault",
    [
        Fault(429, b"slow down"),
        Fault(429, headers={"Retry-After": "0.05"}),
        Fault(503, headers={"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}),
        Fault(body=b'{"choices": [', breaks=True),
        Fault(body=b"<html>"),
        Fault(body=b"[]"),
        Fault(seconds=0.8, body=b"{}"),
    ],
    ids=["busy", "retry after", "date", "breaks off", "garbage", "no object", "slow"],
)
def test_what_passes_is_tried_again(fault: Fault):
    found, server = scored(first_time(fault), TURNS[:3])
    assert found.scores == pytest.approx([SCORE] * 3)
    assert len(server.asked) == 6


def test_a_row_that_never_gets_an_answer_has_a_reason_and_the_others_a_score():
    def answer(request: dict[str, Any], _: int) -> dict[str, Any] | Fault:
        return (
            Fault(500, b'{"error": {"message": "bad luck"}}')
            if "n 7" in request["prompt"]
            else GOOD
        )

    found, _ = scored(answer)
    assert found.reasons[7] == "the endpoint answered with status 500: bad luck (3 attempts)"
    assert np.isnan(found.scores).sum() == 1


def test_a_prompt_too_long_is_cut_and_flagged_with_its_cue():
    limit = 400

    def answer(request: dict[str, Any], _: int) -> dict[str, Any] | Fault:
        size = len(request["prompt"])
        said = f"maximum context length is {limit} tokens, but {size} were requested"
        return GOOD if size <= limit else Fault(400, said.encode())

    found, server = scored(answer, [TurnText("q" * 2000, "a"), TurnText("q", "a")])
    assert found.reasons == (None, None)
    assert found.truncated is not None
    assert found.truncated.tolist() == [True, False]
    assert server.asked[-1]["prompt"].endswith("##Quality: ")


def test_a_prompt_over_the_limit_given_is_cut_before_it_is_sent():
    long = [TurnText("word " * 3000, "a")]
    found, server = scored(lambda r, _: GOOD, long, QUICK.model_copy(update={"max_tokens": 200}))
    assert found.truncated is not None
    assert found.truncated.all()
    assert len(server.asked[0]["prompt"]) < 1200


def test_fewer_log_probabilities_are_asked_for_where_the_server_has_a_limit():
    def answer(request: dict[str, Any], _: int) -> dict[str, Any] | Fault:
        return GOOD if request["logprobs"] <= 5 else Fault(400, b"logprobs must be at most 5")

    found, _ = scored(answer)
    assert found.scores == pytest.approx([SCORE] * 12)


# faults that do not pass


@pytest.mark.parametrize("status", [401, 403, 404, 302])
def test_a_refusal_ends_the_run_after_the_first_requests(status: int):
    with serving(lambda request, _: Fault(status, b"no")) as server:
        scorer = EndpointScorer("m", server.url, "quality", QUICK)
        with pytest.raises(ModelError, match=f"status {status}|redirects"):
            scorer.score(TURNS * 50)
        assert len(server.asked) <= 12


@pytest.mark.parametrize(
    "fault",
    [completion(None), Fault(500), Fault(400, b"no such field"), Fault(body=b"<html>")],
    ids=["no logprobs", "always down", "bad request", "garbage"],
)
def test_an_endpoint_that_is_of_no_use_ends_the_run(fault: dict[str, Any] | Fault):
    with serving(lambda request, _: fault) as server:
        scorer = EndpointScorer("m", server.url, "quality", QUICK)
        with pytest.raises(ModelError, match=r"failed \d+ times in a row"):
            scorer.score(TURNS * 50)
        assert len(server.asked) <= 45


def test_an_endpoint_that_goes_away_ends_the_run():
    with serving(lambda request, n: GOOD if n < 12 else Fault(502)) as server:
        scorer = EndpointScorer(
            "m", server.url, "quality", QUICK.model_copy(update={"attempts": 1})
        )
        scorer.score(TURNS)
        with pytest.raises(ModelError, match="resume"):
            scorer.score(TURNS * 50)


def test_what_was_answered_before_a_run_broke_off_is_not_asked_for_again(tmp_path: Path):
    path = tmp_path / "answers.jsonl"
    with serving(lambda request, n: GOOD if n < 6 else Fault(401)) as server:
        scorer = EndpointScorer("m", server.url, "quality", QUICK)
        scorer.log = AnswerLog(path)
        with pytest.raises(ModelError):
            scorer.score(TURNS)
    answered = len(AnswerLog(path))
    with serving(lambda request, _: GOOD, int(server.url.split(":")[2][:-3])) as again:
        scorer = EndpointScorer("m", again.url, "quality", QUICK)
        scorer.log = AnswerLog(path)
        assert scorer.score(TURNS).scores == pytest.approx([SCORE] * 12)
    assert (answered, len(again.asked)) == (6, 6)


def test_nobody_listening_is_a_clear_error():
    scorer = EndpointScorer("m", "http://127.0.0.1:9/v1", "quality", QUICK)
    with pytest.raises(ModelError, match="nothing answers"):
        scorer.score(TURNS)


# names and keys


def test_the_name_loads_the_scorer_and_its_id_is_the_name():
    scorer = load_scorer("endpoint:org/m@v2@https://host:8000/v1/", "complexity")
    assert scorer.id == "endpoint:org/m@v2@https://host:8000/v1"
    assert name_of_scorer(scorer.id) == scorer.id


@pytest.mark.parametrize(
    "url",
    [
        "ftp://h/v1",
        "file:///etc/passwd",
        "http://",
        "http://me:pw@h/v1",
        "http://h/v1?key=1",
        "h:x",
    ],
)
def test_a_url_that_must_not_be_stored_or_asked_is_refused(url: str):
    with pytest.raises(ModelError):
        checked_url(url)


def test_a_url_without_a_path_gets_the_usual_one():
    assert checked_url("HTTP://[::1]:8000/") == "http://[::1]:8000/v1"


def test_a_name_without_url_is_refused():
    with pytest.raises(ModelError, match="endpoint:MODEL@URL"):
        load_scorer("endpoint:just-a-model", "quality")


def test_the_key_is_sent_and_appears_nowhere_else(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("MY_KEY", "sk-secret")
    with serving(lambda request, _: Fault(401, b"bad key sk-secret")) as server:
        scorer = EndpointScorer(
            "m", server.url, "quality", QUICK.model_copy(update={"key_variable": "MY_KEY"})
        )
        with pytest.raises(ModelError) as caught:
            scorer.score(TURNS)
    assert server.keys[0] == "Bearer sk-secret"
    assert "sk-secret" not in f"{caught.value} {scorer.id} {scorer.parameters}"


def test_a_key_meant_for_another_service_is_not_sent(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("OPENAI_API_KEY", "sk-other")
    _, server = scored(lambda request, _: GOOD)
    assert not any("sk-other" in (key or "") for key in server.keys)


def test_a_key_that_is_not_set_is_an_error_before_any_request():
    with pytest.raises(ModelError, match="NOT_SET_ANYWHERE is not set"):
        EndpointScorer("m", "http://h/v1", "quality", ModelOptions(key_variable="NOT_SET_ANYWHERE"))


@pytest.mark.parametrize(
    "given",
    [
        {"precision": "fp8"},
        {"device": "gpu"},
        {"requests": 0},
        {"digit_ids": [1, 2]},
        {"key_variable": "sk-1234"},
        {"colour": 1},
        ["cpu"],
    ],
)
def test_options_out_of_range_are_refused(given: Any):
    with pytest.raises(ModelError):
        ModelOptions.model_validate(given)


def test_options_survive_a_jobs_parameters():
    options = ModelOptions(device="cuda:1", precision="int8", digit_ids=(1, 2, 3, 4, 5, 6))
    assert (
        ModelOptions.model_validate(options.model_dump(mode="json", exclude_none=True)) == options
    )
