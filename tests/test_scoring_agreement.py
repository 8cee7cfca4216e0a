"""scoring.agreement and project.scores.paired_scores: two scorers on the same turns."""

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from deita_core.errors import ModelError
from deita_core.project import Project
from deita_core.project.scores import paired_scores
from deita_core.scoring.agreement import agreement
from tests.builders import prepared_project

random = np.random.default_rng(3)
FIRST = random.uniform(1, 6, 200)
SECOND = np.round(FIRST + random.normal(size=200))  # with ties


def test_the_correlation_is_that_of_scipy():
    found = agreement(FIRST, SECOND)
    assert found.spearman == pytest.approx(spearmanr(FIRST, SECOND).statistic)
    assert found.sentence() == f"Spearman {found.spearman:.2f} over the 200 turns that both scored"


def test_turns_without_one_of_the_scores_are_counted_and_left_out():
    first, second = FIRST.copy(), SECOND.copy()
    first[:5] = np.nan
    second[3:10] = np.nan
    found = agreement(first, second)
    assert (found.turns, found.only_first, found.only_second) == (190, 5, 3)
    assert found.spearman == pytest.approx(spearmanr(FIRST[10:], SECOND[10:]).statistic)


def test_the_turns_that_differ_most_come_first_with_sign():
    found = agreement(np.array([1.0, 2, 3, 4, 5]), np.array([10.0, 60, 30, 40, 20]), most=2)
    assert found.differ.tolist() == [1, 4]
    assert found.rank_difference.tolist() == [0.75, -0.75]


def test_scorers_that_agree_differ_nowhere():
    found = agreement(FIRST, 10 * FIRST)
    assert found.spearman == pytest.approx(1)
    assert len(found.differ) == 0


@pytest.mark.parametrize("scores", [np.zeros(0), np.ones(1), np.ones(9), np.full(3, np.nan)])
def test_no_correlation_is_given_where_there_is_none(scores: np.ndarray):
    found = agreement(scores, scores)
    assert np.isnan(found.spearman)
    assert "no correlation" in found.sentence()


def test_scores_of_different_turns_cannot_be_compared():
    with pytest.raises(ModelError, match=r"\(200,\) and \(199,\)"):
        agreement(FIRST, SECOND[1:])


def test_scores_of_a_project_are_paired_turn_by_turn(tmp_path: Path):
    with Project.open(prepared_project(tmp_path / "p.duckdb", rows=10)) as project:
        pairs = paired_scores(project, 1, 2)
        assert pairs.row.tolist() == [0, 0, 1, 2, 3, 4, 5, 5, 6, 7, 8, 9]
        assert pairs.turn.tolist() == [0, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]
        assert np.flatnonzero(np.isnan(pairs.first)).tolist() == [3]
        assert agreement(pairs.first, pairs.second).turns == 11
        assert np.isnan(paired_scores(project, 1, 99).second).all()
