"""review.calibration: people's scores held against a scorer's, and what errors cost."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from deita_core.errors import ReviewError
from deita_core.review.calibration import calibration, cost_of_errors, with_people_scores
from deita_core.selection.outcome import select
from deita_core.selection.pool_table import PoolTable
from deita_core.selection.rule import SelectionRule

PEOPLE = np.array([1, 2, 3, 4, 5, 6, np.nan, 3.5])
SCORES = np.array([1.5, 2, 5, 4, 4, 4.5, 3, np.nan])


def table_of(quality: np.ndarray = SCORES) -> PoolTable:
    rows = len(quality)
    table = PoolTable.of_scores(np.ones(rows), quality, np.eye(rows))
    return replace(
        table,
        language=np.array([0, 0, 0, 1, 1, 1, 0, 1], np.int16),
        language_names=("de", "en"),
        characters=np.array([10, 20, 30, 40, 50, 60, 70, 80], np.int32),
        cluster=np.array([0, 0, 1, 1, -1, -1, 0, 1], np.int32),
    )


def test_a_scorer_is_compared_on_the_rows_that_both_scored() -> None:
    found = calibration(PEOPLE, SCORES, table_of(), dimension="quality", scorer="light")
    assert found.whole.rows == 6
    assert found.whole.within_one == pytest.approx(4 / 6)
    assert found.whole.bias == pytest.approx(0.0)
    assert found.length_spearman == pytest.approx(1.0)
    assert found.rows.tolist() == [2, 5, 4, 0, 1, 3]
    assert (found.people[0], found.scores[0]) == (3.0, 5.0)
    assert "67% within one point, +0.00 points on average, over 6 rows" in found.sentence()


def test_parts_are_by_language_cluster_and_length() -> None:
    found = calibration(PEOPLE, SCORES, table_of(), dimension="quality", scorer="light")
    assert [(part.part, part.rows) for part in found.parts] == [
        ("language de", 3),
        ("language en", 3),
        ("no cluster", 2),
        ("cluster 0", 2),
        ("cluster 1", 2),
        ("length 10 to 20", 2),
        ("length 30 to 30", 1),
        ("length 40 to 40", 1),
        ("length 50 to 60", 2),
    ]
    assert found.parts[0].bias == pytest.approx(2.5 / 3)


def test_nothing_to_compare_is_said() -> None:
    none = np.full(8, np.nan)
    found = calibration(none, SCORES, table_of(), dimension="quality", scorer="light")
    assert (found.whole.rows, found.parts) == (0, ())
    assert found.sentence() == "quality by light: no row is scored by people and by it"
    with pytest.raises(ReviewError, match=r"must be \(8,\) like the pool, got \(3,\)"):
        calibration(none[:3], SCORES, table_of(), dimension="quality", scorer="light")


def test_people_change_who_is_selected() -> None:
    table = table_of(np.array([6.0, 5, 4, 3, 2, 1, 1.5, 2.5]))
    people = np.full(8, np.nan)
    people[[0, 7]] = 1, 6
    found = cost_of_errors(SelectionRule(threshold=1.0, budget=2), table, {"quality": people})
    assert (found.entered.tolist(), found.left.tolist()) == ([7], [0])
    assert found.sentence() == "1 row entered, 1 left"


def test_every_turn_of_a_row_gets_the_score_of_people_and_other_rows_keep_theirs() -> None:
    table = replace(
        table_of(),
        turn_row=np.array([0, 0, 1, 2]),
        turn_complexity=np.array([1.0, 2, 3, 4]),
        turn_quality=np.array([1.0, 2, 3, np.nan]),
    )
    select(SelectionRule(), table)  # which is remembered with the table, not with the new one
    people = np.array([5.0, np.nan, 6.0, *[np.nan] * 5])
    found = with_people_scores(table, {"quality": people})
    assert found.turn_quality.tolist() == [5, 5, 3, 6]
    assert found.turn_complexity is table.turn_complexity
