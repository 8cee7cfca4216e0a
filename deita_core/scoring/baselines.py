"""Baselines that need no model: lengths and chance, to compare other scorers with.

The paper compares its scorers with the length of the instruction (for complexity), the length
of the response (for quality) and a random choice (arXiv 2312.15685). Lengths are in characters
(Unicode code points), so no tokenizer decides them; a response without a text has length 0,
and a turn without a response has no length of one.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np

from deita_core.errors import ModelError
from deita_core.scoring.protocol import Dimension, ScoreBatch, TurnText

Part = Literal["instruction", "response"]
NO_RESPONSE = "no response"


class LengthScorer:
    """The length of the instruction or of the response, in characters; its range is open."""

    revision = "1"

    def __init__(self, part: Part, dimension: Dimension) -> None:
        self._part = part
        self._dimension: Dimension = dimension

    @property
    def dimension(self) -> Dimension:
        """The dimension it stands in for; it is the same length in both."""
        return self._dimension

    @property
    def id(self) -> str:
        """ "instruction-length" or "response-length"."""
        return f"{self._part}-length"

    @property
    def parameters(self) -> Mapping[str, str | int | float | bool]:
        """unit."""
        return {"unit": "characters"}

    def score(self, turns: Sequence[TurnText]) -> ScoreBatch:
        """Lengths; NaN with a reason where a response is asked for and there is none."""
        texts = [
            turn.instruction if self._part == "instruction" else turn.response for turn in turns
        ]
        scores = np.array([np.nan if t is None else len(t) for t in texts], np.float32)
        return ScoreBatch(scores, tuple(NO_RESPONSE if t is None else None for t in texts))


class RandomScorer:
    """A number in [1, 6) drawn for each turn from a seed and its content.

    The same turn gets the same number in every pool and order, and twins get the same one.
    """

    revision = "1"

    def __init__(self, seed: int, dimension: Dimension) -> None:
        if seed < 0:
            raise ModelError(f"the seed must be 0 or more, got {seed}")
        self._seed = seed
        self._dimension: Dimension = dimension

    @property
    def dimension(self) -> Dimension:
        """The dimension it stands in for; the numbers of the two are independent."""
        return self._dimension

    @property
    def id(self) -> str:
        """ "random:SEED"."""
        return f"random:{self._seed}"

    @property
    def parameters(self) -> Mapping[str, str | int | float | bool]:
        """seed."""
        return {"seed": self._seed}

    def score(self, turns: Sequence[TurnText]) -> ScoreBatch:
        """A number for every turn; none fails."""
        scores = np.array([1 + 5 * self._uniform(turn) for turn in turns], np.float32)
        # A number just below 6 must not be rounded up to it.
        return ScoreBatch(np.minimum(scores, np.nextafter(np.float32(6), 0)), (None,) * len(turns))

    def _uniform(self, turn: TurnText) -> float:
        """In [0, 1), from a hash of everything the number depends on."""
        content = repr((self._seed, self._dimension, turn.instruction, turn.response))
        digest = hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=8).digest()
        return (int.from_bytes(digest, "little") >> 11) * 2.0**-53


def random_of_name(rest: str, dimension: Dimension) -> RandomScorer:
    """The scorer called "random:REST"; ModelError when REST is no whole number."""
    if not rest.isdecimal():
        raise ModelError(f"random: takes a whole number as its seed, got {rest!r}")
    return RandomScorer(int(rest), dimension)
