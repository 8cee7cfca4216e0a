"""The greedy pass over rows in a given order, which every order-like strategy ends in."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray

from deita_core.selection.progress import FilterProgress
from deita_core.selection.repr_filter import trace_order_steps
from deita_core.selection.status import SelectionTrace
from deita_core.selection.strategies.protocol import Candidates, Choice


def pass_steps(
    order: NDArray[np.int64],
    candidates: Candidates,
    choice: Choice,
    *,
    threshold: float | None,
) -> Generator[FilterProgress, None, SelectionTrace]:
    """Keeps rows in the order given, unless one is too close to a row kept before it.

    order: (k,) int64, eligible rows of `candidates`, each at most once. threshold: cosine
    similarity in [-1, 1]; None: no row blocks another. Returns the trace, numbered like
    `candidates`.
    """
    bound = 1.0 if threshold is None else threshold
    return (yield from trace_order_steps(candidates.vectors, order, bound, choice.budget))
