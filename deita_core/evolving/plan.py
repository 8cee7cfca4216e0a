"""How chains evolve and how they are ranked, as chosen by the user; and the lots that are drawn.

What is drawn depends on the plan's seed and on the text that a chain starts from, not on the
chain's number: the same turn evolves in the same way in a pilot, in a run and in a larger run, so
that answers which are known serve again. Lots are hashes, the same in every version of NumPy.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from math import factorial
from typing import Any, ClassVar, Final, Literal, Self, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from deita_core.errors import EvolvingError
from deita_core.evolving.variant import EvolvedPart

Kind = Literal["complexity", "quality"]
KINDS: Final[tuple[Kind, ...]] = get_args(Kind)
# Scores are whole numbers from 1 to 6 without ties, so six variants at most: the seed and five.
MOST_ROUNDS: Final = 5
MOST_SEED: Final = 2**30
T = TypeVar("T")


def part_of(kind: Kind) -> EvolvedPart:
    """What evolves: the instruction for complexity, the response for quality."""
    return "instruction" if kind == "complexity" else "response"


def lot(*of: str | int) -> int:
    """A number that is as good as drawn, from 0 to 2**64 - 1: of the SHA-256 of what it is for."""
    text = json.dumps(of, ensure_ascii=False, separators=(",", ":"))
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogatepass")).digest()[:8])


def shuffled(items: Sequence[T], *of: str | int) -> tuple[T, ...]:
    """The items in an order that is drawn for what it is for."""
    places = sorted(range(len(items)), key=lambda place: (lot("order", *of, place), place))
    return tuple(items[place] for place in places)


class BorderModel(BaseModel):
    """Its errors are EvolvingErrors that name the value, and what it has to be.

    called: what it is, for what is said of it.
    """

    called: ClassVar[str]

    model_config = ConfigDict(frozen=True, extra="forbid")

    @model_validator(mode="wrap")
    @classmethod
    def _in_our_words(cls, given: Any, handler: Any) -> Any:
        try:
            return handler(given)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            said = f"{where} of {cls.called}: " if where else ""
            said += f"{first['msg'].lower()}, got {first['input']!r}"
            if first["type"] == "extra_forbidden":
                said = f"{cls.called} has no {where!r} (known: {', '.join(cls.model_fields)})"
            raise EvolvingError(said) from error


class EvolvePlan(BorderModel):
    """How a seed evolves. A value out of range is an EvolvingError.

    kind: what is made to grow. rounds: 1 to 5. methods: keys of the prompts that may be drawn,
    none for all. breadth: methods that lead to another instruction are drawn as well. schedule:
    the method of each round, instead of a draw. seed: of the draws.

    most_tokens: of an instruction or response, about (`describe.approximate_tokens`). most_growth:
    how many times as many tokens as its parent a variant may have, beside some for free (see
    `elimination`). temperature: of the requests. answer_instructions: evolved instructions are
    answered, so that they can become rows; answer_tokens: of such an answer at most.
    """

    called = "a plan"

    kind: Kind
    rounds: int = Field(default=5, ge=1, le=MOST_ROUNDS)
    methods: tuple[str, ...] = ()
    breadth: bool = False
    schedule: tuple[str, ...] = ()
    seed: int = Field(default=0, ge=0, le=MOST_SEED)
    most_tokens: int = Field(default=1024, ge=16, le=32_768)
    most_growth: float = Field(default=3.0, ge=1.0, le=100.0)
    temperature: float = Field(default=1.0, ge=0.0, le=2.0)
    answer_instructions: bool = False
    answer_tokens: int = Field(default=1024, ge=16, le=32_768)

    @model_validator(mode="after")
    def _fits_together(self) -> Self:
        if self.schedule and len(self.schedule) != self.rounds:
            raise EvolvingError(
                f"a schedule names the method of each round: {self.rounds} of them, "
                f"got {len(self.schedule)}"
            )
        if self.kind == "quality" and (self.breadth or self.answer_instructions):
            raise EvolvingError(
                "breadth and answers are for the kind 'complexity': responses evolve for 'quality'"
            )
        return self

    @property
    def request_tokens(self) -> int:
        """Most tokens of the answer to a request of a round: of the text, as JSON."""
        return self.most_tokens + self.most_tokens // 2 + 64

    def method(self, among: Sequence[str], text: str, round_: int, tried: Sequence[str]) -> str:
        """The method of an attempt: drawn from those not tried in this round, as long as any is.

        among: keys that may be drawn. text: what the chain starts from (see `key_of`).
        """
        if self.schedule and not tried:
            return self.schedule[round_ - 1]
        left = [key for key in among if key not in tried] or list(among)
        return left[lot("method", self.seed, text, round_, len(tried)) % len(left)]

    def draw(self, attempt: int) -> int:
        """What tells the requests of a round's two attempts apart, and those of other seeds."""
        return 2 * self.seed + attempt


class RankPlan(BorderModel):
    """How a chain is ranked. A value out of range is an EvolvingError.

    passes: how often, each time in another order. direct: one variant at a time instead, the
    paper's baseline. seed: of the orders. temperature, answer_tokens: of the requests.
    """

    called = "a plan of ranking"

    passes: int = Field(default=1, ge=1, le=10)
    direct: bool = False
    seed: int = Field(default=0, ge=0, le=MOST_SEED)
    temperature: float = Field(default=0.0, ge=0.0, le=2.0)
    answer_tokens: int = Field(default=256, ge=32, le=32_768)

    def orders(self, rounds: Sequence[int], text: str) -> list[tuple[int, ...]]:
        """In which order each pass shows the variants: others for each, as far as there are any."""
        found: list[tuple[int, ...]] = []
        different = factorial(len(rounds))
        draw = 0
        while len(found) < self.passes:
            order = shuffled(rounds, "rank", self.seed, text, draw)
            draw += 1
            if order not in found or len(found) >= different:
                found.append(order)
        return found


def key_of(instruction: str, response: str | None) -> str:
    """What lots of a chain are drawn for: the texts that it starts from."""
    return json.dumps([instruction, response], ensure_ascii=False)
