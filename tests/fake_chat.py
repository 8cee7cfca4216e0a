"""What a chat model could say to the prompts of evolving: made from the request, and nothing else.

An evolved text is its parent with one more clause, so that a text's true complexity is its number
of clauses: rankings go by it, and a scorer that learns from them has something to learn.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from tests.fake_endpoint import Answer, Fault, said

MATERIAL = re.compile(r"<<<\n(.*?)\n>>>", re.S)
LETTERED = re.compile(r"^([A-Z])\n<<<\n(.*?)\n>>>", re.S | re.M)
CLAUSES = (
    "Give the reason for every step.",
    "Keep to what holds in a country of the user's choice.",
    "Name two cases in which it fails.",
    "Compare it with the most common alternative.",
    "State all assumptions before the result.",
    "Use no more than ten lines for each part.",
    "End with a check that a beginner can do.",
    "Work through an example with figures.",
)


def number_of(request: dict[str, Any]) -> int:
    """The same number for the same request, other numbers for others."""
    text = json.dumps(request, sort_keys=True)
    return int(hashlib.sha256(text.encode()).hexdigest()[:12], 16)


def clauses_in(text: str) -> int:
    """How complex a text truly is."""
    return sum(clause in text for clause in CLAUSES)


def plausible(request: dict[str, Any], _: int = 0) -> dict[str, Any]:
    """The answer to a chat completion, with its tokens counted."""
    asked = next(one["content"] for one in request["messages"] if one["role"] == "user")
    schema = request.get("response_format", {}).get("json_schema", {}).get("schema", {})
    found = _fields(list(schema.get("properties", ())), asked, number_of(request))
    text = json.dumps(found) if found else f"Answer {number_of(request)} to: {asked[:80]}"
    return said(text, tokens=(len(asked) // 4 + 20, len(text) // 4 + 1))


def _fields(names: list[str], asked: str, number: int) -> dict[str, Any]:
    given = MATERIAL.findall(asked)
    match names:
        case ["instruction"] | ["response"]:
            return {names[0]: evolved(given[-1] if given else asked, number)}
        case ["score"]:
            return {"score": 1 + min(5, clauses_in(given[-1] if given else asked))}
        case ["tags"]:
            text = given[-1] if given else asked
            words = sorted(set(re.findall(r"[a-z]{5,}", text.lower())))
            return {"tags": [f"{word} work" for word in words[: 1 + clauses_in(text)]]}
        case ["nodes"]:
            words = re.findall(r"\w+", given[-1] if given else asked)[:12]
            above = [{"text": word, "above": place - 1} for place, word in enumerate(words)]
            return {"nodes": above}
        case []:
            return {}
        case _:
            return ranked(dict(LETTERED.findall(asked)))


def evolved(text: str, number: int) -> str:
    """The text with a clause that it does not have yet."""
    left = [clause for clause in CLAUSES if clause not in text]
    return f"{text} {left[number % len(left)]}" if left else text


def ranked(variants: dict[str, str]) -> dict[str, int]:
    """A place for each letter, by clauses and then by text, from 1 to 6 and no two alike."""
    order = sorted(variants, key=lambda letter: (clauses_in(variants[letter]), variants[letter]))
    return {letter: place for place, letter in enumerate(order, start=1)}


@dataclass
class Moody:
    """An answer that has each of some faults now and then, by request, and once only.

    every: one request in so many meets a fault; the faults follow the request's number. Their
    answers when asked again are good, unless `lasting` says that the fault stays.
    """

    faults: tuple[Callable[[], Fault | dict[str, Any]], ...]
    every: int = 5
    lasting: bool = False
    honest: Answer = plausible
    met: Counter[int] = field(default_factory=Counter)

    def __call__(self, request: dict[str, Any], number: int) -> dict[str, Any] | Fault:
        """The answer, or the fault."""
        own = number_of(request)
        self.met[own] += 1
        if own % self.every == 0 and (self.lasting or self.met[own] == 1):
            return self.faults[own // self.every % len(self.faults)]()
        return self.honest(request, number)


# What passes when it is asked again, and what is an answer that is of no use.
PASSING: tuple[Callable[[], Fault], ...] = (
    lambda: Fault(429, b"slow down", {"Retry-After": "0.05"}),
    lambda: Fault(503, b"overloaded"),
    lambda: Fault(body=b'{"choices": [', breaks=True),
    lambda: Fault(body=b"<html>busy</html>"),
)
USELESS: tuple[Callable[[], dict[str, Any]], ...] = (
    lambda: said("asdf the of and"),
    lambda: said("I'm sorry, but I cannot help with that."),
    lambda: said(""),
    lambda: said('{"hello": "world"}'),
    lambda: said('{"instruction": "broken off', end="length"),
)
