"""What a scorer is: the one interface behind which light and LLM scorers sit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

Dimension = Literal["complexity", "quality"]
DIMENSIONS: tuple[Dimension, ...] = ("complexity", "quality")


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

    scores: (n,) float32, NaN exactly where `reasons` is not None. In [1, 6] from the light and
        the LLM scorers; a baseline (a length, a perplexity) has a range of its own.
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
    lengths = [len(batch.scores) for batch in batches]
    return ScoreBatch(
        np.concatenate([b.scores for b in batches]),
        tuple(reason for b in batches for reason in b.reasons),
        _joined([b.mass for b in batches], lengths, np.float32(np.nan)),
        _joined([b.truncated for b in batches], lengths, np.bool_(False)),
    )


def _joined(
    parts: Sequence[NDArray[Any] | None], lengths: Sequence[int], missing: np.generic
) -> NDArray[Any] | None:
    if all(part is None for part in parts):
        return None
    filled = [
        np.full(length, missing) if part is None else part
        for part, length in zip(parts, lengths, strict=True)
    ]
    return np.concatenate(filled)


def spread_out(reasons: Sequence[str | None], scored: ScoreBatch) -> ScoreBatch:
    """The batch of all turns, from that of the turns that have no reason yet, in their order."""
    places = [place for place, reason in enumerate(reasons) if reason is None]
    whole = list(reasons)
    for place, reason in zip(places, scored.reasons, strict=True):
        whole[place] = reason

    def spread(values: NDArray[Any] | None, missing: np.generic) -> NDArray[Any] | None:
        if values is None:
            return None
        filled = np.full(len(whole), missing)
        filled[places] = values
        return filled

    scores = spread(scored.scores, np.float32(np.nan))
    assert scores is not None
    return ScoreBatch(
        scores,
        tuple(whole),
        spread(scored.mass, np.float32(np.nan)),
        spread(scored.truncated, np.bool_(False)),
    )


class Scorer(Protocol):
    """Scores turns in one dimension: the higher, the more complex or the better.

    The light and the LLM scorers give 1 to 6; a baseline has a range of its own.
    """

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
