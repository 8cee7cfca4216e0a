"""The views of Explore through app.py: distributions, near-duplicates, contamination, clusters."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from deita_core.jobs import JobRunner
from deita_core.jobs.kinds import ClusterSpec, ContaminationSpec, TextDuplicatesSpec
from deita_core.project import Project
from deita_core.project.clusters import cluster_facts, rename_cluster
from deita_core.project.contamination import BenchmarkPair
from deita_core.project.duplicates import duplicates_by_meaning, duplicates_by_text
from deita_core.project.pins import pins
from deita_core.project.selections import save_selection
from studio.explore.contamination import report_csv
from studio.rows.clusters import cluster_filter
from tests.builders import Channel, conversation, prepared_project, with_graph
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
    return opened(app, "explore")


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


# contamination


@pytest.fixture
def benchmark(path: Path, tmp_path: Path) -> Path:
    """A file with what rows 7 and 8 say, which the project was held against."""
    file = tmp_path / "held *out*.jsonl"
    texts = [conversation(row).messages[1].content for row in (7, 8)]
    file.write_text("".join(json.dumps({"question": text}) + "\n" for text in texts))
    with Project.open(path) as project:
        Channel(project, ContaminationSpec(file=file), tmp_path / "benchmark")
    return file


def test_what_a_benchmark_found_is_told_excluded_and_taken_back(benchmark: Path) -> None:
    page = explore("contamination")
    assert "held *out*.jsonl: 2 of 60 rows share 13 words in a row" in texts(page)
    assert page.dataframe[0].value["row"].tolist() == [7, 8]
    project = page.session_state["opened_project"].project
    page.button(key="contamination_exclude").click().run()
    assert not page.exception, page.exception
    assert [one.row for one in pins(project)] == [7, 8]
    page.button(key="contamination_undo").click().run()
    assert list(pins(project)) == []


def test_only_rows_in_view_are_listed_and_would_be_excluded(benchmark: Path) -> None:
    page = explore("contamination", filter="where=row < 8")
    assert "1 pair of 2 are of rows in view" in texts(page)
    assert page.button(key="contamination_exclude").label == "Exclude 1 row"


def test_the_rows_a_benchmark_found_become_the_filter(benchmark: Path) -> None:
    page = explore("contamination")
    page.button(key="contamination_filter").click().run()
    assert page.query_params["filter"] == "flag=contaminated"
    assert "**2** of 60 conversations pass the filter" in texts(page)


def test_a_benchmark_of_the_data_folder_is_looked_for_by_a_job(
    path: Path, tmp_path: Path, monkeypatch
) -> None:
    asked = []
    monkeypatch.setattr(JobRunner, "submit", lambda runner, specs: asked.extend(specs))
    file = tmp_path / "data" / "bench.jsonl"
    file.parent.mkdir()
    file.write_text('{"question": "one"}\n')
    page = explore("contamination")
    assert page.button(key="contamination_look").disabled
    page.button_group(key="contamination_from").set_value("Data folder").run()
    page.selectbox(key="contamination_path").set_value("bench.jsonl").run()
    page.toggle(key="contamination_close").set_value(True).run()
    page.button(key="contamination_look").click().run()
    assert not page.exception, page.exception
    assert asked == [ContaminationSpec(file=file, run=13, threshold=0.9)]


def test_a_link_that_leads_out_of_the_data_folder_is_refused(path: Path, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "outside.jsonl").write_text('{"question": "one"}\n')
    (tmp_path / "data" / "link.jsonl").symlink_to(tmp_path / "outside.jsonl")
    page = explore("contamination")
    page.button_group(key="contamination_from").set_value("Data folder").run()
    page.selectbox(key="contamination_path").set_value("link.jsonl").run()
    assert "lies outside the data folder" in texts(page)
    assert page.button(key="contamination_look").disabled


def test_the_report_has_a_line_for_each_pair_and_no_formula() -> None:
    pair = BenchmarkPair("b", 3, "id", 0, "question 1", 1.0, "a b", None, "=1+1", "what, then")
    lines = list(csv.DictReader(io.StringIO(report_csv([pair, pair]))))
    assert len(lines) == 2
    assert (lines[0]["row"], lines[0]["text"], lines[0]["preview"]) == ("3", "'=1+1", "what, then")
