"""NovelSum: the same figure as the plain loop of the published program."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from deita_core.selection import PoolTable
from deita_core.selection.analysis.novelty import novel_sum, novelty
from tests.naive_graph import naive_graph


def pool(rows: int = 80, copies: int = 0) -> PoolTable:
    vectors = np.random.default_rng(5).normal(size=(rows, 6)).astype(np.float32)
    vectors[:copies] = vectors[0]
    return PoolTable.of_scores(np.ones(rows), np.ones(rows), vectors)


def naive_novel_sum(vectors: np.ndarray, rows: list[int]) -> float:
    """As novelsum.py does it: densities by the squared distance to ten others of the pool."""
    units = vectors.astype(np.float64) / np.linalg.norm(vectors.astype(np.float64), axis=1)[:, None]
    novelties = []
    for row in rows:
        others = np.unique(units.round(9), axis=0)
        squared = np.sort(((others - units[row]) ** 2).sum(axis=1))[1:11]
        distances = sorted((1 - units[rows] @ units[row]) / np.sqrt(squared.mean() + 1e-9))
        weights = [1 / rank for rank in range(1, len(rows) + 1)]
        novelties.append(np.average(distances, weights=weights))
    return float(np.mean(novelties))


@pytest.mark.parametrize("copies", [0, 7])
def test_it_is_the_figure_of_the_plain_loop(copies):
    table, rows = pool(copies=copies), list(range(0, 60, 2))
    expected = naive_novel_sum(table.vectors, rows)
    assert novel_sum(table, np.array(rows)) == pytest.approx(expected, rel=1e-4)


def test_it_is_the_same_with_a_similarity_graph():
    table = pool(copies=7)
    with_graph = replace(table, graph=naive_graph(table.vectors, 0.5))
    rows = np.arange(40)
    assert novel_sum(table, rows) == pytest.approx(novel_sum(with_graph, rows))


def test_rows_apart_are_worth_more_than_rows_alike():
    draw = np.random.default_rng(0)
    vectors = draw.normal(size=(60, 8)).astype(np.float32)
    vectors[:20] = vectors[0] + 0.05 * draw.normal(size=(20, 8))
    table = PoolTable.of_scores(np.ones(60), np.ones(60), vectors)
    density_free = [novelty(distances(table, rows), np.ones(20)) for rows in (range(20, 40),)]
    assert density_free[0] > novelty(distances(table, range(20)), np.ones(20))


def distances(table: PoolTable, rows: range) -> np.ndarray:
    units = table.vectors[rows] / np.linalg.norm(table.vectors[rows], axis=1)[:, None]
    return 1.0 - units @ units.T


def test_without_two_vectors_it_is_not_known():
    assert novel_sum(pool(), np.array([3])) is None
    assert novel_sum(pool(copies=80), np.arange(9)) is None
