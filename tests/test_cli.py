"""cli: what a user types, what is printed, and the exit status."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path

import pytest

from deita_core import VERSION
from deita_core.cli import main
from deita_core.people import Person, acting_as
from deita_core.project import Project
from deita_core.project.log import log_entries
from deita_core.project.selections import selections
from tests.builders import prepared_project
from tests.documents import commands

pytestmark = pytest.mark.usefixtures("jobs_here")


@pytest.fixture
def pool(tmp_path: Path) -> Path:
    path = tmp_path / "pool.json"
    rows = [{"instruction": f"Question {i}?", "output": f"Answer {i}."} for i in range(30)]
    path.write_text(json.dumps([*rows, rows[0], {"instruction": 5}, "text"]))
    return path


@pytest.fixture
def prepared(tmp_path: Path) -> str:
    return str(prepared_project(tmp_path / "topics.duckdb"))


@pytest.mark.parametrize("name", list(commands()))
def test_every_command_has_help_with_an_example(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([name, "--help"]) == 0
    assert f"Example: python -m deita_core {name}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "Missing command"),
        (["selecting"], "No such command 'selecting'"),
        (["select", "--nam", "x"], "No such option: --nam"),
        (["select"], "Missing option '--name'"),
        (["select", "--name", "x", "--threshold", "high"], "Invalid value for '--threshold'"),
        (["select", "--name", "x", "--pin-place", "last"], "'last' is not one of first, rank"),
        (
            ["select", "--name", "x", "--budget", "5", "--budget-tokens", "5000"],
            "--budget and --budget-tokens cannot be given together",
        ),
    ],
)
def test_what_is_typed_wrongly_is_said_with_status_2(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    found = capsys.readouterr().err
    assert said in found
    assert "Traceback" not in found


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"Deita Studio {VERSION}\n"


def test_import_prints_how_the_rows_add_up(
    tmp_path: Path, pool: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = str(tmp_path / "p.duckdb")
    assert main(["import", str(pool), "--project", project, "--quiet"]) == 0
    said = capsys.readouterr().out
    assert "pool.json: 33 read = 31 imported + 1 duplicates + 1 rejected" in said


def test_info_prints_one_json_object(prepared: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--project", prepared, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["read"], found["imported"], found["duplicates"], found["rejected"]) == (
        62,
        60,
        1,
        1,
    )
    assert (found["scored"], found["failed"], found["embedded"], found["mapped"]) == (59, 1, 60, 60)
    assert found["selections"] == 0


def test_select_saves_under_a_name(prepared: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["select", "--project", prepared, "--name", "first", "--budget", "5"]
    assert main([*arguments, "--threshold", "0.99"]) == 0
    assert capsys.readouterr().out.startswith("5 of 60 selected at similarity 0.99 (distance 0.01)")
    with Project.open(Path(prepared)) as project:
        assert [(s.name, s.rows) for s in selections(project)] == [("first", 5)]


def test_a_name_that_is_taken_is_refused_without_replace(
    prepared: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["select", "--project", prepared, "--name", "first"]
    assert main(arguments) == 0
    assert main(arguments) == 1
    assert "choose another name, or replace it" in capsys.readouterr().err
    assert main([*arguments, "--replace"]) == 0


def test_export_writes_the_file_with_manifest_and_card(prepared: str, tmp_path: Path) -> None:
    assert main(["select", "--project", prepared, "--name", "s", "--budget", "5"]) == 0
    out = tmp_path / "out" / "s.json"
    out.parent.mkdir()
    arguments = ["export", "--project", prepared, "--selection", "s", "--out", str(out)]
    assert main([*arguments, "--quiet"]) == 0
    manifest = json.loads((out.parent / "s.json.manifest.json").read_text())
    assert [row["id"] for row in json.loads(out.read_text())] == manifest["output"]["ids"]
    assert "s.json" in json.loads((out.parent / "dataset_info.json").read_text())
    assert (out.parent / "s.json.card.md").read_text().startswith("---\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["info", "--project", "none.duckdb"], "there is no project at"),
        (["import", "none.json"], "there is no file none.json"),
        (["preview", "none.json"], "none.json"),
        (["run", "x.json", "--out", "o.json", "--threshold", "2"], "threshold"),
        (["run", "x.json", "--out", "o.json", "--budget", "-1"], "budget"),
        (["replay", "none.manifest.json"], "cannot read the manifest"),
    ],
)
def test_a_mistake_is_one_line_and_status_1(
    arguments: list[str],
    said: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(arguments) == 1
    found = capsys.readouterr().err
    assert found.startswith("error: ")
    assert said in found
    assert "Traceback" not in found


def test_an_unknown_selection_lists_those_there_are(
    prepared: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["select", "--project", prepared, "--name", "first"])
    out = str(tmp_path / "o.json")
    arguments = ["export", "--project", prepared, "--selection", "best", "--out", out]
    assert main(arguments) == 1
    assert "no selection 'best' (there are: 'first')" in capsys.readouterr().err


def test_a_language_that_no_row_has_is_refused(
    prepared: str, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["select", "--project", prepared, "--name", "x", "--language", "tlh"]
    assert main(arguments) == 1
    assert "no row of this pool has the language 'tlh'" in capsys.readouterr().err


def test_preview_shows_what_a_file_is_taken_for(
    pool: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["preview", str(pool)]) == 0
    said = capsys.readouterr().out
    assert "Alpaca" in said
    assert "user: Question 0?" in said


def test_scores_go_out_and_come_in_again(
    prepared: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = str(tmp_path / "scores.csv")
    project = ["--project", prepared, "--quiet"]
    assert main(["export-scores", "--out", out, *project]) == 0
    assert main(["import-scores", out, *project]) == 0
    said = capsys.readouterr().out
    assert "72 turns" in said
    assert "72 records read; 72 matched; 0 conversations of the pool are not in it" in said
    assert main(["import-scores", "--list", *project]) == 0
    assert capsys.readouterr().out.startswith("id: 60 numbers, 0 to 59; 0 lists; 0 others")


def test_the_log_is_shown_newest_first_and_filtered(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = prepared_project(tmp_path / "topics.duckdb", rows=12)
    with Project.open(path) as project:
        project.rename("Answers")
    assert main(["log", "--project", str(path), "--last", "2"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert re.match(
        r"[\d-]+ [\d:]+ UTC .* \(admin\): rename the project, before topics, name Answers", lines[0]
    )
    assert len(lines) == 2
    assert main(["log", "--project", str(path), "--action", "import a file"]) == 0
    assert [line.split(": ")[1] for line in capsys.readouterr().out.splitlines()] == [
        "import a file, source 0, read 14"
    ]


@pytest.mark.parametrize("format", ["csv", "jsonl"])
def test_the_log_is_written_whole_with_its_oldest_entry_first(tmp_path: Path, format: str) -> None:
    path, out = prepared_project(tmp_path / "topics.duckdb", rows=12), tmp_path / f"log.{format}"
    with acting_as(Person(name="=HYPERLINK(1)")), Project.open(path) as project:
        project.rename("Answers")
        wanted = log_entries(project)[::-1]
    assert main(["log", "--project", str(path), "--out", str(out)]) == 0
    with out.open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file)) if format == "csv" else list(map(json.loads, file))
    assert [int(line["number"]) for line in lines] == [entry.number for entry in wanted]
    assert [line["action"] for line in lines] == [entry.action for entry in wanted]
    whats = [json.loads(x["what"]) if format == "csv" else x["what"] for x in lines]
    assert whats == [entry.what for entry in wanted]
    assert lines[-1]["who"] == ("'=HYPERLINK(1)" if format == "csv" else "=HYPERLINK(1)")


def test_a_log_in_an_unknown_format_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["log", "--project", str(tmp_path / "a.duckdb"), "--out", "log.xlsx"]) == 1
    assert "must end in .csv or .jsonl" in capsys.readouterr().err
