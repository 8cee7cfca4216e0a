"""A chain: a seed turn and the variants that were evolved from it, round by round."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

# What is evolved: the instruction (complexity) or the response to it (quality).
EvolvedPart = Literal["instruction", "response"]
# Why a variant was eliminated.
Elimination = Literal[
    "copy", "empty", "refusal", "prompt leaked", "nonsense", "too long", "not parseable", "failed"
]


@dataclass(frozen=True, slots=True)
class Seed:
    """The turn that a chain starts from. row, turn: where it stands in the pool."""

    chain: int
    row: int
    turn: int
    instruction: str
    response: str | None


@dataclass(frozen=True, slots=True)
class Variant:
    """One attempt at one round of a chain, be it kept or eliminated.

    round: 0 is the seed itself. attempt: 0, or 1 for the second try of a round with another method.
    parent: the round that it was evolved from, None for the seed. method: its key in the prompts,
    None for the seed. eliminated: why, or None when it is kept; detail: the reason in a sentence.
    What evolved holds the text as it came, however it was eliminated: the whole answer where it
    was not parseable, nothing where there was no answer.

    request: the key of the request that made it, None for the seed. answer_request: of the one
    that answered an evolved instruction, None where it was not asked. model, prompts: the chat
    model and the version of the prompts. Tokens and seconds are those of its requests.
    """

    chain: int
    round: int
    attempt: int
    parent: int | None
    method: str | None
    instruction: str
    response: str | None
    eliminated: Elimination | None = None
    detail: str | None = None
    request: str | None = None
    answer_request: str | None = None
    model: str = ""
    prompts: str = ""
    prompt_tokens: int = 0
    answer_tokens: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Ranking:
    """What one pass over a chain, or one direct question about one variant, said.

    draw: the number of the pass. order: the rounds as they were shown, first to last. scores: by
    round, 1 to 6; empty where `reason` says why there are none. direct: one variant at a time.
    requests: keys of what was asked, the repair included. model, prompts: who ranked, and the
    version of the prompts.
    """

    chain: int
    draw: int
    order: tuple[int, ...]
    scores: dict[int, float]
    reason: str | None = None
    direct: bool = False
    requests: tuple[str, ...] = ()
    model: str = ""
    prompts: str = ""
