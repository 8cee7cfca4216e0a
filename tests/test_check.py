"""project.check: a whole project has no finding, and each kind of damage has its own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from deita_core.cli import main
from deita_core.jobs.kinds.select_rows import select_and_save
from deita_core.project import Project
from deita_core.project.check import Finding, check_project
from deita_core.project.graphs import graph_folder, has_graph
from deita_core.project.pins import set_pins
from deita_core.project.vectors import add_embeddings
from deita_core.selection.rule import SelectionRule
from tests.builders import prepared_project, vector_table, with_graph


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = with_graph(prepared_project(tmp_path_factory.mktemp("whole") / "pool.duckdb"))
    with Project.open(path) as project:
        select_and_save(project, SelectionRule(budget=9), "best")
        set_pins(project, [2], "pinned")
    return path


@pytest.fixture
def project(whole: Path, tmp_path: Path) -> Iterator[Project]:
    shutil.copytree(whole.parent, tmp_path / "copy")
    with Project.open(tmp_path / "copy" / whole.name) as opened:
        yield opened


def spoil(project: Project, query: str) -> None:
    with project.transaction("admin", None) as cursor:
        cursor.execute(query)


@pytest.mark.parametrize("deep", [False, True])
def test_a_whole_project_has_no_finding(project: Project, deep: bool) -> None:
    assert has_graph(project)
    assert check_project(project, deep=deep) == []


def test_an_empty_project_has_no_finding(tmp_path: Path) -> None:
    with Project.open(tmp_path / "empty.duckdb", create=True) as empty:
        assert check_project(empty) == []


SPOILED = {
    "UPDATE sources SET read = 70": "topics.jsonl: 70 rows were read, but 60 imported + 1 dup",
    "DELETE FROM rejects": "62 rows were read, but 60 imported + 1 duplicates + 0 rejected",
    "UPDATE rejects SET position = 3": "1 records of the files were read twice",
    "UPDATE conversations SET row = 99 WHERE row = 59": "60 rows, but their numbers go up to 99",
    "UPDATE conversations SET row = 5 WHERE row = 6": "conversations: 1 rows have the number of",
    "UPDATE conversations SET source = 4 WHERE row = 6": "1 rows are from a file that is not there",
    "UPDATE duplicates SET id = 'x'": "duplicates: 1 duplicates are of a row not there",
    "DELETE FROM turns WHERE row = 7": "1 rows have more or fewer turns than they say",
    "INSERT INTO turns VALUES (99, 0, 1, 1)": "turns: 1 turns are of a row that is not there",
    "UPDATE conversations SET messages = replace(messages, 'item 4.', 'item 5.')": (
        "conversations: 1 rows have another text than their id says, the first of them row 4"
    ),
    "UPDATE conversations SET messages = 'no JSON' WHERE row = 8": "the first of them row 8",
    "UPDATE scores SET row = 99 WHERE row = 7": "scores: 2 scores are of a turn that is not there",
    "INSERT INTO scores SELECT * FROM scores WHERE row = 7": "scores: 2 scores stand twice",
    "UPDATE scores SET score = 'nan' WHERE row = 7": "scores: 2 scores are not finite",
    "DELETE FROM models WHERE model = 1": "scores are of a model that is not there",
    "UPDATE embeddings SET row = 99 WHERE row = 7": "1 vectors are of a row that is not there",
    "UPDATE embeddings SET row = 8 WHERE row = 7": "embeddings: 1 vectors stand twice",
    "UPDATE embeddings SET vector = [1.0, 2.0] WHERE row = 7": "1 vectors are of another width",
    "UPDATE embeddings SET vector = list_transform(vector, lambda x: 0) WHERE row = 7": (
        "1 vectors of tests/embedder are not finite or have no length"
    ),
    "UPDATE embeddings SET vector = list_transform(vector, lambda x: 'nan'::FLOAT) WHERE row = 7": (
        "1 vectors of tests/embedder are not finite"
    ),
    "UPDATE map_points SET row = 99 WHERE row = 7": "1 points of the map are of a row that is not",
    "UPDATE map_points SET x = 'inf' WHERE row = 7": "map_points: 1 points of the map are nowhere",
    "UPDATE selection_rows SET row = 99 WHERE rank = 1": "selection_rows: 1 selected rows are not",
    "UPDATE selection_rows SET rank = 2": "selection_rows: 8 ranks stand twice",
    "DELETE FROM selections": "selection_rows: 9 rows are of no selection",
    "DELETE FROM log WHERE number = 1": "1 entries of the log are missing",
    "UPDATE decisions SET row = 99": "decisions: 1 decisions are about rows that are not there",
    "UPDATE decisions SET number = 2": "1 decisions are missing",
    "INSERT INTO decisions SELECT * FROM decisions": "1 decisions have the number of another",
    "INSERT INTO queue_rows VALUES (1, 0, 3, 1)": "queue_rows: 1 rows are of no queue",
    "INSERT INTO queue_rows VALUES (1, 0, 99, 1)": "queue_rows: 1 rows of queues are not there",
    "INSERT INTO queue_rows VALUES (1, 0, 3, 1), (1, 1, 3, 1)": "1 rows stand twice in a queue",
}


@pytest.mark.parametrize("query", SPOILED)
def test_what_is_wrong_in_a_table_is_found(query: str, project: Project) -> None:
    spoil(project, query)
    found = check_project(project)
    assert any(SPOILED[query] in one.sentence for one in found), found
    assert all(one.remedy for one in found)


def change(name: str, array: Callable[[np.ndarray], None], project: Project) -> None:
    folder = graph_folder(project)
    assert folder is not None
    values = np.load(folder / f"{name}.npy")
    array(values)
    np.save(folder / f"{name}.npy", values)


def test_a_graph_whose_files_were_altered_is_found(project: Project) -> None:
    change("similarity", lambda values: values.__setitem__(3, 0.5), project)
    (found,) = check_project(project)
    assert "is damaged (similarity.npy was altered)" in found.sentence
    assert "`deita graph` makes it anew" in found.remedy


def test_other_bytes_that_nothing_but_their_hash_tells_are_found(project: Project) -> None:
    """A disk that forgets changes no time."""
    folder = graph_folder(project)
    assert folder is not None
    facts = (folder / "similarity.npy").stat()
    change("similarity", lambda values: values.__setitem__(3, 0.5), project)
    os.utime(folder / "similarity.npy", ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert has_graph(project)
    (found,) = check_project(project)
    assert "is damaged (similarity.npy differs)" in found.sentence


@pytest.mark.parametrize("deep", [False, True])
@pytest.mark.parametrize("rows", [8, 60])
def test_a_graph_that_does_not_fit_the_vectors_is_found(
    rows: int, deep: bool, project: Project
) -> None:
    """The vectors have changed, and nothing else says so."""
    with project.transaction("admin", None) as cursor:
        times = cursor.execute("SELECT row, embedded FROM embeddings").fetchall()
    vectors = np.random.default_rng(5).normal(size=(rows, 8)).astype(np.float32)
    add_embeddings(project, 3, vector_table(vectors))
    with project.transaction("admin", None) as cursor:
        cursor.executemany(
            "UPDATE embeddings SET embedded = ? WHERE row = ?", [(at, row) for row, at in times]
        )
    assert has_graph(project)
    (found,) = check_project(project, deep=deep)
    assert "graph" in found.sentence


def test_mending_takes_out_what_can_be_made_anew_and_keeps_the_rest(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(project, "UPDATE scores SET row = 99 WHERE row = 7")
    spoil(
        project, "UPDATE embeddings SET vector = list_transform(vector, lambda x: 0) WHERE row = 7"
    )
    spoil(project, "UPDATE decisions SET row = 99")
    change("similarity", lambda values: values.__setitem__(3, 0.5), project)
    project.close()
    given = ["check", "--project", str(project.path)]
    assert main([*given, "--mend"]) == 1
    said = capsys.readouterr().out
    assert "mended; the project as it was is the snapshot" in said
    assert said.endswith("1 findings in 60 rows\n")
    assert main(given) == 1
    assert capsys.readouterr().out.startswith(
        "decisions: 1 decisions are about rows that are not there: bring"
    )
    with Project.open(project.path) as mended:
        assert mended.number("SELECT count(*) FROM embeddings") == 59
        assert mended.number("SELECT count(*) FROM scores WHERE row IN (7, 99)") == 0
        assert mended.number("SELECT count(*) FROM scores") == 142


def test_a_project_that_is_well_ends_with_status_0(
    project: Project, capsys: pytest.CaptureFixture[str]
) -> None:
    project.close()
    assert main(["check", "--project", str(project.path)]) == 0
    assert capsys.readouterr().out == "all is well with 60 rows\n"


def test_a_block_that_cannot_be_read_is_named_with_its_table(project: Project) -> None:
    from tests.test_on_disk import spoil_column

    project.close()
    path = prepared_project(project.path.with_name("more.duckdb"), rows=600)
    spoil_column(path, "conversations", "original")
    with Project.open(path) as spoiled:
        found: list[Finding] = check_project(spoiled)
    assert any("the table conversations cannot be read whole" in one.sentence for one in found)
