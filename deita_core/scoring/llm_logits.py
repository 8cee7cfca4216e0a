"""From the logits at the end of a prompt to a score and its health."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

SCORES = np.arange(1, 7, dtype=np.float64)


def expected_scores(logits: NDArray[np.float32]) -> NDArray[np.float64]:
    """Sum of k * softmax(logits)_k over the scores 1 to 6: (n, 6) float32 -> (n,) in [1, 6].

    As the released scorers are read (arXiv 2312.15685). A row with a number that is not finite
    gives NaN.
    """
    wide = np.asarray(logits, np.float64)
    with np.errstate(invalid="ignore"):
        weights = np.exp(wide - wide.max(axis=1, keepdims=True))
        scores = (weights @ SCORES) / weights.sum(axis=1)
    scores[~np.isfinite(wide).all(axis=1)] = np.nan
    return np.asarray(scores, np.float64)


def mass_on_scores(logits: NDArray[np.float32], others: NDArray[np.float32]) -> NDArray[np.float32]:
    """The probability on the six scores, (n,) float32 in [0, 1].

    logits: (n, 6). others: (n,) logsumexp of the logits of all other tokens.
    """
    wide = np.asarray(logits, np.float64)
    with np.errstate(invalid="ignore", over="ignore"):
        top = wide.max(axis=1)
        ours = top + np.log(np.exp(wide - top[:, None]).sum(axis=1))
        return np.asarray(1.0 / (1.0 + np.exp(others - ours)), np.float32)
