"""From an endpoint's answer to a score: which digits came back, and what the others can hide.

An endpoint returns the most probable tokens only. A digit that is missing is at most as probable
as the least of them, and all missing ones together at most as what the returned ones leave over.
With `seen` the probability of the digits returned, `score` their expectation and `unseen` that
bound, the expectation over all six lies within

    unseen / (seen + unseen) x the largest distance from `score` to a missing digit

of `score`. A score is given when this is at most the tolerance; else there is none.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

DIGITS = ("1", "2", "3", "4", "5", "6")
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

    bound: how far the score can be from the one over all six digits. missing: digits that did
    not come back.
    """

    score: float
    mass: float
    bound: float
    missing: int


def top_tokens(body: Mapping[str, Any]) -> TopTokens:
    """The first token's log probabilities out of a completion's or a chat completion's answer.

    Raises NoLogprobsError when there are none in any of the known places.
    """
    try:
        given = body["choices"][0]["logprobs"]
        if given.get("content"):
            return _of_list(given["content"][0])
        first = given["top_logprobs"][0]
        drawn = (given.get("tokens") or [None])[0]
        if isinstance(first, Mapping):
            found = {str(token): float(value) for token, value in first.items()}
        else:
            return _of_list({"token": drawn, "top_logprobs": first})
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise NoLogprobsError("the endpoint's answer has no log probabilities") from error
    if not found:
        raise NoLogprobsError("the endpoint's answer has no log probabilities")
    return TopTokens(found, drawn)


def _of_list(place: Mapping[str, Any]) -> TopTokens:
    found: dict[str, float] = {}
    for one in place["top_logprobs"]:
        token, value = str(one["token"]), float(one["logprob"])
        # Two tokens may read alike; the likelier is the one that is meant.
        found[token] = max(value, found.get(token, -math.inf))
    if not found:
        raise NoLogprobsError("the endpoint's answer has no log probabilities")
    return TopTokens(found, place.get("token"))


def expectation(tokens: TopTokens, digit_ids: Sequence[int] | None = None) -> Expectation:
    """The expectation over the digits that came back, with the bound of the module's text.

    Digits count as written alone; with a space before them ("▁3") only when none came alone.
    """
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
    """The least probability of the most probable tokens.

    The drawn token is returned even when it is not one of them, so where it is the least of
    all it says nothing about the others.
    """
    values = sorted(tokens.logprobs.values())
    drawn_is_least = tokens.drawn is None or tokens.logprobs.get(tokens.drawn) == values[0]
    return math.exp(values[1] if drawn_is_least and len(values) > 1 else values[0])
