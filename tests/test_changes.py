"""What entered, what left, and why."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from deita_core.errors import SelectionError
from deita_core.selection import PoolTable, SelectionRule, changes, select
from tests.naive_graph import naive_graph

RULE = SelectionRule(threshold=0.9, budget=3)


@pytest.fixture(scope="module")
def table() -> PoolTable:
    """Five rows, best first; 1 is near 0, 4 is near 2, 3 is near none."""
    angles = np.deg2rad([0, 10, 90, 180, 100])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    plain = PoolTable.of_scores(np.array([5.0, 4, 3, 2, 1]), np.ones(5), vectors)
    return replace(plain, ids=np.array(list("abcde")), graph=naive_graph(vectors, 0.5))


def reasons(table: PoolTable, **rule: object) -> dict[str, dict[int, str]]:
    got = changes(select(RULE, table), select(replace(RULE, **rule), table))
    return {
        "entered": {row: got.reason(row) for row in got.entered.tolist()},
        "left": {row: got.reason(row) for row in got.left.tolist()},
    }


def test_nothing_changed_is_said_so(table):
    got = changes(select(RULE, table), select(RULE, table))
    assert (len(got), got.sentence()) == (0, "the same rows as before")


def test_a_pin_names_the_rows_it_displaces(table):
    assert reasons(table, pinned=("b",)) == {
        "entered": {1: "you pinned it"},
        "left": {0: "too close to row 1 (similarity 0.985), which you pinned"},
    }
    got = changes(select(RULE, table), select(replace(RULE, pinned=("b",)), table))
    assert got.sentence() == "1 row entered, 1 left"


def test_a_higher_threshold_lets_a_row_in_and_moves_the_cut(table):
    assert reasons(table, threshold=0.99) == {
        "entered": {1: "it is no longer too close to row 0"},
        "left": {3: "the cut moved: its rank is 4"},
    }


def test_an_exclusion_frees_the_row_it_blocked(table):
    assert reasons(table, excluded=("a",)) == {
        "entered": {1: "row 0, which was too close to it, is out now"},
        "left": {0: "excluded: left out because you excluded it"},
    }


def test_a_larger_budget_moves_the_cut(table):
    got = changes(select(replace(RULE, budget=1), table), select(RULE, table))
    assert (got.entered.tolist(), got.left.tolist()) == ([2, 3], [])
    assert {got.reason(row) for row in (2, 3)} == {"the cut moved"}


def test_a_row_that_entered_is_named_as_the_one_too_close(table):
    got = changes(select(replace(RULE, excluded=("a",)), table), select(RULE, table))
    assert [got.reason(row) for row in got.left.tolist()] == [
        "too close to row 0 (similarity 0.985), which entered"
    ]


def test_outcomes_of_two_pools_are_not_compared(table):
    other = PoolTable.of_scores(np.ones(2), np.ones(2), np.eye(2, dtype=np.float32))
    with pytest.raises(SelectionError, match=r"5 rows and one of 2"):
        changes(select(RULE, table), select(RULE, other))
