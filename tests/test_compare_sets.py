"""From names to sets of rows of a project: selections, the pool, random rows, files."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deita_core.cli import main
from deita_core.errors import DeitaError, PathError, ProjectError, SelectionError
from deita_core.jobs.compare_sets import (
    FileSet,
    compare_named,
    comparison_table,
    file_key,
    match_file,
    selection_key,
    sets_of_keys,
    stability_of,
)
from deita_core.jobs.kinds.select_rows import select_and_save
from deita_core.progress import finish
from deita_core.project import Project
from deita_core.project.models import ModelIdentity, activate_model, active_model, register_model
from deita_core.project.selections import find_selection, selections
from deita_core.project.vectors import add_embeddings
from deita_core.selection import SelectionRule
from deita_core.selection.analysis.compare import SetComparison
from deita_core.selection.analysis.stability import Survival
from tests.builders import conversation, prepared_project, vector_table, with_graph


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A project of 60 rows with two selections of 10: `top` and `lots`."""
    file = prepared_project(tmp_path / "topics.duckdb")
    with Project.open(file) as project:
        select_and_save(project, SelectionRule("top_score", budget=10), "top")
        select_and_save(project, SelectionRule("random", budget=10), "lots")
    return file


@pytest.fixture
def project(path: Path) -> Iterator[Project]:
    with Project.open(path) as opened:
        yield opened


def elsewhere(file: Path, rows: list[int]) -> Path:
    """Conversations of the project as another tool would write them, and one of nobody's."""
    names = {"user": "human", "assistant": "gpt"}
    records: list[Any] = [
        {
            "conversations": [
                {"from": names[m.role], "value": m.content} for m in conversation(row).messages
            ]
        }
        for row in rows
    ]
    unknown = [{"from": "human", "value": "Hm?"}, {"from": "gpt", "value": "Hm."}]
    records += [{"conversations": unknown}, {"conversations": 5}]
    file.write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    return file


def compared(project: Project, a: str, b: str) -> tuple[SetComparison, tuple[FileSet, ...]]:
    found = finish(compare_named(project, a, b))
    return found.sets, found.files


def test_two_selections_are_compared_by_their_names(project: Project):
    found, files = compared(project, "top", "lots")
    assert (found.a.name, found.b.name, files) == ("top", "lots", ())
    assert len(found.both) + len(found.only_a) == len(found.both) + len(found.only_b) == 10


def test_a_selection_of_the_pool_leaves_the_rest_of_the_pool(project: Project):
    found, _ = compared(project, "top", "pool")
    assert (len(found.both), len(found.only_a), len(found.only_b)) == (10, 0, 50)


def test_random_rows_are_as_many_as_the_other_set_has(project: Project):
    found = finish(compare_named(project, "top", "random", seeds=(3, 4, 5)))
    assert (found.sets.b.name, len(found.sets.b.rows)) == ("random rows (seed 3)", 10)
    assert len(found.measured.chance) == 3


def test_a_file_from_elsewhere_is_matched_by_its_content(project: Project, tmp_path: Path):
    file = elsewhere(tmp_path / "theirs.jsonl", [4, 2, 2, 30])
    found = match_file(comparison_table(project), file)
    assert found.found.rows.tolist() == [4, 2, 30]
    assert (found.read, found.unknown, found.repeated, found.rejected) == (6, 1, 1, 1)
    said = "theirs.jsonl: 6 read = 3 of the pool + 1 not in it + 1 repeated + 1 rejected"
    assert found.sentence() == said


def test_a_name_that_is_nothing_is_told_with_what_there_is(project: Project):
    with pytest.raises(PathError, match="there are: 'lots', 'top'"):
        finish(compare_named(project, "top", "tpo"))


def test_random_rows_alone_are_refused(project: Project):
    with pytest.raises(DeitaError, match="random rows of how many"):
        finish(compare_named(project, "random", "random"))


@pytest.mark.parametrize("word", ["pool", "random"])
def test_a_word_that_a_selection_is_called_is_refused_and_its_number_taken(
    project: Project, word: str
):
    select_and_save(project, SelectionRule("top_score", budget=3), word)
    number = find_selection(project, word).selection
    with pytest.raises(SelectionError, match=f"write selection:{number} for the selection"):
        compared(project, word, "top")
    found, _ = compared(project, f"selection:{number}", "top")
    assert (found.a.name, len(found.a.rows)) == (word, 3)


def test_a_file_that_a_selection_is_called_is_refused_and_its_path_taken(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    elsewhere(Path("top"), [4, 2])
    with pytest.raises(SelectionError, match=r"'top' is a saved selection and a file: .* \./top$"):
        compared(project, "top", "lots")
    found, _ = compared(project, "./top", "lots")
    assert len(found.a.rows) == 2


def test_by_their_keys_sets_are_never_taken_for_one_another(project: Project, tmp_path: Path):
    select_and_save(project, SelectionRule("top_score", budget=3), "pool")
    select_and_save(project, SelectionRule("top_score", budget=4), "random")
    file = elsewhere(tmp_path / "top", [4, 2])
    saved = {one.name: selection_key(one) for one in selections(project)}
    keys = (saved["pool"], saved["random"], "pool", "random", file_key(file))
    rows = [len(sets_of_keys(project, key, saved["top"]).sets.a.rows) for key in keys]
    assert rows == [3, 4, 60, 10, 2]


def test_a_selection_that_was_deleted_meanwhile_is_told(project: Project):
    with pytest.raises(SelectionError, match="no selection:77 any more"):
        sets_of_keys(project, "selection:77", "pool")


def test_stability_of_a_name_that_is_not_there_is_an_error(project: Project):
    with pytest.raises(ProjectError, match="no selection 'tpo'"):
        finish(stability_of(project, "tpo"))


def second_embedder(project: Project) -> None:
    before = active_model(project, "embedding")
    other = register_model(
        project, "embedding", ModelIdentity(id="tests/other", revision="1", width=8)
    )
    vectors = np.random.default_rng(9).normal(size=(60, 8)).astype(np.float32)
    add_embeddings(project, other, vector_table(vectors))
    assert before is not None
    activate_model(project, before)


def lines(project: Project, name: str) -> dict[str, Survival]:
    return {one.kind: one for one in finish(stability_of(project, name))}


def test_every_other_embedder_of_the_project_is_tried(project: Project):
    select_and_save(project, SelectionRule(threshold=0.5, budget=10), "apart")
    assert "embedder" not in lines(project, "apart")
    second_embedder(project)
    found = lines(project, "apart")["embedder"]
    assert found.change == "embedder tests/other"
    assert 0 < found.rows <= 10


def test_a_strategy_of_clusters_is_tried_with_others(path: Path):
    with_graph(path)
    with Project.open(path) as project:
        select_and_save(project, SelectionRule("car", budget=10), "spread")
        found = lines(project, "spread")["clusters"]
    assert found.change == "clusters from seed 1"
    assert found.rows == 10


# the command line


def test_compare_prints_the_sentence_and_the_tables(path: Path, capsys: Any):
    assert main(["compare", "top", "lots", "--project", str(path), "--quiet"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("top and lots share ")
    for words in ("mean evol score", "NovelSum of 10 rows", "KS distance", "language en"):
        assert words in said


def test_compare_writes_one_json_object_with_the_ids(path: Path, capsys: Any):
    assert main(["compare", "top", "--project", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["a"], found["b"]["rows"], found["both"]) == ({"name": "top", "rows": 10}, 60, 10)
    assert len(found["only_b"]) == 50
    assert {len(one) for one in found["only_b"]} == {len(conversation(0).id)}
    assert "novel_sum" in [one["name"] for one in found["figures"]]


def test_compare_says_how_a_files_rows_add_up(path: Path, tmp_path: Path, capsys: Any):
    file = elsewhere(tmp_path / "theirs.jsonl", [4, 2])
    assert main(["compare", "top", str(file), "--project", str(path), "--quiet"]) == 0
    assert "theirs.jsonl: 4 read = 2 of the pool + 1 not in it" in capsys.readouterr().out


def test_stability_prints_a_line_for_each_change(path: Path, capsys: Any):
    assert main(["stability", "top", "--project", str(path), "--quiet"]) == 0
    said = capsys.readouterr().out.splitlines()
    assert said[0].startswith("the rule as it stands")
    assert "100.0%" in said[0]
    assert said[-1].startswith("random rows")


def test_stability_writes_one_json_object(path: Path, capsys: Any):
    assert main(["stability", "top", "--project", str(path), "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert found["changes"][0]["share"] == 1.0


def test_no_random_draw_is_refused(path: Path, capsys: Any):
    assert main(["compare", "top", "--seeds", "0", "--project", str(path)]) == 1
    assert "--seeds must be at least 1" in capsys.readouterr().err
