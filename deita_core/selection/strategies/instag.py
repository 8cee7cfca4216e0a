"""InsTag's sampling (Lu et al., arXiv 2308.07074): the most tags first, and always a new one.

The paper goes through the rows in passes, those with the most tags first: a row is taken when it
has a tag that no row of the same pass has, and left for the next pass when it has none. All passes
go through the rows in one order, so the pass of a row is known from the rows before it, and one
walk over them finds all passes at once: for each tag a number is kept, whose bits are the passes
that have it.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
from numpy.typing import NDArray

from deita_core.progress import FilterProgress
from deita_core.selection.candidates import Candidates, Limits, Steps, Strategy
from deita_core.selection.strategies.greedy import pass_steps

NO_PASS: Final = -1


def passes_of(rows: Sequence[Sequence[int]]) -> NDArray[np.int64]:
    """The pass in which each row is taken, from 0 on; -1 for one without tags.

    rows: the tags of each row, in the order in which every pass goes through them.
    """
    passes_with: dict[int, int] = {}
    found = np.full(len(rows), NO_PASS, np.int64)
    for place, tags in enumerate(rows):
        if not tags:
            continue
        covered = -1  # every pass, until a tag says otherwise
        for tag in tags:
            covered &= passes_with.get(tag, 0)
        free = ~covered & (covered + 1)  # its lowest pass without one of them
        found[place] = free.bit_length() - 1
        for tag in tags:
            passes_with[tag] = passes_with.get(tag, 0) | free
    return found


def _instag_steps(candidates: Candidates, limits: Limits) -> Steps:
    """By pass; in a pass the most tags first, then the higher score, then the lower row number.
    Rows without tags come last."""
    order = candidates.best_first()
    yield FilterProgress(0, 0, len(order))
    if len(order):
        tags = candidates.tags()
        order = order[np.argsort(-tags[order].sum(axis=1), kind="stable")]
        passes = passes_of([np.flatnonzero(tags[place]).tolist() for place in order])
        passes[passes == NO_PASS] = len(order)
        order = order[np.argsort(passes, kind="stable")]
    return (yield from pass_steps(order, candidates, limits, threshold=None))


INSTAG = Strategy(
    name="instag",
    label="InsTag",
    phrase="by InsTag",
    source=(
        "Lu et al. (arXiv 2308.07074): rows with the most tags first, each of which brings a tag "
        "that the rows of the same pass lack; when none does, the next pass begins. The tags are "
        "those that a chat model gave."
    ),
    steps=_instag_steps,
    needs_tags=True,
    tags_from="instag",
)
