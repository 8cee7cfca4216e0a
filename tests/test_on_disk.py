"""project.on_disk: what is said of a broken project file; foreign files stay as they are."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import duckdb
import pytest

from deita_core.cli import main
from deita_core.errors import ProjectDamagedError, ProjectError
from deita_core.project import Project
from deita_core.project.browse import previews
from deita_core.project.on_disk import snapshots_folder
from deita_core.project.pool import load_pool_table
from deita_core.project.vectors import load_vectors
from tests.builders import prepared_project

# Commits a change and ends as a kill does: the change is in the log alone.
_LEAVE_A_LOG = """
import duckdb, os, sys
connection = duckdb.connect(sys.argv[1])
connection.execute(sys.argv[2])
os._exit(0)
"""
_BLOCK, _FIRST_BLOCK = 262_144, 12_288


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return prepared_project(tmp_path / "pool.duckdb", rows=600)


def leave_a_log(path: Path, query: str) -> None:
    subprocess.run([sys.executable, "-c", _LEAVE_A_LOG, str(path), query], check=True)
    assert path.with_name(path.name + ".wal").stat().st_size > 0


def spoil(path: Path, at: int, length: int = 64) -> None:
    with path.open("rb+") as file:
        file.seek(at)
        before = file.read(length)
        file.seek(at)
        file.write(bytes(byte ^ 0xFF for byte in before))


def spoil_column(path: Path, table: str, column: str) -> None:
    """Other bytes in every block in which the column lies."""
    with duckdb.connect(str(path), read_only=True) as connection:
        blocks = connection.execute(
            f"SELECT DISTINCT block_id, block_offset FROM pragma_storage_info('{table}') "
            "WHERE column_name = ? AND block_id >= 0",
            [column],
        ).fetchall()
    assert blocks
    for block, offset in blocks:
        spoil(path, _FIRST_BLOCK + block * _BLOCK + 64 + offset)


def everything_in(folder: Path) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in folder.iterdir()}


def halve(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def log_of_another(path: Path) -> None:
    other = path.with_name("other.duckdb")
    with duckdb.connect(str(other)) as connection:
        connection.execute("CREATE TABLE birds (name VARCHAR)")
    leave_a_log(other, "INSERT INTO birds VALUES ('wren')")
    other.with_name("other.duckdb.wal").rename(path.with_name(path.name + ".wal"))


def spoil_log(path: Path) -> None:
    leave_a_log(path, "UPDATE meta SET value = 'renamed' WHERE key = 'name'")
    log = path.with_name(path.name + ".wal")
    spoil(log, log.stat().st_size // 2, 1)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "cut in half": halve,
    "its first block header": lambda path: spoil(path, 4096),
    "both block headers": lambda path: spoil(path, 4096, 8192),
    "the file header": lambda path: spoil(path, 16),
    "its last kilobytes": lambda path: os.truncate(path, 20_000),
    "a log of another file": log_of_another,
    "a log with other bytes": spoil_log,
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_broken_file_is_one_line_that_says_what_can_be_saved(
    damage: str, path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    snapshots_folder(path).mkdir()
    prepared_project(snapshots_folder(path) / "friday.duckdb")
    DAMAGES[damage](path)
    before = path.read_bytes()
    assert main(["info", "--project", str(path)]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: {path} is damaged (")
    assert "its newest snapshot is 'friday' of " in said
    assert f"deita snapshot --project {path} --restore friday" in said
    assert said.count("\n") == 1
    assert path.read_bytes() == before


def test_a_broken_file_without_a_snapshot_says_so(path: Path) -> None:
    halve(path)
    with pytest.raises(ProjectDamagedError, match=r"is damaged \(.*there is no snapshot of it"):
        Project.open(path)


def test_a_log_that_does_not_fit_can_be_moved_away(path: Path) -> None:
    log_of_another(path)
    log = path.with_name(path.name + ".wal")
    with pytest.raises(ProjectDamagedError, match=rf"move {log.name} away to open it without"):
        Project.open(path)
    log.rename(path.with_name("away"))
    with Project.open(path) as project:
        assert len(previews(project)) == 600


@pytest.mark.parametrize(
    ("table", "column", "read"),
    [
        ("conversations", "preview", previews),
        ("conversations", "id", load_pool_table),
        ("embeddings", "vector", lambda project: load_vectors(project, 3)),
    ],
)
def test_a_broken_block_is_told_when_it_is_read(
    table: str, column: str, read: Callable[[Project], object], path: Path
) -> None:
    spoil_column(path, table, column)
    with (
        Project.open(path) as project,
        pytest.raises(ProjectDamagedError, match=r"pool.duckdb is damaged \(.*checksum"),
    ):
        read(project)


@pytest.mark.parametrize(
    "tables",
    ["", "CREATE TABLE birds (name VARCHAR)", "CREATE TABLE meta (key VARCHAR, value VARCHAR)"],
)
@pytest.mark.parametrize("create", [True, False])
def test_a_database_of_something_else_is_refused_and_stays_as_it_is(
    tables: str, create: bool, tmp_path: Path
) -> None:
    path = tmp_path / "other.duckdb"
    duckdb.connect(str(path)).close()
    if tables:
        leave_a_log(path, tables)
    before = everything_in(tmp_path)
    with pytest.raises(ProjectError, match=r"other\.duckdb is not a project file"):
        Project.open(path, create=create)
    assert everything_in(tmp_path) == before


def test_an_empty_file_is_never_taken_for_a_new_project(tmp_path: Path) -> None:
    (tmp_path / "a.duckdb").touch()
    with pytest.raises(ProjectError, match="is not a project file"):
        Project.open(tmp_path / "a.duckdb", create=True)
    assert everything_in(tmp_path) == {"a.duckdb": b""}


def test_a_folder_is_no_project(tmp_path: Path) -> None:
    (tmp_path / "a.duckdb").mkdir()
    with pytest.raises(ProjectError, match=r"a\.duckdb cannot be opened \(Is a directory\)"):
        Project.open(tmp_path / "a.duckdb", create=True)


def test_a_file_that_may_not_be_written_to_is_refused_with_the_reason(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "access", lambda at, mode: at != path.parent)  # root may write anywhere
    with pytest.raises(ProjectError, match=r"is read-only\): copy it into a folder of your own"):
        Project.open(path)


def test_after_a_fatal_error_the_project_is_closed_and_says_why(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise duckdb.FatalException("FATAL Error: Failed to create checkpoint: fsync failed")

    project = Project.open(path)
    with (
        pytest.raises(ProjectDamagedError, match="fsync failed"),
        project.transaction("admin", None),
    ):
        fail()
    assert project.closed
    with pytest.raises(ProjectError, match="fsync failed"):
        previews(project)
    with Project.open(path) as again:
        assert len(previews(again)) == 600


def test_a_query_that_is_wrong_stays_an_error_of_duckdb(path: Path) -> None:
    with Project.open(path) as project, pytest.raises(duckdb.BinderException):
        project.rows("SELECT nothing FROM conversations")


def test_what_a_killed_process_left_of_a_project_goes_away(tmp_path: Path) -> None:
    left = tmp_path / ".a.duckdb.999999999.part"
    left.mkdir()
    Project.open(tmp_path / "a.duckdb", create=True).close()
    assert [file.name for file in tmp_path.iterdir()] == ["a.duckdb"]


def test_a_new_project_appears_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kill while it is made leaves nothing under its name."""

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("deita_core.project.store._appear", killed)
    with pytest.raises(KeyboardInterrupt):
        Project.open(tmp_path / "a.duckdb", create=True)
    assert everything_in(tmp_path) == {}
