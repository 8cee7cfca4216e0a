"""CaR and MIG: the same rows as the plain loops of their papers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings

from deita_core.errors import SelectionError
from deita_core.selection.candidates import Candidates, Limits
from deita_core.selection.strategies.clusters import CAR, MIG, MIG_TAGS, spread_of
from deita_core.selection.strategies.deduplication import cluster_centroids
from tests.candidate_pools import NaiveRoom, changed, column, made, pools, run


def clustered(candidates: Candidates) -> bool:
    return bool((column(candidates, "cluster") >= 0).any())


def naive_car(candidates: Candidates, limits: Limits) -> list[int]:
    room, cluster = NaiveRoom(candidates, limits), column(candidates, "cluster")
    order = candidates.best_first().tolist()
    best = {int(cluster[row]): row for row in reversed(order) if cluster[row] >= 0}
    heads = [row for row in order if row in best.values()]
    order = [*heads, *(row for row in order if row not in heads)]
    room.rows = [row for row in order if candidates.pinned[row]]
    return room.take_in_order(order)


def naive_mig(candidates: Candidates, limits: Limits) -> list[int]:
    cluster = column(candidates, "cluster")
    centroids = cluster_centroids(candidates.table.vectors, cluster)
    carries = np.array([[one == c for c in range(len(centroids))] for one in cluster], float)
    return naive_information(candidates, limits, carries, spread_of(centroids, limits.threshold))


def naive_mig_tags(candidates: Candidates, limits: Limits) -> list[int]:
    tags, vectors = column(candidates, "tags"), candidates.table.vectors.astype(np.float64)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    sums = np.array([units[one].sum(axis=0) for one in tags.T])
    lengths = np.linalg.norm(sums, axis=1, keepdims=True)
    centroids = np.where(lengths > 1e-6, sums / np.maximum(lengths, 1e-6), 0.0)
    carries = tags / np.maximum(tags.sum(axis=1, keepdims=True), 1)
    return naive_information(candidates, limits, carries, spread_of(centroids, limits.threshold))


def naive_information(candidates, limits, carries, spread) -> list[int]:
    """The loop of mig/sampler.py; carries: (m, labels), each row's shares of its labels."""
    room = NaiveRoom(candidates, limits)
    score = np.maximum(np.nan_to_num(candidates.scores), 0.0)
    brings = score[:, None] * (carries @ spread)
    left = [row for row in candidates.best_first().tolist() if row not in room.rows]
    if room.is_enough():
        return room.take_in_order(left)
    while left:
        slope = 0.8 * (brings[room.rows].sum(axis=0) + 1e-6) ** -0.2
        gains = [round(float(brings[row] @ slope), 9) for row in left]
        if room.take(left.pop(int(np.argmax(gains)))) is None:
            break
    return room.rows


@given(pools())
@settings(deadline=None)
def test_car_selects_what_its_plain_loop_selects(pool):
    if clustered(pool[0]):
        assert run(CAR, *pool).kept.tolist() == naive_car(*pool)


@given(pools())
@settings(deadline=None)
def test_mig_selects_what_its_plain_loop_selects(pool):
    if clustered(pool[0]):
        assert run(MIG, *pool).kept.tolist() == naive_mig(*pool)


@given(pools())
@settings(deadline=None)
def test_mig_over_tags_selects_what_its_plain_loop_selects(pool):
    if column(pool[0], "tags").any():
        assert run(MIG_TAGS, *pool).kept.tolist() == naive_mig_tags(*pool)


def test_mig_over_tags_turns_to_a_tag_of_which_it_knows_less():
    limits = Limits(0.9, 2)
    tags = np.array([[1, 0], [1, 0], [1, 0], [0, 1], [0, 1]], np.bool_)
    pool = changed(two_clusters(limits), tags=tags, tag_names=("a", "b"))
    pool = replace(pool, scores=np.array([9.0, 8, 7, 8, 2]))
    assert run(MIG_TAGS, pool, limits).kept.tolist() == [0, 3]


def test_a_row_of_two_tags_carries_half_of_its_score_to_each():
    limits = Limits(0.9, 2)
    tags = np.array([[1, 0], [0, 0], [0, 0], [1, 1], [0, 1]], np.bool_)
    pool = changed(two_clusters(limits), tags=tags, tag_names=("a", "b"))
    for score, second in ((12.0, 3), (8.0, 4)):
        scored = replace(pool, scores=np.array([20.0, 1, 1, score, 5]))
        assert run(MIG_TAGS, scored, limits).kept.tolist() == [0, second]


def two_clusters(limits: Limits) -> Candidates:
    """Rows 0 to 2 score 9, 8 and 7 in one cluster, rows 3 and 4 score 3 and 2 in another."""
    vectors = np.array([[1, 0], [1, 0.1], [1, 0.2], [0, 1], [0.1, 1]], np.float32)
    cluster = np.array([0, 0, 0, 1, 1], np.int32)
    return made(vectors, np.array([9.0, 8, 7, 3, 2]), limits, cluster=cluster)


def test_car_takes_the_best_of_each_cluster_before_the_second_best_of_any():
    limits = Limits(0.9, 3)
    assert run(CAR, two_clusters(limits), limits).kept.tolist() == [0, 3, 1]


def test_mig_turns_to_a_cluster_of_which_it_knows_less():
    limits = Limits(0.9, 4)
    rows = run(MIG, two_clusters(limits), limits).kept.tolist()
    assert rows[0] == 0
    assert 3 in rows


def test_what_spreads_to_a_label_adds_up_to_one():
    spread = spread_of(np.array([[1.0, 0], [0.8, 0.6], [0, 1.0]]), 0.5)
    assert spread.sum(axis=0).tolist() == pytest.approx([1, 1, 1])
    assert spread[0].tolist() == pytest.approx([1 / 1.8, 0.8 / 2.4, 0])


def test_centroids_that_point_apart_share_nothing_at_any_threshold():
    assert spread_of(np.array([[1.0, 0], [-1, 0]]), -1.0).tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("strategy", [CAR, MIG])
def test_without_clusters_it_names_the_remedy(strategy):
    limits = Limits(0.9, 2)
    pool = changed(two_clusters(limits), cluster=None)
    with pytest.raises(SelectionError, match="make the similarity graph"):
        run(strategy, pool, limits)
