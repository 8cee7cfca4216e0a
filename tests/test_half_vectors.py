"""project.half_vectors: wide vectors as float16, there and back, and everything that reads them."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest

from deita_core.conversation import Conversation, Message
from deita_core.formats.read.layout import PoolRow
from deita_core.jobs.kinds.import_pool import rows_and_rejects
from deita_core.map.projection import project as lay_out
from deita_core.project import Project
from deita_core.project.models import ModelIdentity, register_model
from deita_core.project.pool import add_rows, add_source
from deita_core.project.vectors import TOO_LARGE, WIDE, add_embeddings, embedders, load_vectors
from deita_core.selection import repr_filter
from deita_core.similarity.neighbours import nearest_neighbours

DIMENSION = WIDE + 6
ROWS = 40


@pytest.fixture
def pool(project: Project) -> Project:
    chats = [Conversation((Message("user", f"q{i}"), Message("assistant", "a"))) for i in range(40)]
    rows = [PoolRow(i, None, chat, "{}") for i, chat in enumerate(chats)]
    add_rows(project, add_source(project, "a", "/a", None), *rows_and_rejects(list(rows)))
    return project


def unit_vectors(rows: int = ROWS) -> np.ndarray:
    made = np.random.default_rng(1).normal(size=(rows, DIMENSION)).astype(np.float32)
    made[rows // 2 :] = made[: rows - rows // 2] + 0.3 * made[rows // 2 :]  # some close pairs
    return made / np.linalg.norm(made, axis=1, keepdims=True)


def batch(rows: list[int], vectors: list[np.ndarray | None]) -> pa.Table:
    return pa.table(
        {
            "row": pa.array(rows, pa.int32()),
            "vector": pa.array(vectors, pa.list_(pa.float32())),
            "tokens": pa.array([1] * len(rows), pa.int32()),
            "truncated": pa.array([False] * len(rows)),
            "reason": pa.array([None if v is not None else "empty" for v in vectors], pa.string()),
        }
    )


def stored(project: Project, vectors: list[np.ndarray | None]) -> int:
    number = register_model(
        project, "embedding", ModelIdentity(id="wide", revision="1", width=DIMENSION)
    )
    half = len(vectors) // 2
    add_embeddings(project, number, batch(list(range(half)), vectors[:half]))
    add_embeddings(project, number, batch(list(range(half, len(vectors))), vectors[half:]))
    return number


def test_wide_vectors_come_back_as_float16_rounded_once(pool: Project):
    vectors = list(unit_vectors())
    rows, found = load_vectors(pool, stored(pool, [*vectors[:7], None, *vectors[8:]]))
    assert found.dtype == np.float16
    assert rows.tolist() == [row for row in range(ROWS) if row != 7]
    assert np.array_equal(found, np.delete(unit_vectors(), 7, axis=0).astype(np.float16))


def test_a_vector_that_does_not_fit_gets_a_reason(pool: Project):
    vectors = list(unit_vectors(6))
    vectors[1] = vectors[1] * 1e6
    vectors[4] = vectors[4] * 1e-9
    number = stored(pool, vectors)
    assert load_vectors(pool, number)[0].tolist() == [0, 2, 3, 5]
    reasons = "SELECT DISTINCT reason FROM embeddings WHERE reason IS NOT NULL"
    assert pool.cursor().execute(reasons).fetchall() == [(TOO_LARGE,)]
    assert (embedders(pool)[0].embedded, embedders(pool)[0].failed) == (4, 2)


def test_vectors_of_usual_width_stay_float32(pool: Project):
    number = register_model(pool, "embedding", ModelIdentity(id="narrow", revision="1", width=3))
    add_embeddings(pool, number, batch([0], [np.array([0.1, 0.2, 0.3], np.float32)]))
    found = load_vectors(pool, number)[1]
    assert found.dtype == np.float32
    assert found.tolist() == np.array([[0.1, 0.2, 0.3]], np.float32).tolist()


def test_the_repr_filter_and_the_neighbours_read_float16_as_the_same_numbers():
    half = unit_vectors().astype(np.float16)
    full = half.astype(np.float32)
    scores = np.arange(ROWS, dtype=float)
    kept = repr_filter(half, scores, threshold=0.5)
    assert len(kept) < ROWS
    assert kept.tolist() == repr_filter(full, scores, threshold=0.5).tolist()
    near, same = nearest_neighbours(half, 5), nearest_neighbours(full, 5)
    assert np.array_equal(near.indices, same.indices)
    assert np.array_equal(lay_out(half, neighbours=5), lay_out(full, neighbours=5))
