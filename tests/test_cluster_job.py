"""Clusters in a project: made and named by a job, renamed by hand, listed with what is in them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from deita_core.cli import main
from deita_core.errors import JobError, PermissionDeniedError, ProjectError
from deita_core.jobs.kinds import ClusterSpec, GraphSpec
from deita_core.people import Person, acting_as
from deita_core.project import Project
from deita_core.project.clusters import cluster_facts, clusters, rename_cluster
from deita_core.project.graphs import load_clusters, load_graph_clusters
from deita_core.project.log import log_entries
from deita_core.project.selections import save_selection
from deita_core.project.vectors import add_embeddings
from tests.builders import Channel, prepared_project, vector_table, with_graph

pytestmark = pytest.mark.usefixtures("jobs_here")

TOPICS = ["bread", "rivers", "matrices", "poems", "taxes"]


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    return with_graph(prepared_project(tmp_path / "topics.duckdb"))


def make(project: Project, folder: Path, **how: object) -> str:
    return Channel(project, ClusterSpec.read(how), folder).message


def test_the_clusters_of_the_graph_get_names(pool: Path, tmp_path: Path) -> None:
    with Project.open(pool) as project:
        before = load_clusters(project)
        assert clusters(project) == []
        said = make(project, tmp_path / "job")
        assert said == "5 clusters of 60 rows; 0 rows in none"
        found = clusters(project)
        assert [one.words[0] for one in found] == TOPICS
        np.testing.assert_array_equal(load_clusters(project), before)


def test_another_number_of_clusters_replaces_those_of_the_graph(pool: Path, tmp_path: Path) -> None:
    with Project.open(pool) as project:
        make(project, tmp_path / "job", number=2)
        assert np.unique(load_clusters(project)).tolist() == [0, 1]
        assert len(clusters(project)) == 2
        assert np.unique(load_graph_clusters(project)).tolist() == [0, 1, 2, 3, 4]


def test_clusters_of_the_map_are_made_and_named(pool: Path, tmp_path: Path) -> None:
    with Project.open(pool) as project:
        make(project, tmp_path / "job", method="hdbscan", smallest=4)
        found = load_clusters(project)
        assert found is not None
        assert len(clusters(project)) > 1
        assert set(np.unique(found)) - {-1} == set(range(len(clusters(project))))


def test_a_graph_that_is_asked_for_other_clusters_comes_before_those_stored(
    pool: Path, tmp_path: Path
) -> None:
    with Project.open(pool) as project:
        make(project, tmp_path / "job", number=2)
        Channel(project, GraphSpec(clusters=3), tmp_path / "graph")
        assert np.unique(load_clusters(project)).tolist() == [0, 1, 2]
        assert clusters(project) == []


def test_clusters_of_older_vectors_are_none(pool: Path, tmp_path: Path) -> None:
    with Project.open(pool) as project:
        make(project, tmp_path / "job")
        add_embeddings(project, 3, vector_table(np.ones((2, 8), np.float32)))
        assert clusters(project) == []
        assert load_clusters(project) is None


def test_a_name_given_by_hand_stays_while_the_clusters_do(pool: Path, tmp_path: Path) -> None:
    with Project.open(pool) as project:
        make(project, tmp_path / "job")
        rename_cluster(project, 1, " Streams ")
        assert (clusters(project)[1].name, clusters(project)[1].by_hand) == ("Streams", True)
        make(project, tmp_path / "again")
        assert clusters(project)[1].name == "Streams"
        make(project, tmp_path / "other", number=2)
        assert not any(one.by_hand for one in clusters(project))


def test_renaming_is_logged_and_takes_a_curator(pool: Path, tmp_path: Path) -> None:
    with Project.open(pool) as project:
        make(project, tmp_path / "job")
        rename_cluster(project, 0, "Baking")
        (entry,) = log_entries(project, action="rename a cluster")
        assert entry.what["name"] == "Baking"
        assert entry.what["before"].startswith("bread")
        reviewer = Person(name="Ada", email="ada@example.org", role="reviewer")
        with acting_as(reviewer), pytest.raises(PermissionDeniedError):
            rename_cluster(project, 0, "Ovens")
        assert clusters(project)[0].name == "Baking"


@pytest.mark.parametrize(
    ("number", "name", "said"),
    [(9, "x", "numbered from 0 to 4"), (0, " ", "1 to 100 characters"), (0, "a\nb", "line ends")],
)
def test_a_name_that_cannot_be_given_changes_nothing(
    number: int, name: str, said: str, pool: Path, tmp_path: Path
) -> None:
    with Project.open(pool) as project:
        make(project, tmp_path / "job")
        before = clusters(project)
        with pytest.raises(ProjectError, match=said):
            rename_cluster(project, number, name)
        assert clusters(project) == before


def test_facts_are_those_of_the_rows_of_each_cluster(pool: Path, tmp_path: Path) -> None:
    with Project.open(pool) as project:
        make(project, tmp_path / "job")
        rows = np.array([0, 5, 1])
        save_selection(project, "three", "{}", "", rows, np.ones(3))
        found = cluster_facts(project, "three")
        assert [one.rows for one in found] == [12] * 5
        assert [one.kept for one in found] == [2, 1, 0, 0, 0]
        assert found[0].kept_share == 2 / 12
        own = project.values(
            "SELECT avg(score) FROM scores JOIN models ON model = scorer "
            "WHERE role = 'complexity' AND row % 5 = 1 AND turn = 0"
        )
        assert found[1].complexity == pytest.approx(own[0], rel=1e-6)
        assert found[1].sentence.startswith("Tell me about rivers")
        assert cluster_facts(project)[0].kept is None


def test_what_cannot_be_made_is_said(tmp_path: Path) -> None:
    with Project.open(tmp_path / "empty.duckdb", create=True) as project:
        with pytest.raises(JobError, match="embed the pool first"):
            make(project, tmp_path / "job")
        with pytest.raises(JobError, match="for kmeans only"):
            make(project, tmp_path / "job", method="hdbscan", number=3)
        with pytest.raises(JobError, match="for hdbscan only"):
            make(project, tmp_path / "job", smallest=3)


def test_the_command_makes_lists_and_renames(
    pool: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    target = ["clusters", "--project", str(pool), "--quiet"]
    assert main(target) == 1
    assert "give --make" in capsys.readouterr().err
    assert main([*target, "--make", "--show", "2"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "5 clusters of 60 rows; 0 rows in none"
    assert said[1].startswith("0 bread")
    assert said[-1] == "and 3 more clusters"
    assert main([*target, "--rename", "0=Baking", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found[0]["name"] == "Baking"
    assert found[0]["rows"] == 12
    assert main([*target, "--rename", "Baking"]) == 1
    assert "--rename takes NUMBER=NAME" in capsys.readouterr().err
