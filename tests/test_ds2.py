"""DS2: ratings corrected by those of similar rows."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from deita_core.errors import SelectionError
from deita_core.selection import PoolTable, SelectionRule, select
from deita_core.selection.strategies.ds2 import (
    agreement_of,
    chance_right,
    correct_ratings,
    correction_of,
    misfit,
    neighbour_votes,
    solve_transition,
)
from tests.naive_graph import naive_graph


def crowds(noisy: tuple[int, ...] = ()) -> PoolTable:
    """Two far crowds of 30 rows, one rated 2 and one rated 5; the noisy rows have the other's."""
    draw = np.random.default_rng(3)
    centres = np.repeat([[1.0, 0, 0, 0], [0, 0, 0, 1.0]], 30, axis=0)
    vectors = (centres + 0.05 * draw.normal(size=(60, 4))).astype(np.float32)
    quality = np.repeat([2.0, 5.0], 30)
    quality[list(noisy)] = 7.0 - quality[list(noisy)]
    return PoolTable.of_scores(np.ones(60), quality, vectors)


def naive_votes(of, nearest, distance, kinds):
    votes = np.zeros((len(of), kinds))
    for row in range(len(of)):
        own = 1 - (2 * distance[row, 0] - distance[row, 1])
        for other, weight in [(row, own), *zip(nearest[row], 1 - distance[row], strict=True)]:
            if of[other] >= 0:
                votes[row, of[other]] += weight
    return votes


def test_votes_are_those_of_the_plain_loop():
    draw = np.random.default_rng(0)
    of, distance = draw.integers(-1, 3, 40), np.sort(draw.random((40, 5)), axis=1)
    nearest = draw.integers(0, 40, (40, 5))
    votes = neighbour_votes(of, nearest, distance, 3)
    assert votes == pytest.approx(naive_votes(of, nearest, distance, 3))


def test_ratings_that_all_neighbours_contradict_are_corrected():
    noisy = (4, 17, 22, 41, 50, 55)
    found = correction_of(crowds(noisy))
    changed = np.flatnonzero(found.given != found.corrected).tolist()
    assert found.changed == len(changed) > 3
    assert set(changed) <= set(noisy)
    assert found.corrected[changed].tolist() == [2 if row < 30 else 5 for row in changed]


def test_ratings_on_which_neighbours_agree_stay():
    assert correction_of(crowds()).changed == 0


def test_the_correction_is_the_same_with_a_similarity_graph():
    table = crowds((4, 17))
    with_graph = replace(table, graph=naive_graph(table.vectors, 0.5))
    assert np.array_equal(correction_of(table).corrected, correction_of(with_graph).corrected)
    assert np.array_equal(correction_of(table).rarity, correction_of(with_graph).rarity)


def test_a_row_whose_rating_was_too_high_falls_behind():
    kept = select(SelectionRule("ds2", budget=30), crowds((4, 41))).kept.tolist()
    assert sorted(kept) == list(range(30, 60))


def test_among_equal_ratings_the_row_farthest_from_its_neighbours_comes_first():
    table = crowds()
    far = table.vectors.copy()
    far[45] = (0, 1, 0, 1)
    kept = select(SelectionRule("ds2", budget=5), replace(table, vectors=far)).kept
    assert kept[0] == 45


def test_the_chances_that_made_the_ratings_are_found_again():
    prior, chances = np.array([0.6, 0.4]), np.array([[0.9, 0.1], [0.2, 0.8]])
    seen = tuple(
        np.einsum(form, prior, *[chances] * order)
        for order, form in ((1, "y,yi->i"), (2, "y,yi,yj->ij"), (3, "y,yi,yj,yk->ijk"))
    )
    found, share = solve_transition(seen)
    assert found == pytest.approx(chances, abs=0.01)
    assert share == pytest.approx(prior, abs=0.01)


def test_the_gradient_is_that_of_small_steps():
    draw = np.random.default_rng(1)
    seen = agreement_of(draw.integers(0, 3, (50, 3)), 3)
    free = draw.normal(size=12)
    steps = approx_fprime(free, lambda x: misfit(x, seen)[0], 1e-7)
    assert misfit(free, seen)[1] == pytest.approx(steps, abs=1e-5)


def test_where_rows_and_neighbours_always_agree_every_rating_is_right():
    triples = np.repeat([[0, 0, 0], [1, 1, 1]], 50, axis=0)
    assert chance_right(triples, 2) == pytest.approx([1, 1], abs=0.02)


def naive_correction(given, nearest, distance):
    """As docta/core/knn.py does it by `rank`, with the votes and chances of above."""
    kinds, of = np.unique(given, return_inverse=True)
    votes = naive_votes(of, nearest, distance, len(kinds))
    right = chance_right(np.column_stack((of, of[nearest[:, :2]])), len(kinds))
    doubt = -np.log(votes[np.arange(len(of)), of] / np.linalg.norm(votes, axis=1) + 1e-8)
    corrected = given.copy()
    for kind in range(len(kinds)):
        wrong = 1 - min(right[kind], 1.0)
        wrong = 0.95 if wrong >= 1 else 0.05 if wrong <= 0 else wrong
        least = np.percentile(doubt[of == kind], 100 * (1 - wrong))
        doubted = (of == kind) & (doubt >= least)
        corrected[doubted] = kinds[votes[doubted].argmax(axis=1)]
    return corrected


@pytest.mark.parametrize("seed", range(5))
def test_ratings_are_corrected_as_by_the_plain_loop(seed):
    draw = np.random.default_rng(seed)
    given, distance = draw.integers(2, 6, 80), np.sort(0.5 * draw.random((80, 5)), axis=1)
    nearest = draw.integers(0, 80, (80, 5))
    corrected = correct_ratings(given, nearest, distance)
    assert corrected.tolist() == naive_correction(given, nearest, distance).tolist()
    assert (corrected != given).any()


def test_a_row_without_a_rating_has_no_vote_and_gets_none():
    given = np.array([2, 2, -1, 5, 5])
    nearest = np.array([[1, 2], [0, 2], [0, 1], [4, 2], [3, 2]])
    corrected = correct_ratings(given, nearest, np.full((5, 2), 0.1))
    assert corrected[2] == -1
    assert set(corrected) == {2, 5, -1}


@pytest.mark.parametrize("quality", [[-1.0, 2, 3, 4, 5], [1.0, 2, 3, 4, 55]])
def test_scores_that_are_no_ratings_are_refused_with_a_remedy(quality):
    table = PoolTable.of_scores(np.ones(5), np.array(quality), np.eye(5, dtype=np.float32))
    with pytest.raises(SelectionError, match="activate another quality scorer"):
        select(SelectionRule("ds2", budget=2), table)


def test_a_pool_of_one_row_is_no_error():
    table = PoolTable.of_scores(np.ones(1), np.ones(1), np.ones((1, 2), np.float32))
    assert select(SelectionRule("ds2"), table).kept.tolist() == [0]
