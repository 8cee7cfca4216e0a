"""InsTag's sampling against the passes of the paper, written out."""

from __future__ import annotations

import numpy as np
import pytest

from deita_core.selection.strategies.instag import passes_of


def naive_order(rows: list[set[int]]) -> list[int]:
    """Pass after pass through what is left, until a pass takes nothing."""
    left, taken = list(range(len(rows))), []
    while True:
        seen: set[int] = set()
        these = []
        for row in left:
            if rows[row] - seen:
                seen |= rows[row]
                these.append(row)
        if not these:
            return taken
        taken += these
        left = [row for row in left if row not in these]


@pytest.mark.parametrize("seed", range(20))
def test_one_walk_finds_the_passes_of_the_paper(seed: int) -> None:
    random = np.random.default_rng(seed)
    rows = [set(random.integers(0, 12, random.integers(0, 5)).tolist()) for _ in range(60)]
    rows.sort(key=len, reverse=True)
    passes = passes_of([sorted(row) for row in rows])
    order = [row for row in np.argsort(passes, kind="stable").tolist() if passes[row] >= 0]
    assert order == naive_order(rows)
    assert [not row for row in rows] == (passes < 0).tolist()
