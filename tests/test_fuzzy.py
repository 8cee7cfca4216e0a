"""The weights of UMAP's graph against the equations they solve."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from deita_core.map.projection import fuzzy_graph, memberships


def distances(n: int, k: int) -> NDArray[np.float64]:
    """(n, k), ascending in each row."""
    return np.sort(np.random.default_rng(0).uniform(0.1, 1.0, (n, k)), axis=1)


def test_the_weights_of_a_row_add_up_to_the_size_of_its_neighbourhood() -> None:
    found = memberships(distances(50, 14))
    np.testing.assert_allclose(found.sum(axis=1), np.log2(15), rtol=1e-6)
    assert (found[:, 0] == 1).all()
    assert (np.diff(found, axis=1) <= 0).all()


def test_widths_solve_the_equation_at_any_scale() -> None:
    at = distances(20, 14)
    np.testing.assert_allclose(memberships(at * 1e-4), memberships(at), rtol=1e-5)


def test_copies_belong_fully_and_do_not_count_as_the_nearest() -> None:
    found = memberships(np.array([[0.0, 0.0, 0.2, 0.5]]))
    assert found[0, :3].tolist() == [1, 1, 1]
    assert found[0, 3] < 1


def test_a_row_among_copies_alone_belongs_to_all_of_them() -> None:
    assert memberships(np.zeros((3, 4))).tolist() == [[1] * 4] * 3


def test_both_sides_of_an_edge_join_as_p_plus_q_minus_pq() -> None:
    indices = np.array([[1, 2], [0, 2], [1, 0]], dtype=np.int32)
    similarities = np.array([[0.9, 0.4], [0.9, 0.6], [0.6, 0.4]], dtype=np.float32)
    one_sided = np.zeros((3, 3))
    np.put_along_axis(
        one_sided, indices.astype(int), memberships(1 - similarities.astype(float)), axis=1
    )
    graph = fuzzy_graph(indices, similarities).toarray()
    np.testing.assert_allclose(graph, one_sided + one_sided.T - one_sided * one_sided.T, rtol=1e-6)
    assert (graph == graph.T).all()


@pytest.mark.slow
def test_the_graph_is_the_one_of_umap_learn() -> None:
    from umap.umap_ import fuzzy_simplicial_set

    from deita_core.similarity.neighbours import nearest_neighbours

    rows = np.random.default_rng(0).normal(size=(300, 8)).astype(np.float32)
    near = nearest_neighbours(rows, 14)
    own = np.arange(300, dtype=np.int32)[:, None]
    indices = np.concatenate([own, near.indices], axis=1)
    apart = np.concatenate([np.zeros((300, 1), np.float32), 1 - near.similarities], axis=1)
    random = np.random.RandomState(0)
    theirs, _, _ = fuzzy_simplicial_set(
        rows, 15, random, "cosine", knn_indices=indices, knn_dists=apart
    )
    ours = fuzzy_graph(near.indices, near.similarities)
    np.testing.assert_allclose(ours.toarray(), theirs.toarray(), atol=1e-4)
