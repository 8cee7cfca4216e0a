"""The prompts of the released Deita scorers, and what of them may be cut when they are too long.

The fixed parts never are: the cue at the end ("##Quality: ") is what makes the next token a score.
Both prompts are the reference's (hkust-nlp/deita), letter by letter, its odd spaces included.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from deita_core.scoring.protocol import Dimension, TurnText

_COMPLEXITY_HEAD = (
    "You are a helpful assistant. Please identify the complexity score of the following user "
    "query. \n##Query: "
)
_COMPLEXITY_CUE = "  \n##Complexity: "
_QUALITY_HEAD = (
    "You are a helpful assistant. Please identify the quality score of the Response "
    "corresponding to the Question. \n #Question#:\n"
)
_BETWEEN = "\n#Response#:\n"
_QUALITY_CUE = " \n##Quality: "


# Recorded beside each score: other words would be another scorer.
TEMPLATE = "deita-1"


def fixed_parts(dimension: Dimension) -> tuple[str, ...]:
    """What stands before, between and behind the texts, of which there are one or two."""
    if dimension == "complexity":
        return _COMPLEXITY_HEAD, _COMPLEXITY_CUE
    return _QUALITY_HEAD, _BETWEEN, _QUALITY_CUE


@dataclass(frozen=True, slots=True)
class Prompt:
    """What a model reads. bodies: instruction, and for quality response; only they may be cut."""

    dimension: Dimension
    bodies: tuple[str, ...]

    @property
    def text(self) -> str:
        """The whole prompt."""
        fixed = fixed_parts(self.dimension)
        cued = [body + part for body, part in zip(self.bodies, fixed[1:], strict=True)]
        return fixed[0] + "".join(cued)

    def cut_to(self, characters: int) -> Prompt:
        """With at most that many characters in all, at the cost of the longer bodies' ends."""
        room = characters - sum(map(len, fixed_parts(self.dimension)))
        kept = shares([len(body) for body in self.bodies], room)
        cut = tuple(body[:keep] for body, keep in zip(self.bodies, kept, strict=True))
        return Prompt(self.dimension, cut)


def prompt_of(dimension: Dimension, turn: TurnText) -> Prompt:
    """The prompt for a turn that has what the dimension needs (see `reason_against`)."""
    if dimension == "complexity":
        return Prompt(dimension, (turn.instruction,))
    return Prompt(dimension, (turn.instruction, turn.response or ""))


def shares(lengths: Sequence[int], room: int) -> list[int]:
    """How much of each length fits into `room` when the longest are cut first.

    >>> shares([10, 100], 50)
    [10, 40]
    >>> shares([60, 100], 50)
    [25, 25]
    """
    kept = [0] * len(lengths)
    left = max(0, room)
    order = sorted(range(len(lengths)), key=lambda place: lengths[place])
    for done, place in enumerate(order):
        kept[place] = min(lengths[place], left // (len(order) - done))
        left -= kept[place]
    return kept


def reason_against(dimension: Dimension, turn: TurnText) -> str | None:
    """Why a turn cannot be scored in this dimension, or None when it can."""
    if not turn.instruction.strip():
        return "empty instruction"
    if dimension == "complexity":
        return None
    if turn.response is None:
        return "no response"
    return None if turn.response.strip() else "empty response"
