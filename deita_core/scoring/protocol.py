"""What a scorer is: the one interface behind which light and LLM scorers sit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Dimension = Literal["complexity", "quality"]
DIMENSIONS: tuple[Dimension, ...] = ("complexity", "quality")


@dataclass(frozen=True, slots=True)
class TurnText:
    """What a scorer sees of a turn; `response` is None when there is no answer."""

    instruction: str
    response: str | None


@dataclass(frozen=True, slots=True)
class ScoreBatch:
    """Scores of a batch of turns.

    scores: (n,) float32 in [1, 6], NaN exactly where `reasons` is not None.
    reasons: n entries; None where the score is good, else why there is none.
    """

    scores: NDArray[np.float32]
    reasons: tuple[str | None, ...]

    def __post_init__(self) -> None:
        if self.scores.ndim != 1 or len(self.scores) != len(self.reasons):
            raise ValueError(
                f"scores must be (n,) with n reasons, got {self.scores.shape} "
                f"and {len(self.reasons)} reasons"
            )
        for score, reason in zip(self.scores.tolist(), self.reasons, strict=True):
            if (score != score) != (reason is not None):
                raise ValueError(f"score {score} and reason {reason!r} contradict each other")


class Scorer(Protocol):
    """Scores turns in one dimension, 1 (low) to 6 (high)."""

    @property
    def dimension(self) -> Dimension:
        """complexity: seen from the instruction; quality: instruction and response."""
        ...

    @property
    def id(self) -> str:
        """The model's id, as recorded beside every score."""
        ...

    @property
    def revision(self) -> str:
        """The exact weights (a version or a content hash)."""
        ...

    @property
    def parameters(self) -> Mapping[str, str | int | float | bool]:
        """What else the score depends on."""
        ...

    def score(self, turns: Sequence[TurnText]) -> ScoreBatch:
        """Scores in the order of `turns`; a failure is NaN with a reason, never a number."""
        ...
