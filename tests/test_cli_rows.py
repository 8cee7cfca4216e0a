"""cli.rows: the commands `rows` and `view`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deita_core.cli import main
from tests.builders import conversation, prepared_project, with_graph


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> str:
    folder = tmp_path_factory.mktemp("rows")
    return str(with_graph(prepared_project(folder / "topics.duckdb")))


@pytest.fixture
def said(capsys: pytest.CaptureFixture[str], prepared: str) -> Any:
    def run(*arguments: str) -> str:
        status = main([*arguments, "--project", prepared])
        captured = capsys.readouterr()
        assert status == 0, captured.err
        return captured.out

    return run


def numbers(said: Any, *arguments: str) -> list[int]:
    found = json.loads(said("rows", "--json", "--limit", "100", *arguments))
    assert found["rows"] == len(found["shown"])
    return [one["row"] for one in found["shown"]]


def test_rows_prints_the_count_and_the_first_rows(said: Any):
    lines = said("rows", "--filter", "cluster=2", "--limit", "2", "--column", "turns").splitlines()
    assert lines[0] == "12 of 60 rows: cluster 2"
    assert lines[1].startswith("2  Tell me about matrices, item 2.")
    assert lines[1].endswith("  turns 1")
    assert len(lines) == 3


def test_all_conditions_must_hold(said: Any):
    given = ("--filter", "turns=2..", "--where", "row < 20", "--search", "bread")
    assert numbers(said, *given) == [0, 5, 10, 15]


def test_json_says_where_the_hits_are(said: Any):
    found = json.loads(said("rows", "--search", '"item 7."', "--json"))
    assert (found["rows"], found["of"]) == (1, 60)
    (row,) = found["shown"]
    assert row["id"] == conversation(7).id
    (hit,) = row["hits"]
    text = conversation(7).messages[hit["message"]].content
    assert text[hit["start"] : hit["end"]] == "item 7."


def test_rows_like_a_row_come_closest_first_by_number_or_id(said: Any):
    by_number = numbers(said, "--like", "8", "--most", "5")
    assert by_number[0] == 8
    assert len(by_number) == 5
    assert numbers(said, "--like", conversation(8).id, "--most", "5") == by_number
    found = json.loads(said("rows", "--like", "8", "--most", "5", "--json"))
    near = [one["closeness"] for one in found["shown"]]
    assert near == sorted(near, reverse=True)


def test_rows_are_sorted_by_a_column_of_numbers(said: Any):
    assert numbers(said, "--where", "row < 5", "--sort", "record.id") == [4, 3, 2, 1, 0]
    assert numbers(said, "--like", "8", "--most", "3", "--sort", "closeness")[0] == 8


def test_a_view_is_saved_used_listed_and_deleted(said: Any):
    saved = said("view", "save", "--name", "good", "--filter", "cluster=2", "--where", "row > 50")
    assert saved == "good: 2 rows now; cluster 2; WHERE row > 50\n"
    assert numbers(said, "--view", "good") == [52, 57]
    assert numbers(said, "--view", "good", "--search", "57") == [57]
    assert said("view", "list") == "good: cluster 2; WHERE row > 50\n"
    (listed,) = json.loads(said("view", "list", "--json"))
    assert (listed["name"], listed["filter"]) == ("good", "cluster=2;where=row > 50")
    assert said("view", "delete", "--name", "good") == "deleted the view good\n"
    assert said("view", "list") == "topics has no views\n"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["rows", "--filter", "quality"], "a part of a filter is COLUMN=LOW..HIGH"),
        (["rows", "--where", "quality >"], "at character 9 (“>”)"),
        (["rows", "--search", "/(a/"], "missing ): (a"),
        (["rows", "--view", "none"], "there is no view 'none'"),
        (["rows", "--like", "99"], "there is no row 99"),
        (["rows", "--least", "0.5"], "--least and --most need --meaning, --examples or --like"),
        (["rows", "--sort", "language"], "language is one of names"),
        (["rows", "--sort", "closeness"], "--sort closeness needs --meaning"),
        (["rows", "--examples", "missing.txt"], "cannot read the examples in 'missing.txt'"),
        (["view", "save", "--name", "all"], "a view needs a filter"),
        (["view", "delete", "--name", "none"], "there is no view 'none'"),
    ],
)
def test_what_cannot_be_done_is_said_with_status_1(
    arguments: list[str], reason: str, prepared: str, capsys: pytest.CaptureFixture[str]
):
    assert main([*arguments, "--project", prepared]) == 1
    assert reason in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["view", "keep"], "'keep' is not one of save, list, delete"),
        (["view", "save"], "view save needs --name"),
        (["rows", "--limit", "-1"], "--limit must be 0 or more"),
    ],
)
def test_what_is_typed_wrongly_is_said_with_status_2(
    arguments: list[str], reason: str, prepared: str, capsys: pytest.CaptureFixture[str]
):
    assert main([*arguments, "--project", prepared]) == 2
    assert reason in capsys.readouterr().err


def test_examples_are_the_lines_of_a_file(tmp_path: Path):
    from deita_core.cli.options import lines_of

    file = tmp_path / "prompts.txt"
    file.write_text("one prompt\n\n  another \n", encoding="utf-8")
    assert lines_of(file) == ("one prompt", "another")
