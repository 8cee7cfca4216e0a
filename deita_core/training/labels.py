"""Labelled turns: what a scorer is trained on, and how they are split."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class LabelledTurn:
    """A turn with its score, 1 to 6.

    group: the seed instruction that it belongs to; variants of one seed share it, and a split never
    parts them. cluster: of its row in the pool, None where it has none.
    """

    group: str
    instruction: str
    response: str | None
    score: float
    cluster: str | None = None


@dataclass(frozen=True, slots=True)
class TrainingStep:
    """How far a training is. done, total: in steps of the optimiser, or in what else it does.

    loss: of the last step, None where there is none. rows: seen so far, of all epochs.
    """

    stage: str
    done: int
    total: int
    rows: int = 0
    loss: float | None = None


# Told of each step; may raise JobCancelledError, which ends the training.
Told = Callable[[TrainingStep], None]
