"""A scorer behind an OpenAI-compatible endpoint that returns log probabilities.

    endpoint:MODEL@http://localhost:8000/v1

Each turn is one request for one token; its score is the expectation over the digits 1 to 6 among
the most probable tokens, as far as these tell it. A digit that is missing is at most as probable as
the least of them, and all missing ones together at most as what the returned ones leave over. With
`seen` the probability of the digits returned, `score` their expectation and `unseen` that bound,
the expectation over all six lies within

    unseen / (seen + unseen) x the largest distance from `score` to a missing digit

of `score`. A score is given when this is at most the tolerance; else there is none.

A row that fails is NULL with the reason. When nothing of use comes from the start, or many failures
come in a row, the run ends with a ModelError and can be resumed.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from deita_core.describe import approximate_tokens
from deita_core.models.answers import AnswerLog
from deita_core.models.chat import ChatAnswer
from deita_core.models.endpoint import EndpointClient, Failures, Reply, parts_of_name
from deita_core.models.options import ModelOptions, Parameters
from deita_core.models.running import run_chats, run_here
from deita_core.scoring.llm.prompts import DIGITS, TEMPLATE, Prompt, prompt_of
from deita_core.scoring.protocol import Dimension, ScoreBatch, TurnText, score_scorable

LOGPROBS, FEWEST_LOGPROBS = 20, 5  # vLLM returns up to 20 unless told otherwise, OpenAI up to 5
# How far a score may be from the one over all six digits.
TOLERANCE = 0.1
_CUTS = 6
_TOO_LONG = re.compile(r"context|too long|too large|maximum.{0,20}length|max_model_len", re.I)
_SPACES = " \t\n\u2581\u0120"  # also how tokenizers spell a space


class NoLogprobsError(ValueError):
    """The answer has no log probabilities."""


@dataclass(frozen=True, slots=True)
class TopTokens:
    """Log probabilities of the first generated token, and which token was drawn."""

    logprobs: Mapping[str, float]
    drawn: str | None


@dataclass(frozen=True, slots=True)
class Expectation:
    """score: in [1, 6], NaN when no digit came back. mass: probability of the digits returned.

    bound: how far the score can be from the one over all six. missing: how many did not come back.
    """

    score: float
    mass: float
    bound: float
    missing: int

    @property
    def doubt(self) -> str | None:
        """Why the score is not exact enough to be given, or None when it is."""
        if math.isnan(self.score):
            return "none of the digits 1 to 6 is among the most probable tokens"
        said = f"{self.missing} of the digits 1 to 6 are not among the most probable tokens: "
        off = f"the score could be off by {self.bound:.1f}"
        return said + off if self.bound > TOLERANCE else None

    @property
    def given(self) -> float:
        """The score, NaN when there is a doubt about it."""
        return math.nan if self.doubt else self.score


def top_tokens(body: Mapping[str, Any]) -> TopTokens:
    """The first token's log probabilities out of a completion's or a chat completion's answer;
    NoLogprobsError when there are none in any of the known places."""
    try:
        given = body["choices"][0]["logprobs"]
        if given.get("content"):
            listed, drawn = given["content"][0]["top_logprobs"], given["content"][0].get("token")
        else:
            listed, drawn = given["top_logprobs"][0], (given.get("tokens") or [None])[0]
        if isinstance(listed, Mapping):
            listed = [{"token": token, "logprob": value} for token, value in listed.items()]
        found: dict[str, float] = {}
        for one in listed:
            token, value = str(one["token"]), float(one["logprob"])
            # Two tokens may read alike; the likelier is the one that is meant.
            found[token] = max(value, found.get(token, -math.inf))
        if not found:
            raise ValueError
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise NoLogprobsError("the endpoint's answer has no log probabilities") from error
    return TopTokens(found, drawn)


def expectation(tokens: TopTokens, digit_ids: Sequence[int] | None = None) -> Expectation:
    """The expectation over the digits that came back, with the bound of the module's text. Digits
    count as written alone; with a space before them ("▁3") only when none came alone."""
    seen = {digit: math.exp(v) for digit, v in _digits(tokens.logprobs, digit_ids).items()}
    mass = min(1.0, sum(seen.values()))
    missing = [digit for digit in range(1, 7) if digit not in seen]
    if mass <= 0.0:
        return Expectation(math.nan, 0.0, 5.0, len(missing))
    score = sum(digit * p for digit, p in seen.items()) / sum(seen.values())
    if not missing:
        return Expectation(score, mass, 0.0, 0)
    left = max(0.0, 1.0 - sum(math.exp(v) for v in tokens.logprobs.values()))
    unseen = min(left, len(missing) * _least(tokens))
    bound = unseen / (mass + unseen) * max(abs(digit - score) for digit in missing)
    return Expectation(score, mass, bound, len(missing))


def _digits(logprobs: Mapping[str, float], digit_ids: Sequence[int] | None) -> dict[int, float]:
    named = {f"token_id:{number}": k for k, number in enumerate(digit_ids or (), start=1)}
    alone = {
        named.get(token) or int(token): value
        for token, value in logprobs.items()
        if token in named or token in DIGITS
    }
    if alone:
        return alone
    spaced: dict[int, float] = {}
    for token, value in logprobs.items():
        bare = token.strip(_SPACES)
        if bare in DIGITS:
            spaced[int(bare)] = max(value, spaced.get(int(bare), -math.inf))
    return spaced


def _least(tokens: TopTokens) -> float:
    """The least probability of the most probable tokens. The drawn one is returned even when it is
    not one of them, so where it is the least of all it says nothing about the others."""
    values = sorted(tokens.logprobs.values())
    drawn_is_least = tokens.drawn is None or tokens.logprobs.get(tokens.drawn) == values[0]
    return math.exp(values[1] if drawn_is_least and len(values) > 1 else values[0])


class TurnResult(NamedTuple):
    """What came of a turn. mass: NaN when there were no log probabilities."""

    score: float
    reason: str | None
    mass: float
    truncated: bool


def batch_of(outcomes: Sequence[TurnResult]) -> ScoreBatch:
    """The outcomes of n turns as arrays."""
    return ScoreBatch(
        np.array([one.score for one in outcomes], np.float32),
        tuple(one.reason for one in outcomes),
        np.array([one.mass for one in outcomes], np.float32),
        np.array([one.truncated for one in outcomes], np.bool_),
    )


class EndpointScorer:
    """Scores turns by an endpoint; see `Scorer` and the module's text.

    model: its name there. base_url: http(s), up to and with "/v1" (added when there is no path).
    Raises ModelError when the URL is not one that may be stored, or a named key is not set.
    """

    revision = "served"  # an endpoint does not tell its weights

    def __init__(
        self, model: str, base_url: str, dimension: Dimension, options: ModelOptions | None = None
    ) -> None:
        self._options = options = options or ModelOptions()
        self._client = EndpointClient(base_url, options)
        self._model = model
        self.dimension: Dimension = dimension
        self.id = f"endpoint:{model}@{self._client.base_url}"
        self.parameters: Parameters = {
            "api": options.api or "completions",
            "template": TEMPLATE,
            "tolerance": TOLERANCE,
            **options.model_dump(include={"max_tokens"}, exclude_none=True),
        }
        self._logprobs = options.logprobs or LOGPROBS
        self._failures = Failures(
            self._client.base_url, "check that the endpoint runs and returns logprobs"
        )
        # Where answers are kept until their scores are committed, or None.
        self.log: AnswerLog | None = None

    @staticmethod
    def of_name(
        name: str, dimension: Dimension, options: ModelOptions | None = None
    ) -> EndpointScorer:
        """The scorer called "MODEL@URL"."""
        return EndpointScorer(*parts_of_name(name), dimension, options)

    def score(self, turns: Sequence[TurnText]) -> ScoreBatch:
        """Scores in the order of `turns`, asked for side by side."""
        return score_scorable(
            self.dimension, turns, lambda good: batch_of(run_here(self._all(good)))
        )

    async def _all(self, turns: Sequence[TurnText]) -> list[TurnResult]:
        found: dict[int, TurnResult] = {}

        async def one(place: int, turn: TurnText) -> tuple[int, TurnResult]:
            return place, await self._one(turn)

        async with self._client.open():
            work = (one(place, turn) for place, turn in enumerate(turns))
            most = 2 * self._client.pace.most
            await run_chats(work, lambda result: found.update([result]), most=most)
        return [found[place] for place in range(len(turns))]

    async def _one(self, turn: TurnText) -> TurnResult:
        prompt = whole = prompt_of(self.dimension, turn)
        most = self._options.max_tokens
        if most is not None and (length := approximate_tokens(whole.text)) > most:
            prompt = whole.shortened(most / length)
        reply = await self._post(prompt)
        if reply.status in (400, 422) and "logprobs" in (reply.reason or ""):
            self._logprobs = min(self._logprobs, FEWEST_LOGPROBS)  # it returns no more than these
            reply = await self._post(prompt)
        for _ in range(_CUTS):
            said = reply.reason or ""
            if reply.status not in (400, 413, 422) or not _TOO_LONG.search(said):
                break
            prompt = prompt.shortened(_share_that_fits(said))
            reply = await self._post(prompt)
        result = self._result(reply, prompt is not whole)
        self._failures.count(not math.isnan(result.mass), result.reason)  # be there a digit or not
        return result

    async def _post(self, prompt: Prompt) -> Reply:
        # Temperature 1 leaves the probabilities as they are on servers that return them after it.
        request: dict[str, Any] = {"model": self._model, "max_tokens": 1, "temperature": 1}
        if (ids := self._options.digit_ids) is not None:
            request |= {"logprob_token_ids": list(ids), "return_tokens_as_token_ids": True}
        if self._options.api == "chat":
            request["messages"] = [{"role": "user", "content": prompt.text}]
            request |= {"logprobs": True, "top_logprobs": self._logprobs}
            return await self._known_or_asked("/chat/completions", request)
        request |= {"prompt": prompt.text, "logprobs": self._logprobs}
        return await self._known_or_asked("/completions", request)

    async def _known_or_asked(self, path: str, request: Mapping[str, Any]) -> Reply:
        if self.log is None:
            return await self._client.post(path, request)
        log, key = self.log, _key_of(self.id, path, request)
        if (known := log.get(key)) is not None:
            return Reply(json.loads(known.text or "{}"), None, 200)

        def arrived(reply: Reply) -> None:
            if (kept := _of_use(reply.body or {})) is not None:
                log.add(key, ChatAnswer(json.dumps(kept)))

        return await self._client.post(path, request, arrived)

    def _result(self, reply: Reply, truncated: bool) -> TurnResult:
        try:
            found = expectation(top_tokens(reply.body or {}), self._options.digit_ids)
        except NoLogprobsError as error:
            return TurnResult(math.nan, reply.reason or str(error), math.nan, truncated)
        return TurnResult(found.given, found.doubt, found.mass, truncated)


def _key_of(model: str, path: str, request: Mapping[str, Any]) -> str:
    text = json.dumps([model, path, request], separators=(",", ":"))
    return hashlib.sha256(text.encode("ascii")).hexdigest()


def _of_use(body: Mapping[str, Any]) -> dict[str, Any] | None:
    """What a score is made of in an answer, or None where there is nothing of it."""
    try:
        top_tokens(body)
    except NoLogprobsError:
        return None
    return {"choices": [{"logprobs": body["choices"][0]["logprobs"]}]}


def _share_that_fits(message: str) -> float:
    """How much of the prompt fits, out of the two numbers such messages name; else a half."""
    numbers = [int(n) for n in re.findall(r"\d{2,}", message.partition(":")[2])]
    if len(numbers) >= 2 and min(numbers) >= 32 and max(numbers) > min(numbers):
        return max(0.1, 0.95 * min(numbers) / max(numbers))
    return 0.5
