"""Checks of what a pass is given."""

from __future__ import annotations

import math
import operator

import numpy as np
from numpy.typing import ArrayLike, NDArray

from deita_core.errors import SelectionError


def check_threshold(threshold: float) -> float:
    """The threshold as a float; SelectionError when it is no cosine similarity."""
    value = float(threshold)
    if math.isnan(value) or not -1.0 <= value <= 1.0:
        raise SelectionError(
            f"threshold must be a cosine similarity from -1 to 1, got {threshold}; "
            "similarity = 1 - cosine distance"
        )
    return value


def check_budget(budget: int | None) -> int | None:
    """The budget as an int or None; SelectionError when it is negative or no whole number."""
    if budget is None:
        return None
    if isinstance(budget, bool) or not hasattr(budget, "__index__"):
        raise SelectionError(f"budget must be a whole number of rows, got {budget!r}")
    value = operator.index(budget)
    if value < 0:
        raise SelectionError(f"budget must be 0 rows or more, got {value}; None means no budget")
    return value


def check_scores(
    scores: ArrayLike, rows: int, eligible: NDArray[np.bool_] | None = None
) -> NDArray[np.float64]:
    """The scores as (n,) float64; SelectionError when an eligible row has none."""
    array = np.asarray(scores)
    if array.dtype.kind not in "fiub":
        raise SelectionError(f"scores must be numbers, got {array.dtype}")
    if array.shape != (rows,):
        raise SelectionError(f"scores must be ({rows},) like the embeddings, got {array.shape}")
    if eligible is not None and (eligible.shape != (rows,) or eligible.dtype != np.bool_):
        raise SelectionError(
            f"eligible must be ({rows},) bool, got {eligible.shape} {eligible.dtype}"
        )
    values = array.astype(np.float64)
    missing = np.isnan(values) if eligible is None else np.isnan(values) & eligible
    if missing.any():
        raise SelectionError(
            f"row {int(missing.argmax())} has no score (NaN; {int(missing.sum()):,} such rows of "
            f"{rows:,}): score it, or leave it out through `eligible`"
        )
    return values
