"""The map's coordinates: what they keep, and that they come out the same again."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from tqdm.auto import tqdm

from deita_core.errors import SelectionError
from deita_core.map.projection import STAGES, epochs_for, place, project
from deita_core.similarity.graph_build import build_graph
from deita_core.similarity.neighbours import nearest_neighbours


def clusters(n: int, seed: int = 0) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """(n, 32) float32 in six well parted clusters, and the cluster of each row."""
    rng = np.random.default_rng(seed)
    of = rng.integers(0, 6, n)
    rows = rng.normal(size=(6, 32))[of] + 0.25 * rng.normal(size=(n, 32))
    return rows.astype(np.float32), of


def test_clusters_stay_together_on_the_map() -> None:
    vectors, of = clusters(600)
    xy = project(vectors)
    assert xy.shape == (600, 2)
    assert xy.dtype == np.float32
    centres = np.array([xy[of == c].mean(axis=0) for c in range(6)])
    nearest = np.linalg.norm(xy[:, None] - centres, axis=2).argmin(axis=1)
    assert (nearest == of).mean() > 0.95


def test_neighbours_are_kept_better_than_on_the_main_axes_alone() -> None:
    rng = np.random.default_rng(3)
    angle = rng.uniform(0, 2 * np.pi, (400, 3))
    torus = np.concatenate([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    near = nearest_neighbours(torus, 10).indices
    flat = torus - torus.mean(axis=0)
    axes = flat @ np.linalg.svd(flat, full_matrices=False)[2][:2].T
    assert _kept(project(torus), near) > 1.5 * _kept(axes, near)


def _kept(xy: NDArray[np.float32], near: NDArray[np.int32]) -> float:
    distance = np.linalg.norm(xy[:, None] - xy, axis=2)
    found = distance.argsort(axis=1)[:, 1 : near.shape[1] + 1]
    return float(np.mean([np.isin(a, b).mean() for a, b in zip(found, near, strict=True)]))


def test_the_same_seed_gives_the_same_map_and_another_seed_another() -> None:
    vectors, _ = clusters(200)
    first = project(vectors, seed=1)
    np.testing.assert_array_equal(first, project(vectors, seed=1))
    assert not np.array_equal(first, project(vectors, seed=2))


def test_a_new_process_draws_the_same_map() -> None:
    code = (
        "import hashlib; from tests.test_projection import clusters, project\n"
        "print(hashlib.sha256(project(clusters(80)[0]).tobytes()).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        check=True,
        env=os.environ | {"PYTHONPATH": os.getcwd()},
    )
    here = hashlib.sha256(project(clusters(80)[0]).tobytes()).hexdigest()
    assert done.stdout.strip() == here


@pytest.mark.parametrize("n", [0, 1, 2, 3, 4, 5, 8, 14, 16])
def test_the_smallest_pools_have_a_map(n: int) -> None:
    xy = project(clusters(n)[0])
    assert xy.shape == (n, 2)
    assert np.isfinite(xy).all()


@pytest.mark.parametrize("n", [1, 3, 60])
def test_identical_rows_have_a_map(n: int) -> None:
    assert np.isfinite(project(np.ones((n, 8), dtype=np.float32))).all()


def test_a_graph_in_pieces_has_a_map() -> None:
    vectors = np.repeat(np.eye(12, dtype=np.float32), 30, axis=0)
    vectors += 1e-4 * np.random.default_rng(0).normal(size=vectors.shape).astype(np.float32)
    assert np.isfinite(project(vectors)).all()


def test_vectors_of_one_dimension_have_a_map() -> None:
    vectors = np.array([[1.0], [-1.0], [2.0], [3.0], [-2.0], [5.0]], dtype=np.float32)
    assert np.isfinite(project(vectors)).all()


def test_progress_tells_both_stages_to_their_ends() -> None:
    seen: list[tuple[str, int, int]] = []
    project(clusters(300)[0], progress=lambda *step: seen.append(step))
    ends = {stage: (done, of) for stage, done, of in seen}
    assert ends == {"neighbours": (300, 300), "layout": (500, 500)}
    assert list(ends) == list(STAGES)
    counts = [done for stage, done, _ in seen if stage == "layout"]
    assert counts == sorted(counts)
    assert len(counts) > 1


def test_progress_can_stop_the_layout() -> None:
    def stop(stage: str, done: int, of: int) -> None:
        if stage == "layout":
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        project(clusters(100)[0], progress=stop)
    # The lock of all progress bars is free for other threads: it was not, and they hung.
    with ThreadPoolExecutor(1) as other:
        lock = tqdm.get_lock().locks[0]
        free = other.submit(lock.acquire, timeout=5).result()
        if free:
            other.submit(lock.release).result()
    assert free


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"neighbours": 1}, "at least 2, got 1"),
        ({"min_dist": 1.5}, "between 0 and 1, got 1.5"),
        ({"seed": -1}, "got -1"),
    ],
)
def test_arguments_out_of_range_are_refused(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(SelectionError, match=message):
        project(clusters(20)[0], **arguments)


def test_a_row_without_an_embedding_is_refused() -> None:
    vectors = clusters(20)[0]
    vectors[3] = np.nan
    with pytest.raises(SelectionError, match=r"row 3 of the embeddings holds NaN.* leave it out"):
        project(vectors)


def test_the_map_is_the_same_with_a_similarity_graph() -> None:
    vectors, _ = clusters(300)
    np.testing.assert_array_equal(project(vectors), project(vectors, graph=build_graph(vectors)))


def test_points_pack_tighter_with_a_smaller_distance() -> None:
    vectors, _ = clusters(200)
    tight, loose = project(vectors, min_dist=0.0), project(vectors, min_dist=0.9)
    assert _gap(tight) < _gap(loose)


def _gap(xy: NDArray[np.float32]) -> float:
    """The usual distance of a point to the nearest other, by the width of the map."""
    distance = np.linalg.norm(xy[:, None] - xy, axis=2)
    return float(np.median(np.sort(distance, axis=1)[:, 1]) / np.ptp(xy))


def test_large_maps_take_fewer_epochs() -> None:
    assert [epochs_for(n) for n in (10_000, 30_000, 52_002)] == [500, 200, 100]


def test_the_order_of_the_rows_does_not_matter_to_the_neighbours() -> None:
    angle = np.sort(np.random.default_rng(0).uniform(0, 2 * np.pi, 300))
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
    shuffled = ring[np.random.default_rng(1).permutation(300)]
    kept = [_kept(project(r), nearest_neighbours(r, 10).indices) for r in (ring, shuffled)]
    assert abs(kept[0] - kept[1]) < 0.1


def test_the_vectors_are_left_as_they_were() -> None:
    vectors, _ = clusters(50)
    before = vectors.copy()
    project(vectors)
    np.testing.assert_array_equal(vectors, before)


def test_the_layout_is_compiled_once_per_machine() -> None:
    from umap import layouts, umap_

    project(clusters(20)[0])
    for function in (
        umap_.smooth_knn_dist,
        umap_.compute_membership_strengths,
        layouts._nb_optimize_layout_euclidean_single_epoch,
    ):
        assert function.stats.cache_path is not None


def test_new_rows_are_placed_among_those_like_them() -> None:
    vectors, of = clusters(400)
    old, new = slice(0, 300), slice(300, 400)
    xy = project(vectors[old])
    before = xy.copy()
    placed = place(vectors[new], vectors[old], xy)
    np.testing.assert_array_equal(xy, before)
    centres = np.array([xy[of[old] == c].mean(axis=0) for c in range(6)])
    nearest = np.linalg.norm(placed[:, None] - centres, axis=2).argmin(axis=1)
    assert (nearest == of[new]).mean() > 0.95


def test_a_copy_is_placed_near_its_row_every_time() -> None:
    vectors, _ = clusters(300)
    xy = project(vectors)
    placed = place(3 * vectors[40:60], vectors, xy)
    away = np.linalg.norm(placed - xy[40:60], axis=1)
    assert away.max() < 0.1 * np.ptp(xy)
    np.testing.assert_array_equal(placed, place(3 * vectors[40:60], vectors, xy))


@pytest.mark.parametrize(("n", "m"), [(1, 2), (3, 1), (20, 0)])
def test_new_rows_have_a_place_on_the_smallest_maps(n: int, m: int) -> None:
    vectors, _ = clusters(n + m)
    placed = place(vectors[n:], vectors[:n], project(vectors[:n]))
    assert placed.shape == (m, 2)
    assert np.isfinite(placed).all()


def test_a_map_of_other_rows_is_refused() -> None:
    vectors, _ = clusters(20)
    with pytest.raises(SelectionError, match=r"must be \(m, d\), \(n, d\) and \(n, 2\)"):
        place(vectors, vectors, np.zeros((19, 2), np.float32))
