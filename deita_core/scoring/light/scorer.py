"""The embedded default: light scorers for complexity and quality, on the CPU.

They are small models on static token embeddings and surface numbers, trained on public labels
(weights/MODEL_CARD.md says which, how well they do, and where they fail). A turn with nothing to
judge gets NaN and the reason: a low number would hide that in the sums.

Same weights, same text, same bits: whatever the size and order of a batch, the other turns in it
and the number of threads. Dense products and trees run row by row in compiled loops with one order
of adding up (`heads_kernel`), sparse products likewise in SciPy, and all the rest is element by
element or a sum along one row.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np

from deita_core.errors import ModelError
from deita_core.models.options import Parameters
from deita_core.scoring.light.features import F32, MAX_CHARS, shared_encoder
from deita_core.scoring.light.heads import Arrays, heads_of, product
from deita_core.scoring.protocol import (
    DIMENSIONS,
    Dimension,
    ScoreBatch,
    TurnText,
    score_scorable,
)

WEIGHTS = Path(__file__).parent / "weights"
BLOCK = 512  # turns encoded at a time: bounds memory, and is past the gain from batching


class LightScorer:
    """Scores turns 1 to 6 in one dimension; see `Scorer`.

    weights: a folder with `light-<dimension>.safetensors`, whose SHA-256 begins with the revision.
    own: the folder of a scorer that a user trained; its path is in the id.
    Raises ModelError when the dimension is unknown or the weights are missing or unreadable.
    """

    def __init__(self, dimension: Dimension, weights: Path = WEIGHTS, *, own: bool = False) -> None:
        if dimension not in DIMENSIONS:
            raise ModelError(f"dimension must be one of {DIMENSIONS}, got {dimension!r}")
        self.dimension: Dimension = dimension
        self.id = f"light:{weights}" if own else f"deita-studio/light-{dimension}"
        arrays, self.revision = load_weights(weights / f"light-{dimension}.safetensors")
        self.parameters: Parameters = {"max_chars": MAX_CHARS}
        self._head_mean = np.asarray(arrays["blend.mean"], np.float32)
        self._head_weight = np.asarray(arrays["blend.weight"], np.float32)
        self._offset, self._slope = map(float, arrays["calibration"])
        self._heads = heads_of(dimension, arrays)

    def score(self, turns: Sequence[TurnText]) -> ScoreBatch:
        """Scores in the order of `turns`; NaN with a reason where there is nothing to score."""

        def scored(good: Sequence[TurnText]) -> ScoreBatch:
            return ScoreBatch(self.blend(self.heads(good)), (None,) * len(good))

        return score_scorable(self.dimension, turns, scored)

    def heads(self, turns: Sequence[TurnText]) -> F32:
        """What the score is made of, before blending, (n, k) float32: difficulty, rating and steps,
        for quality the rating alone. Meaningful only for turns that `score` gives a score."""
        parts = [self._block(turns[i : i + BLOCK]) for i in range(0, len(turns), BLOCK)]
        return np.concatenate([np.zeros((0, len(self._head_mean)), np.float32), *parts])

    def blend(self, heads: F32) -> F32:
        """(n, heads) raw numbers, as `heads` gives them -> (n,) scores inside (1, 6)."""
        raw = product(heads - self._head_mean, self._head_weight[:, None])[:, 0]
        return calibrated(raw, self._offset, self._slope)

    def _block(self, turns: Sequence[TurnText]) -> F32:
        encode = shared_encoder().encode
        instruction = encode([turn.instruction for turn in turns])
        if self.dimension == "complexity":
            return self._heads((instruction,))
        return self._heads((instruction, encode([turn.response or "" for turn in turns])))


def calibrated(raw: F32, offset: float, slope: float) -> F32:
    """3.5 + 5 / pi * arctan(offset + slope * raw): strictly rising, inside (1, 6).

    The arctangent, not the logistic curve: its tails are slow, so pools far richer than the one
    the line was fixed on (long expert answers) still differ among themselves.
    """
    return np.asarray(3.5 + 5 / np.pi * np.arctan(offset + slope * raw), np.float32)


def load_weights(path: Path) -> tuple[Arrays, str]:
    """The arrays of a weights file, and its revision. Raises ModelError when it cannot be read."""
    try:
        facts = path.stat()
        return _load(path, facts.st_mtime_ns, facts.st_size)
    except OSError as error:
        raise ModelError(
            f"no weights at {path.name}: train them with "
            "`python -m recipes.light_scorers.train`, or restore the folder from the repository"
        ) from error


@lru_cache(maxsize=8)
def _load(path: Path, changed: int, size: int) -> tuple[Arrays, str]:
    """changed, size: of the file, which may be trained anew."""
    from safetensors import SafetensorError
    from safetensors.numpy import load

    content = path.read_bytes()
    try:
        return load(content), hashlib.sha256(content).hexdigest()[:16]
    except SafetensorError as error:
        raise ModelError(f"{path.name} is not a safetensors file ({error}): restore it") from error
