"""project.scores, project.vectors, project.pool: what is still to do, NULL with a reason."""

from pathlib import Path

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from deita_core.conversation import Conversation, Message
from deita_core.formats.read.layout import PoolRow
from deita_core.jobs.kinds.import_pool import rows_and_rejects
from deita_core.project import Project
from deita_core.project.models import (
    ModelIdentity,
    active_model,
    count_undone,
    register_model,
    write_undone,
)
from deita_core.project.pool import add_rows, add_source, load_pool_table
from deita_core.project.scores import (
    add_scores,
    failed_rows,
    failures,
    scorers,
)
from deita_core.project.vectors import (
    add_embeddings,
    load_vectors,
    set_map,
    truncated_rows,
)


@pytest.fixture
def filled(project: Project) -> Project:
    """Four conversations; the last has two turns."""
    chats = [(Message("user", f"q{i}"), Message("assistant", "a")) for i in range(4)]
    chats[3] += (Message("user", "again"), Message("assistant", "b"))
    rows = [PoolRow(i, None, Conversation(chat), "{}") for i, chat in enumerate(chats)]
    add_rows(project, add_source(project, "a", "/a", None), *rows_and_rejects(list(rows)))
    return project


def scored(rows: list[int], turns: list[int], scores: list[float | None]) -> pa.Table:
    reasons = [None if score is not None else "no response" for score in scores]
    return pa.table(
        {
            "row": pa.array(rows, pa.int32()),
            "turn": pa.array(turns, pa.int32()),
            "score": pa.array(scores, pa.float32()),
            "reason": pa.array(reasons, pa.string()),
        }
    )


def vectors(rows: list[int], values: list[list[float] | None]) -> pa.Table:
    return pa.table(
        {
            "row": pa.array(rows, pa.int32()),
            "vector": pa.array(values, pa.list_(pa.float32())),
            "tokens": pa.array([300] * len(rows), pa.int32()),
            "truncated": pa.array([row == 0 for row in rows]),
            "reason": pa.array([None if v else "empty text" for v in values], pa.string()),
        }
    )


def test_a_scorer_gets_one_number_however_often_it_is_registered(project: Project) -> None:
    first = register_model(
        project, "quality", ModelIdentity(id="m", revision="1", parameters={"a": 1, "b": 2})
    )
    assert (
        register_model(
            project, "quality", ModelIdentity(id="m", revision="1", parameters={"b": 2, "a": 1})
        )
        == first
    )
    assert (
        register_model(
            project, "quality", ModelIdentity(id="m", revision="2", parameters={"a": 1, "b": 2})
        )
        != first
    )


def test_the_scorer_registered_last_is_the_active_one(project: Project) -> None:
    register_model(project, "quality", ModelIdentity(id="m", revision="1"))
    second = register_model(project, "quality", ModelIdentity(id="m", revision="2"))
    assert active_model(project, "quality") == second
    assert [s.active for s in scorers(project)] == [False, True]


def test_only_what_lacks_a_score_is_written_for_the_worker(filled: Project, tmp_path: Path) -> None:
    numbers = {
        d: register_model(filled, d, ModelIdentity(id=d, revision="1"))
        for d in ("complexity", "quality")
    }
    for number in numbers.values():
        add_scores(filled, number, scored([1], [0], [2.0]))
    assert write_undone(filled, numbers, tmp_path / "rows.parquet") == 3
    assert pq.read_table(tmp_path / "rows.parquet")["row"].to_pylist() == [0, 2, 3]
    assert count_undone(filled, numbers) == 3


def test_a_row_scored_in_one_dimension_only_is_still_to_do(filled: Project) -> None:
    numbers = {
        d: register_model(filled, d, ModelIdentity(id=d, revision="1"))
        for d in ("complexity", "quality")
    }
    add_scores(filled, numbers["quality"], scored([1], [0], [2.0]))
    assert count_undone(filled, numbers) == 4


def test_the_same_batch_twice_is_one_batch(filled: Project) -> None:
    number = register_model(filled, "quality", ModelIdentity(id="m", revision="1"))
    for _ in range(2):
        add_scores(filled, number, scored([0, 1], [0, 0], [2.0, None]))
    assert (scorers(filled)[0].scored, scorers(filled)[0].failed) == (1, 1)


def test_the_health_of_a_score_is_kept_where_the_scorer_tells_it(filled: Project) -> None:
    number = register_model(filled, "quality", ModelIdentity(id="m", revision="1"))
    batch = scored([0, 1], [0, 0], [2.0, None])
    health = batch.append_column("mass", pa.array([0.5, None], pa.float32()))
    add_scores(filled, number, health.append_column("truncated", pa.array([True, False])))
    add_scores(filled, number, scored([3], [0], [2.0]))
    found = filled.cursor().execute("SELECT mass, truncated FROM scores ORDER BY row").fetchall()
    assert found == [(0.5, True), (None, False), (None, None)]


def test_a_score_without_number_and_reason_cannot_be_stored(filled: Project) -> None:
    number = register_model(filled, "quality", ModelIdentity(id="m", revision="1"))
    batch = scored([0], [0], [None]).set_column(3, "reason", pa.array([None], pa.string()))
    with pytest.raises(duckdb.ConstraintException):
        add_scores(filled, number, batch)


def test_failures_lead_to_their_rows(filled: Project) -> None:
    number = register_model(filled, "quality", ModelIdentity(id="m", revision="1"))
    add_scores(filled, number, scored([0, 1, 2], [0, 0, 0], [None, 3.0, None]))
    assert failures(filled, number) == [("no response", 2)]
    assert failed_rows(filled, number, "no response") == [0, 2]


def test_vectors_come_back_exactly_and_failed_rows_are_left_out(filled: Project) -> None:
    number = register_model(filled, "embedding", ModelIdentity(id="m", revision="1", width=2))
    add_embeddings(filled, number, vectors([0, 1, 2], [[0.1, 0.2], None, [0.3, 0.4]]))
    rows, found = load_vectors(filled, number)
    assert rows.tolist() == [0, 2]
    assert np.array_equal(found, np.array([[0.1, 0.2], [0.3, 0.4]], np.float32))
    assert count_undone(filled, {"embedding": number}) == 1
    assert truncated_rows(filled, number) == [0]


def test_arrays_hold_a_nan_where_a_score_or_place_is_missing(filled: Project) -> None:
    number = register_model(filled, "quality", ModelIdentity(id="m", revision="1"))
    add_scores(filled, number, scored([0, 3, 3], [0, 0, 1], [None, 2.0, 4.0]))
    embedder = register_model(filled, "embedding", ModelIdentity(id="m", revision="1", width=2))
    add_embeddings(filled, embedder, vectors([3], [[1.0, 0.0]]))
    points = pa.table({"row": pa.array([3], pa.int32()), "x": [1.0], "y": [2.0]})
    set_map(filled, embedder, points, {})
    arrays = load_pool_table(filled)
    assert arrays.turn_row.tolist() == [0, 1, 2, 3, 3]
    assert np.array_equal(arrays.turn_quality, [np.nan, np.nan, np.nan, 2, 4], equal_nan=True)
    assert np.isnan(arrays.turn_complexity).all()
    assert np.isnan(arrays.xy[:3]).all()
    assert arrays.xy[3].tolist() == [1.0, 2.0]
    assert arrays.has_vector.tolist() == [False, False, False, True]


def test_arrays_of_an_empty_project_are_empty(project: Project) -> None:
    assert len(load_pool_table(project)) == 0
