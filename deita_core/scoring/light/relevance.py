"""The relevance check: whether an answer belongs to its question at all, from 1 to 6.

It learnt to tell a question's own answer from another question's. It says nothing of how good the
answer is: use it beside a quality scorer, to find answers that belong elsewhere. Two maps, one for
questions and one for answers, bring sums of static embeddings, weighted by token, into one space;
the cosine there, shared words and lengths make the score.

Like the light scorers, a score depends on its turn alone, to the last bit.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from deita_core.errors import ModelError
from deita_core.models.options import Parameters
from deita_core.scoring.light.features import F32, MAX_CHARS, Encoded, shared_encoder
from deita_core.scoring.light.heads import Arrays, product
from deita_core.scoring.light.scorer import BLOCK, WEIGHTS, calibrated, load_weights
from deita_core.scoring.protocol import Dimension, ScoreBatch, TurnText, score_scorable

ID = "deita-studio/light-relevance"
FILE = "light-relevance.safetensors"
NUMBERS = 7
_CLIP = 4.0  # standard deviations


class Sides:
    """The two halves of the check, and the numbers that it is made of.

    arrays: for "question" and "answer" each `.token_weights` (VOCABULARY,), not below 0, and
    `.directions` (WIDTH, k).
    """

    def __init__(self, arrays: Arrays) -> None:
        self._weights, self._directions = (
            [np.asarray(arrays[f"{side}.{name}"], np.float32) for side in ("question", "answer")]
            for name in ("token_weights", "directions")
        )

    def numbers(self, question: Encoded, answer: Encoded) -> F32:
        """(n, NUMBERS): cosine in the common space, share of the question's weight whose tokens the
        answer has, cosine of the plain means; then, as ln(1 + x), the weight of question and
        answer, and the bytes of each beyond one a character."""
        asked, given = self._placed(0, question), self._placed(1, answer)
        present = question.bag.sign()
        shared = present.multiply(answer.bag.sign()).tocsr() @ self._weights[0]
        columns = [
            _cosine(asked, given),
            shared / np.maximum(present @ self._weights[0], 1e-6),
            _cosine(question.mean, answer.mean),
            np.log1p(question.bag @ self._weights[0]),
            np.log1p(answer.bag @ self._weights[1]),
            np.log1p(question.surface[:, 1]),
            np.log1p(answer.surface[:, 1]),
        ]
        return np.stack(columns, axis=1).astype(np.float32)

    def _placed(self, side: int, texts: Encoded) -> F32:
        weighted = texts.bag.copy()
        weighted.data = weighted.data * self._weights[side][weighted.indices]
        summed = np.asarray(weighted @ shared_encoder().embedding, np.float32)
        norms = np.maximum(np.linalg.norm(summed, axis=1, keepdims=True), 1e-9)
        return product(summed / norms, self._directions[side])


def expanded(numbers: F32, mean: F32, deviation: F32) -> F32:
    """(n, d) -> (n, d + d (d + 1) / 2): standardised and clipped, and the product of each two."""
    scaled = np.clip((numbers - mean) / deviation, -_CLIP, _CLIP)
    count = scaled.shape[1]
    products = [scaled[:, i] * scaled[:, j] for i in range(count) for j in range(i, count)]
    return np.column_stack([scaled, *products]).astype(np.float32)


class RelevanceScorer:
    """Scores turns 1 to 6 by whether the response belongs to the instruction; see `Scorer`.

    Below 2: of the answers fitted on, one in a hundred is as far from its question.
    weights: a folder with FILE, whose SHA-256 begins with the revision.
    Raises ModelError for complexity, and where the weights are missing or unreadable.
    """

    id = ID
    dimension: Dimension = "quality"

    def __init__(self, dimension: Dimension = "quality", weights: Path = WEIGHTS) -> None:
        if dimension != "quality":
            raise ModelError(
                f"light-relevance judges responses, so it scores quality, not {dimension}: "
                "choose another scorer for that"
            )
        arrays, self.revision = load_weights(weights / FILE)
        self.parameters: Parameters = {"max_chars": MAX_CHARS}
        self._sides = Sides(arrays)
        self._mean, self._deviation = arrays["numbers.mean"], arrays["numbers.deviation"]
        self._line = np.asarray(arrays["line"], np.float32)[:, None]
        self._offset, self._slope = map(float, arrays["calibration"])

    def score(self, turns: Sequence[TurnText]) -> ScoreBatch:
        """Scores in the order of `turns`; NaN with a reason where there is nothing to score."""

        def scored(good: Sequence[TurnText]) -> ScoreBatch:
            parts = [self._block(good[i : i + BLOCK]) for i in range(0, len(good), BLOCK)]
            scores = np.concatenate([np.zeros(0, np.float32), *parts])
            return ScoreBatch(scores, (None,) * len(good))

        return score_scorable(self.dimension, turns, scored)

    def _block(self, turns: Sequence[TurnText]) -> F32:
        encode = shared_encoder().encode
        question = encode([turn.instruction for turn in turns])
        answer = encode([turn.response or "" for turn in turns])
        numbers = self._sides.numbers(question, answer)
        raw = product(expanded(numbers, self._mean, self._deviation), self._line)[:, 0]
        return calibrated(raw, self._offset, self._slope)


def _cosine(left: F32, right: F32) -> F32:
    norms = np.linalg.norm(left, axis=1) * np.linalg.norm(right, axis=1)
    return np.asarray((left * right).sum(axis=1) / np.maximum(norms, 1e-9), np.float32)
