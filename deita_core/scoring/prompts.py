"""The prompts of the released Deita scorers, in the parts that matter when a text is too long.

Head and cue are never cut: the cue ("##Quality: ") is what makes the next token a score. Both
prompts are the reference's (hkust-nlp/deita), letter by letter, its odd spaces included.
"""

from __future__ import annotations

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
    """head + body + cue is what the model reads; only the body may be cut, at its end."""

    head: str
    body: str
    cue: str

    @property
    def text(self) -> str:
        """The whole prompt."""
        return self.head + self.body + self.cue

    def cut_to(self, characters: int) -> Prompt:
        """With at most that many characters of the body."""
        return Prompt(self.head, self.body[: max(0, characters)], self.cue)


def prompt_of(dimension: Dimension, turn: TurnText) -> Prompt:
    """The prompt for a turn that has what the dimension needs (see `reason_against`)."""
    if dimension == "complexity":
        return Prompt(_COMPLEXITY_HEAD, turn.instruction, _COMPLEXITY_CUE)
    body = f"{turn.instruction}{_BETWEEN}{turn.response or ''}"
    return Prompt(_QUALITY_HEAD, body, _QUALITY_CUE)


def reason_against(dimension: Dimension, turn: TurnText) -> str | None:
    """Why a turn cannot be scored in this dimension, or None when it can."""
    if not turn.instruction.strip():
        return "empty instruction"
    if dimension == "complexity":
        return None
    if turn.response is None:
        return "no response"
    return None if turn.response.strip() else "empty response"
