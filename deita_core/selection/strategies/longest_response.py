"""The longest responses: a baseline that is hard to beat."""

from __future__ import annotations

from collections.abc import Generator

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.selection.order import from_highest
from deita_core.selection.passes import pass_steps
from deita_core.selection.progress import FilterProgress
from deita_core.selection.status import SelectionTrace
from deita_core.selection.strategies.protocol import Candidates, Choice


class LongestResponseStrategy:
    """Response length alone: characters of all responses of a conversation, added up over its
    turns (the paper counts tokens). Ties go to the lower row number.
    """

    name = "longest_response"
    label = "Longest response"
    phrase = "by longest response"
    source = (
        "Zhao et al., Long Is More for Alignment (arXiv 2402.04833), and the response length "
        "baseline of Deita (arXiv 2312.15685): most characters in the responses of all turns."
    )
    uses_threshold = False
    uses_score = False
    needs_graph = False
    needs_clusters = False
    duplicate_of = ""

    def steps(
        self, candidates: Candidates, choice: Choice
    ) -> Generator[FilterProgress, None, SelectionTrace]:
        """See `Strategy.steps`."""
        order = longest_first(candidates, candidates.response_characters, "response")
        return (yield from pass_steps(order, candidates, choice, threshold=None))


def longest_first(
    candidates: Candidates, characters: NDArray[np.integer] | None, what: str
) -> NDArray[np.int64]:
    """Eligible rows by these characters (m,) from most to least, ties by number: (k,) int64."""
    if characters is None:
        raise SelectionError(
            f"the strategy needs the characters of each row's {what}: give "
            f"{what}_characters with the table"
        )
    rows = np.flatnonzero(candidates.eligible)
    return rows[from_highest(characters[rows].astype(np.float64))]
