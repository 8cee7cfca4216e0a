"""Longest responses and longest instructions."""

from __future__ import annotations

import pytest
from hypothesis import given, settings

from deita_core.errors import SelectionError
from deita_core.selection.strategies.greedy import (
    LONGEST_INSTRUCTION,
    LONGEST_RESPONSE,
)
from tests.candidate_pools import (
    NaiveRoom,
    changed,
    column,
    pools,
    run,
)

KINDS = (
    (LONGEST_RESPONSE, "response_characters"),
    (LONGEST_INSTRUCTION, "instruction_characters"),
)


@given(pools())
@settings(deadline=None)
def test_it_selects_what_a_sort_by_characters_selects(pool):
    candidates, limits = pool
    for strategy, name in KINDS:
        length = column(candidates, name)
        rows = [r for r in range(len(length)) if candidates.eligible[r]]
        room = NaiveRoom(candidates, limits)
        rows.sort(key=lambda r, length=length: (r not in room.rows, -length[r], r))
        assert set(run(strategy, candidates, limits).kept) == set(room.take_in_order(rows))


@given(pools())
@settings(deadline=None)
def test_without_characters_the_error_names_them(pool):
    for strategy, name in KINDS:
        with pytest.raises(SelectionError, match=name):
            run(strategy, changed(pool[0], **{name: None}), pool[1])
