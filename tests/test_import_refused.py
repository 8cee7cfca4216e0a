"""A file of which nothing can be imported is explained, and can be tried again otherwise."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deita_core.cli import main
from deita_core.errors import FormatError
from deita_core.formats.read import Mapping, detect
from deita_core.jobs.chains import register_files
from deita_core.jobs.kinds.import_pool import refused
from deita_core.project import Project
from deita_core.project.pool import set_source_facts, sources
from tests.builders import prepared_project

pytestmark = pytest.mark.usefixtures("jobs_here")

ROLES = ("UTILISATEUR", "L'ASSISTANT")


def french(folder: Path) -> Path:
    said = [{"from": role, "value": "Bonjour"} for role in ROLES]
    path = folder / "pool.jsonl"
    rows = (json.dumps({"id": n, "conversations": said[:1] + [*said] * n}) for n in range(1, 4))
    path.write_text("\n".join(rows))
    return path


def import_it(file: Path, *options: str) -> int:
    project = file.with_name("p.duckdb")
    return main(["import", str(file), "--project", str(project), "--quiet", *options])


def imported(file: Path) -> list[tuple[int, int]]:
    with Project.open(file.with_name("p.duckdb")) as project:
        return [(s.imported, s.rejected) for s in sources(project)]


def test_import_says_why_nothing_came_and_what_may_help(tmp_path: Path, capsys):
    file = french(tmp_path)
    assert import_it(file) == 1
    said = capsys.readouterr().err
    assert "pool.jsonl: none of its 3 rows could be imported; 3 times: the role" in said
    options = "--layout sharegpt --role UTILISATEUR=user --role 'L'\"'\"'ASSISTANT=assistant'"
    assert said.strip().endswith(options)
    # What it advises is taken, though the file has been read once.
    roles = [word for role in zip(ROLES, ("user", "assistant"), strict=True) for word in role]
    named = [f"--role={roles[0]}={roles[1]}", f"--role={roles[2]}={roles[3]}"]
    assert import_it(file, "--layout", "sharegpt", *named) == 0
    assert imported(file) == [(3, 0)]


def test_run_says_it_before_anything_is_scored(tmp_path: Path, capsys):
    file, out = french(tmp_path), tmp_path / "out.json"
    assert main(["run", str(file), "--out", str(out), "--quiet"]) == 1
    assert "--role UTILISATEUR=user" in capsys.readouterr().err
    assert not out.exists()


def test_a_wrong_column_does_not_stick_to_the_file(tmp_path: Path, capsys):
    file = tmp_path / "pool.jsonl"
    file.write_text('{"instruction": "Hi", "output": "Hello"}\n')
    assert import_it(file, "--layout", "alpaca", "--column", "instruction=nowhere") == 1
    assert "nowhere" in capsys.readouterr().err
    assert imported(file) == []
    assert import_it(file) == 0
    assert imported(file) == [(1, 0)]


def test_a_file_that_is_partly_imported_is_not_gone_on_with_otherwise(tmp_path: Path):
    file = tmp_path / "pool.jsonl"
    file.write_text('{"instruction": "Hi", "output": "Hello"}\n')
    with Project.open(prepared_project(tmp_path / "p.duckdb")) as project:
        found = detect(file)
        (one,) = sources(project)
        facts = {"path": str(file), "sha256": one.sha256, "bytes": 1, "explanation": ""}
        facts |= {"container": found.container.to_json(), "mapping": found.mapping.to_json()}
        set_source_facts(project, one.source, {**facts, "sha256": None})
        with project.transaction("curator", None) as cursor:
            cursor.execute("UPDATE sources SET state = 'incomplete'")
        again = Mapping("alpaca", {"instruction": "instruction"})
        assert register_files(project, [file], again) == [one.source]
        with pytest.raises(FormatError, match=r"61 rows of .* with another"):
            register_files(project, [file], Mapping("sharegpt"))
        assert refused(project) == []
