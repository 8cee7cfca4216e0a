"""What a scorer is: the one interface behind which light and LLM scorers sit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from deita_core.models.options import Model

Dimension = Literal["complexity", "quality"]
DIMENSIONS: tuple[Dimension, ...] = ("complexity", "quality")
NOT_FINITE = "the model gave a number that is not finite"
_NO_MASS, _NOT_CUT = np.float32(np.nan), np.bool_(False)  # where a scorer does not say


@dataclass(frozen=True, slots=True)
class TurnText:
    """What a scorer sees of a turn; `response` is None when there is no answer."""

    instruction: str
    response: str | None


def why_unscorable(dimension: Dimension, turn: TurnText) -> str | None:
    """Why a turn has nothing to score in this dimension, or None when it has."""
    if not turn.instruction.strip():
        return "empty instruction"
    if dimension == "complexity":
        return None
    if turn.response is None:
        return "no response"
    return None if turn.response.strip() else "empty response"


@dataclass(frozen=True, slots=True)
class ScoreBatch:
    """Scores of a batch of turns.

    scores: (n,) float32, NaN exactly where `reasons` is not None.
    reasons: n entries; None where the score is good, else why there is none.
    mass: (n,) float32 in [0, 1] or None: the probability that an LLM puts on the six score
        tokens (near 1 when the model does what a scorer should), NaN where it is not known.
    truncated: (n,) bool or None: the text was cut to fit the model.
    """

    scores: NDArray[np.float32]
    reasons: tuple[str | None, ...]
    mass: NDArray[np.float32] | None = None
    truncated: NDArray[np.bool_] | None = None

    def __post_init__(self) -> None:
        if self.scores.ndim != 1 or len(self.scores) != len(self.reasons):
            raise ValueError(
                f"scores must be (n,) with n reasons, got {self.scores.shape} "
                f"and {len(self.reasons)} reasons"
            )
        for score, reason in zip(self.scores.tolist(), self.reasons, strict=True):
            if (score != score) != (reason is not None):
                raise ValueError(f"score {score} and reason {reason!r} contradict each other")
        for name, values in (("mass", self.mass), ("truncated", self.truncated)):
            if values is not None and values.shape != self.scores.shape:
                raise ValueError(f"{name} must be {self.scores.shape}, got {values.shape}")


def joined(batches: Sequence[ScoreBatch]) -> ScoreBatch:
    """Several batches as one."""

    def column(name: str, missing: np.generic) -> NDArray[Any] | None:
        parts = [getattr(batch, name) for batch in batches]
        if all(part is None for part in parts):
            return None
        filled = [
            np.full(len(batch.scores), missing) if part is None else part
            for part, batch in zip(parts, batches, strict=True)
        ]
        return np.concatenate(filled)

    return ScoreBatch(
        np.concatenate([b.scores for b in batches]),
        tuple(reason for b in batches for reason in b.reasons),
        column("mass", _NO_MASS),
        column("truncated", _NOT_CUT),
    )


def score_scorable(
    dimension: Dimension,
    turns: Sequence[TurnText],
    score: Callable[[list[TurnText]], ScoreBatch],
) -> ScoreBatch:
    """The batch of all turns: `score` gets those with something to score, the rest a reason."""
    reasons = [why_unscorable(dimension, turn) for turn in turns]
    places = [place for place, reason in enumerate(reasons) if reason is None]
    found = score([turns[place] for place in places])
    for place, reason in zip(places, found.reasons, strict=True):
        reasons[place] = reason

    def spread(values: NDArray[Any] | None, missing: np.generic) -> NDArray[Any] | None:
        if values is None:
            return None
        filled = np.full(len(turns), missing)
        filled[places] = values
        return filled

    scores = np.full(len(turns), np.nan, np.float32)
    scores[places] = found.scores
    mass, truncated = spread(found.mass, _NO_MASS), spread(found.truncated, _NOT_CUT)
    return ScoreBatch(scores, tuple(reasons), mass, truncated)


class Scorer(Model, Protocol):
    """Scores turns in one dimension: the higher, the more complex or the better.

    The light and the LLM scorers give 1 to 6; a baseline has a range of its own.
    """

    @property
    def dimension(self) -> Dimension:
        """complexity: seen from the instruction; quality: instruction and response."""

    def score(self, turns: Sequence[TurnText]) -> ScoreBatch:
        """Scores in the order of `turns`; a failure is NaN with a reason, never a number."""
