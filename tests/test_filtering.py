"""filtering: the columns of a pool, and which rows a filter lets through."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from deita_core.errors import DeitaError, FilterError
from deita_core.filtering import Filter, PoolColumns, matching_rows, parse_filter
from deita_core.filtering.filter import Near, Search
from deita_core.filtering.nearness import closeness, in_turn, near_rows, similarities
from deita_core.jobs.kinds.select_rows import select_and_save
from deita_core.project import Project
from deita_core.project.clusters import Cluster, rename_cluster, set_clusters
from deita_core.project.graphs import graph_key
from deita_core.project.ledger import tag_rows
from deita_core.project.models import ModelIdentity, active_model, register_model
from deita_core.project.pins import set_pins
from deita_core.project.selections import find_selection, selection_rows
from deita_core.project.vectors import add_embeddings
from deita_core.selection.filters import mean_scores
from deita_core.selection.rule import SelectionRule
from tests.builders import (
    conversation,
    imported_project,
    prepared_project,
    vector_table,
    with_graph,
)
from tests.fakes import HashEmbedder

ROWS = 60


@pytest.fixture(scope="module")
def columns(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PoolColumns]:
    path = with_graph(prepared_project(tmp_path_factory.mktemp("columns") / "topics.duckdb", ROWS))
    with Project.open(path) as project:
        set_pins(project, [1, 2], "pinned")
        set_pins(project, [3], "excluded")
        tag_rows(project, [4, 6], "poem")
        tag_rows(project, [6], "rhyme")
        select_and_save(project, SelectionRule(threshold=0.95, budget=10), "first")
        yield PoolColumns(project)


def rows(text: str, columns: PoolColumns) -> list[int]:
    return np.flatnonzero(matching_rows(parse_filter(text).strict(), columns)).tolist()


def test_without_a_filter_every_row_passes(columns: PoolColumns):
    assert matching_rows(Filter(), columns).all()


@pytest.mark.parametrize("name", ["complexity", "quality"])
def test_bounds_are_inclusive_and_leave_out_rows_without_a_value(name: str, columns: PoolColumns):
    values = getattr(mean_scores(columns.table), name)
    some = sorted(values[~np.isnan(values)].tolist())
    low, high = some[10], some[40]
    expected = [row for row in range(ROWS) if low <= values[row] <= high]
    assert rows(f"{name}={low!r}..{high!r}", columns) == expected
    assert rows(f"{name}=-1e9..1e9", columns) == np.flatnonzero(~np.isnan(values)).tolist()


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("turns=2..;cluster=0", list(range(0, ROWS, 5))),
        ("turns=..1;cluster=0", []),
        ("cluster=1,3", [row for row in range(ROWS) if row % 5 in (1, 3)]),
        ("cluster=1..3;record.id=..9", [1, 2, 3, 6, 7, 8]),
        ("cluster!=0,1,2,3;record.id=..9", [4, 9]),
        ("file=topics.jsonl;record.id=7", None),
        ("decision=pinned", [1, 2]),
        ("tag=poem", [4, 6]),
        ("tag=poem,rhyme;tag!=rhyme", [4]),
        ("where=list_contains(tags, 'rhyme')", [6]),
        ("decision=pinned,excluded", [1, 2, 3]),
        ("decision!=none", [1, 2, 3]),
        ("record.id=5..6", [5, 6]),
        ("record.kept=as it was;decision=excluded", [3]),
        ("record.kept~IT", list(range(ROWS))),
        ("record.kept!~it", []),
        ('search="item 7."', [7]),
        ("search=bread;record.id=..11", [0, 5, 10]),
        ("where=row % 20 = 1", [1, 21, 41]),
        ("where=row < 9;search=rivers", [1, 6]),
    ],
)
def test_parts_find_these_rows(text: str, found: list[int] | None, columns: PoolColumns):
    if found is None:
        with pytest.raises(FilterError, match=r"write record\.id=LOW\.\.HIGH"):
            rows(text, columns)
    else:
        assert rows(text, columns) == found


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("qualty=4..", "a pool has no column 'qualty'; it has complexity, quality"),
        ("language=xx", "no row of the pool has the language 'xx'; there are en"),
        ("language=1..2", "language is a column of names: write language=NAME"),
        ("record.nothing=1", "no record of topics has the column 'nothing'"),
        ("like=abc", "no conversation of the pool has the id 'abc'"),
        ("status.second=kept", "there is no selection 'second'"),
    ],
)
def test_what_the_pool_does_not_have_is_said(text: str, said: str, columns: PoolColumns):
    with pytest.raises(DeitaError, match=said):
        rows(text, columns)


def test_the_statuses_of_a_selection_are_a_column(columns: PoolColumns):
    kept = rows("status.first=kept,pinned", columns)
    assert len(kept) == 10
    assert sorted(kept + rows("status.first!=kept,pinned", columns)) == list(range(ROWS))


def test_a_selection_that_its_rule_no_longer_gives_says_only_what_was_kept(tmp_path: Path):
    with Project.open(prepared_project(tmp_path / "topics.duckdb")) as project:
        select_and_save(project, SelectionRule(threshold=0.95, budget=10), "first")
        with project.transaction("admin", None) as cursor:
            cursor.execute("DELETE FROM selection_rows WHERE rank = 10")
        assert PoolColumns(project)["status.first"].names == ("kept", "not kept")
        assert len(rows("status.first=kept", PoolColumns(project))) == 9


def test_the_rows_that_a_selection_holds_are_a_column(columns: PoolColumns):
    kept, _ = selection_rows(columns.project, find_selection(columns.project, "first").selection)
    assert rows("selected.first=yes", columns) == sorted(kept)
    assert len(rows("selected.first=no", columns)) == ROWS - len(kept)


def test_every_column_listed_is_there(columns: PoolColumns):
    names = columns.names()
    assert {"evol_score", "record.id", "record.kept", "status.first"} <= set(names)
    for name in names:
        assert len(columns[name].texts()) == ROWS


def test_the_nearest_similarity_is_that_of_all_pairs(columns: PoolColumns):
    vectors = columns.with_vectors.vectors.astype(np.float64)
    units = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosine = units @ units.T
    np.fill_diagonal(cosine, -1)
    found = columns["nearest_similarity"].values
    np.testing.assert_allclose(found, cosine.max(axis=1), atol=1e-9)


def test_fields_of_records_are_numbers_only_where_all_values_are(tmp_path: Path):
    records = [
        {"instruction": "a", "output": "b", "n": 1, "t": "5", "x": 1, "deep": {"y": 2.5}, "l": [1]},
        {"instruction": "c", "output": "d", "n": 2.5, "t": "1_0", "x": "one", "b": True},
        {"instruction": "e", "output": "f", "n": None, "a;b": "half a day"},
    ]
    pool = "\n".join(map(json.dumps, records))
    with Project.open(imported_project(tmp_path / "fields.duckdb", pool)) as project:
        found = PoolColumns(project)
        assert found["record.n"].texts() == [1.0, 2.5, None]
        assert found["record.deep.y"].texts() == [2.5, None, None]
        assert found["record.t"].texts() == ["5", "1_0", None]
        assert found["record.x"].texts() == ["1", "one", None]
        assert found["record.b"].texts() == [None, "true", None]
        assert found["record.l"].texts() == ["[1]", None, None]
        assert "record.a;b" in found.names()
        assert rows("record.a\\;b~half", found) == [2]


# closeness


def naive_similarity(left: np.ndarray, right: np.ndarray) -> float:
    left, right = left.astype(np.float64), right.astype(np.float64)
    return float(left @ right / np.sqrt(left @ left) / np.sqrt(right @ right))


def test_rows_like_a_row_are_the_closest_by_a_plain_loop(columns: PoolColumns):
    table = columns.with_vectors
    wanted = Near(ids=(conversation(8).id,), most=7)
    expected = [naive_similarity(vector, table.vectors[8]) for vector in table.vectors]
    np.testing.assert_allclose(closeness(wanted, columns), expected, atol=1e-12)
    order = sorted(range(ROWS), key=lambda row: (-round(expected[row], 12), row))
    assert near_rows(wanted, columns).tolist() == order[:7]
    assert near_rows(wanted, columns)[0] == 8


def test_a_least_similarity_lets_through_all_that_are_as_close(columns: PoolColumns):
    near = closeness(Near(ids=(conversation(8).id,)), columns)
    identity = conversation(8).id
    assert rows(f"like={identity}@0.9", columns) == np.flatnonzero(near >= 0.9).tolist()
    assert len(rows(f"like={identity}@0.9#2", columns)) == 2


def test_texts_are_embedded_once_for_filter_order_and_closeness(embedded: PoolColumns, monkeypatch):
    asked: list[int] = []
    embed = embedded.embedder.embed
    monkeypatch.setattr(embedded.embedder, "embed", lambda t: asked.append(len(t)) or embed(t))
    near = Near(texts=("bread", "taxes"))
    mask = matching_rows(Filter(parts=(near,)), embedded)
    order = near_rows(near, embedded)
    assert sorted(order.tolist()) == np.flatnonzero(mask).tolist()
    some = closeness(near, embedded, order[:3])
    assert some.tolist() == closeness(near, embedded)[order[:3]].tolist()
    assert asked == [2]


def naive_turns(found: np.ndarray) -> list[int]:
    """Examples choose in turn, each its next most similar row; none is named twice."""
    named: list[int] = []
    lists = [sorted(range(len(found)), key=lambda row: (-column[row], row)) for column in found.T]
    for place in range(len(found)):
        for one in lists:
            if one[place] not in named:
                named.append(one[place])
    return named


@pytest.mark.parametrize("examples", [1, 2, 7])
def test_examples_choose_in_turn(examples: int):
    random = np.random.default_rng(examples)
    found = np.round(random.uniform(-1, 1, (40, examples)), 1)  # with ties
    assert in_turn(found).tolist() == naive_turns(found)


def test_rows_without_a_vector_are_close_to_nothing():
    found = np.array([[0.5], [np.nan], [0.9]])
    assert in_turn(found).tolist() == [2, 0]


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[PoolColumns]:
    """A pool embedded by the embedder of the tests, but for its last row."""
    with Project.open(prepared_project(tmp_path / "hashed.duckdb", 12)) as project:
        embedder = HashEmbedder()
        identity = ModelIdentity(id=embedder.id, revision=embedder.revision, width=8)
        number = register_model(project, "embedding", identity)
        texts = [conversation(row).text for row in range(11)]
        add_embeddings(project, number, vector_table(embedder.embed(texts).vectors))
        yield PoolColumns(project, load=lambda record: embedder)


def test_a_text_is_as_close_as_its_own_embedding_says(embedded: PoolColumns):
    wanted = Near(texts=("about bread", "about taxes"))
    vectors = embedded.embedder.embed(wanted.texts).vectors
    found = similarities(wanted, embedded)
    own = embedded.with_vectors.vectors
    expected = [[naive_similarity(own[row], one) for one in vectors] for row in range(11)]
    np.testing.assert_allclose(found[:11], expected, atol=1e-12)
    assert np.isnan(found[11]).all()
    assert closeness(wanted, embedded)[4] == max(found[4])


def test_another_embedder_than_the_pools_is_refused(columns: PoolColumns):
    other = PoolColumns(columns.project, load=lambda record: HashEmbedder())
    with pytest.raises(FilterError, match=r"embedded by tests/embedder \(1\), but here is tests/h"):
        rows("meaning=bread", other)


def test_a_text_that_cannot_be_embedded_is_said(embedded: PoolColumns, monkeypatch):
    monkeypatch.setattr("deita_core.filtering.nearness.text_for", lambda embedder, given: "")
    with pytest.raises(FilterError, match="'bread' cannot be embedded: empty text"):
        rows("meaning=bread", embedded)


def test_closeness_without_embeddings_says_to_embed(tmp_path: Path):
    pool = '{"instruction": "a", "output": "b"}'
    path = imported_project(tmp_path / "bare.duckdb", pool)
    with Project.open(path) as project, pytest.raises(FilterError, match="embed it first"):
        rows("meaning=bread", PoolColumns(project))


def test_rows_that_came_after_the_columns_were_read_are_left_out(tmp_path: Path):
    with Project.open(prepared_project(tmp_path / "topics.duckdb", 12)) as project:
        before = PoolColumns(project)
        assert len(before) == 12
        with project.transaction("admin", None) as cursor:
            cursor.execute(
                "INSERT INTO conversations SELECT * REPLACE (12 AS row, 'x' AS id) "
                "FROM conversations WHERE row = 0"
            )
        mask = matching_rows(Filter(parts=(Search(query="bread"),)), before)
        assert np.flatnonzero(mask).tolist() == [0, 5, 10]
        assert rows("where=turns = 2", before) == [0, 5, 10]


def in_full(near: Near, columns: PoolColumns) -> list[int]:
    """All rows by the definition, and the examples in turn among those that reach the least."""
    found = similarities(near, columns)
    passes = np.flatnonzero(found.max(axis=1) >= (-1 if near.least is None else near.least))
    return passes[in_turn(found[passes])][: near.limit].tolist()


@pytest.mark.parametrize("kind", [np.float32, np.float16, np.float64])
@pytest.mark.parametrize(("least", "most"), [(None, 1), (None, 30), (0.1, None), (0.0, 25)])
def test_the_screen_lets_through_what_all_comparisons_would(
    kind: type, least: float | None, most: int | None, columns: PoolColumns
):
    random = np.random.default_rng(5)
    vectors = random.normal(size=(ROWS, 16)).astype(kind)
    vectors[40:] = vectors[:20]  # ties
    vectors[7] = 0
    vectors *= random.uniform(0.1, 9, (ROWS, 1)).astype(kind)
    table = columns.table.with_vectors(vectors, np.arange(ROWS))
    pool = PoolColumns(columns.project, table)
    for rows_like in ((5,), (5, 12, 30), range(8, 24)):
        near = Near(ids=tuple(conversation(row).id for row in rows_like), least=least, most=most)
        found = near_rows(near, pool).tolist()
        assert found == in_full(near, pool)
        assert 7 not in found


def test_clusters_are_found_by_their_names_and_by_new_ones(tmp_path: Path) -> None:
    with Project.open(with_graph(prepared_project(tmp_path / "names.duckdb"))) as project:
        unnamed = PoolColumns(project)
        assert unnamed["cluster_name"].names == unnamed["cluster"].names
        rows = np.arange(30)  # the other rows are in no cluster
        named = [Cluster(n, name, (), n, False) for n, name in enumerate(("bread", "tax", "bread"))]
        embedder = active_model(project, "embedding")
        assert embedder is not None
        made = {"method": "k-means", "key": graph_key(project, embedder)}
        set_clusters(project, rows, rows % 3, named, made)

        def found(text: str) -> list[int]:
            return np.flatnonzero(
                matching_rows(parse_filter(text).strict(), PoolColumns(project))
            ).tolist()

        assert found("cluster_name=tax") == [row for row in range(30) if row % 3 == 1]
        assert found("cluster_name~BRE") == [row for row in range(30) if row % 3 != 1]
        rename_cluster(project, 2, "sour dough")
        assert found("cluster_name=sour dough") == [row for row in range(30) if row % 3 == 2]
