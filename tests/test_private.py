"""What the program writes can be read by its owner only, whatever the umask of who starts it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from streamlit.testing.v1 import AppTest

from deita_core.cli import main
from deita_core.project import Project
from tests.test_pages import APP


@pytest.fixture
def loose() -> Iterator[None]:
    """A umask that lets everybody read and write."""
    before = os.umask(0)
    yield
    os.umask(before)


def open_to_others(folder: Path) -> list[str]:
    """Whatever below a folder others could read, write or enter."""
    found = [path for path in folder.rglob("*") if stat.S_IMODE(path.lstat().st_mode) & 0o077]
    return sorted(str(path.relative_to(folder)) for path in found)


def test_a_command_and_its_worker_write_private_files(tmp_path: Path, loose: None) -> None:
    pool = tmp_path / "pool.jsonl"
    pool.write_text('{"instruction": "a", "output": "b", "stars": 3}\n')
    project = ["--project", str(tmp_path / "made" / "p.duckdb")]
    assert main(["import", str(pool), *project, "--quiet"]) == 0
    assert main(["import-scores", "--quality", "stars", *project, "--quiet"]) == 0
    assert main(["export-scores", "--out", str(tmp_path / "scores.csv"), *project, "--quiet"]) == 0
    assert (tmp_path / "made" / "p.duckdb.work").is_dir()
    assert open_to_others(tmp_path) == ["pool.jsonl"]
    assert os.umask(0) == 0, "the umask of who called is as it was"


def test_an_open_project_of_another_program_is_private_too(tmp_path: Path, loose: None) -> None:
    with Project.open(tmp_path / "made" / "p.duckdb", create=True) as project:
        assert open_to_others(tmp_path) == []
        project.copy_to(tmp_path / "copy.duckdb")
    assert open_to_others(tmp_path) == []


def test_the_app_writes_private_files(projects: Path, loose: None) -> None:
    Project.open(projects / "p.duckdb", create=True).close()
    app = AppTest.from_file(APP, default_timeout=60).run()
    assert not app.exception
    assert (projects / ".last-used").exists()
    assert open_to_others(projects.parent) == []
