"""The views of Explore through app.py: distributions, near-duplicates, contamination, clusters."""

from __future__ import annotations

from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from deita_core.jobs import JobRunner
from deita_core.jobs.kinds import ClusterSpec, TextDuplicatesSpec
from deita_core.project import Project
from deita_core.project.clusters import cluster_facts, rename_cluster
from deita_core.project.duplicates import duplicates_by_meaning, duplicates_by_text
from deita_core.project.pins import pins
from deita_core.project.selections import save_selection
from studio.rows.clusters import cluster_filter
from tests.builders import Channel, prepared_project, with_graph
from tests.test_pages import APP, opened, texts


@pytest.fixture
def path(projects: Path) -> Path:
    projects.mkdir()
    return with_graph(prepared_project(projects / "topics.duckdb"))


def explore(view: str, **address: str) -> AppTest:
    app = AppTest.from_file(APP, default_timeout=60)
    app.query_params["project"] = "topics"
    app.query_params["shown"] = view
    for key, value in address.items():
        app.query_params[key] = value
    return opened(app.run(), "explore")


def tables(page: AppTest) -> str:
    return "\n".join(table.value.to_csv() for table in (*page.table, *page.dataframe))


# distributions


def test_how_far_scores_follow_the_length_is_told_with_every_distribution(path: Path) -> None:
    for view in ("every", "one", "two"):
        page = explore("distributions", spread=view)
        assert "Rank correlation with the length: **complexity " in texts(page)
        assert ",instruction characters," in tables(page)


def test_rows_in_view_stand_beside_the_pool(path: Path) -> None:
    page = explore("distributions", spread="one", filter="where=row < 20")
    page.selectbox(key="distributions_column").set_value("characters").run()
    lines = tables(page).splitlines()
    assert any("rows in view,20," in line for line in lines)
    assert any("pool,60," in line for line in lines)


def test_a_column_is_told_by_group(path: Path) -> None:
    with Project.open(path) as project:
        save_selection(project, "best", "{}", "", range(6), [1.0] * 6)
    page = explore("distributions", spread="one", filter="where=row < 20")
    page.selectbox(key="distributions_column").set_value("characters").run()
    page.selectbox(key="distributions_by").set_value("kept:1").run()
    assert not page.exception, page.exception
    shown = tables(page)
    assert ",kept,6," in shown
    assert ",not kept,14," in shown


# near-duplicates


def test_one_of_each_group_is_kept_and_one_button_takes_that_back(path: Path) -> None:
    page = explore("duplicates")
    project = page.session_state["opened_project"].project
    expected = duplicates_by_meaning(project, 0.9).dropped.tolist()
    assert f"**{len(expected)} near-duplicates** in **" in texts(page)
    page.button(key="duplicates_drop_all").click().run()
    assert not page.exception, page.exception
    assert [one.row for one in pins(project)] == expected
    page.button(key="duplicates_undo").click().run()
    assert list(pins(project)) == []


def test_only_groups_in_view_are_shown(path: Path) -> None:
    page = explore("duplicates", filter="where=row < 10")
    table = page.dataframe[0].value
    assert table["best row"].max() < 10
    assert table["rows"].max() <= 2


def test_a_threshold_without_near_duplicates_offers_nothing_to_drop(path: Path) -> None:
    page = explore("duplicates", filter="where=row < 2")
    assert "**0 near-duplicates** in **0 groups** above 0.90 (distance 0.10)" in texts(page)
    assert "duplicates_drop_all" not in {button.key for button in page.button}


def test_near_duplicates_by_words_are_looked_for_by_a_job(path: Path, monkeypatch) -> None:
    asked = []
    monkeypatch.setattr(JobRunner, "submit", lambda runner, specs: asked.extend(specs))
    page = explore("duplicates", alike="text")
    page.button(key="duplicates_look").click().run()
    assert not page.exception, page.exception
    assert [(one.kind, one.threshold) for one in asked] == [("text_duplicates", 0.8)]


def test_groups_by_words_that_were_found_are_shown(path: Path, tmp_path: Path) -> None:
    with Project.open(path) as project:
        Channel(project, TextDuplicatesSpec(threshold=0.75), tmp_path / "job")
        found = duplicates_by_text(project)
        assert found is not None
    page = explore("duplicates", alike="text")
    count = len(found.dropped)
    said = f"**{count} near-{'duplicate' if count == 1 else 'duplicates'}** in **"
    assert said in texts(page)


def test_exact_copies_are_told(path: Path) -> None:
    page = explore("duplicates", alike="copies")
    assert "**1 exact copy** of **1 row in view** were left out" in texts(page)


# clusters


@pytest.fixture
def clustered(path: Path, tmp_path: Path) -> Path:
    with Project.open(path) as project:
        Channel(project, ClusterSpec(), tmp_path / "clusters")
    return path


def test_clusters_tell_how_much_of_a_chosen_selection_they_hold(clustered: Path) -> None:
    with Project.open(clustered) as project:
        of_one = [row for row in range(60) if row % 5 == 2]
        save_selection(project, "one", "{}", "", of_one, [1.0] * len(of_one))
        save_selection(project, "first", "{}", "", range(30), [1.0] * 30)
    page = explore("clusters")
    page.selectbox(key="clusters_selection").set_value("one").run()
    kept = page.dataframe[0].value["share kept"]
    assert sorted(kept.tolist()) == [0, 0, 0, 0, 1]
    page.selectbox(key="clusters_selection").set_value("first").run()
    assert page.dataframe[0].value["share kept"].tolist() == [0.5] * 5


def test_clusters_count_the_rows_in_view(clustered: Path) -> None:
    page = explore("clusters", filter="cluster=1,3;where=row < 20")
    assert "in **2** of 5 clusters" in texts(page)
    assert sorted(page.dataframe[0].value["in view"].tolist()) == [0, 0, 0, 4, 4]


def test_a_cluster_is_filtered_by_its_name_or_by_number_where_two_have_that_name(
    clustered: Path,
) -> None:
    with Project.open(clustered) as project:
        rename_cluster(project, 1, "same")
        rename_cluster(project, 3, "same")
        found = cluster_facts(project)
    assert cluster_filter(found, found[1]).describe() == "cluster 1"
    assert cluster_filter(found, found[2]).names == (found[2].cluster.name,)


@pytest.mark.parametrize(("method", "field"), [("kmeans", "number"), ("hdbscan", "smallest")])
def test_clusters_are_made_anew_by_a_job(
    clustered: Path, monkeypatch, method: str, field: str
) -> None:
    asked = []
    monkeypatch.setattr(JobRunner, "submit", lambda runner, specs: asked.extend(specs))
    page = explore("clusters")
    page.button_group(key="clusters_method").set_value(method).run()
    page.number_input(key=f"clusters_{method}").set_value(7).run()
    page.button(key="clusters_make").click().run()
    assert not page.exception, page.exception
    assert asked == [ClusterSpec.read({"method": method, field: 7})]
