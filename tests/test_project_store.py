"""project.store: opening, locking, transactions, versions, copies."""

import subprocess
import sys
from pathlib import Path

import duckdb
import pytest

from deita_core.errors import ProjectError, ProjectLockedError, ProjectVersionError
from deita_core.project import Project
from deita_core.project.schema import SCHEMA_VERSION
from tests.builders import prepared_project

_HOLD = """
import sys, time
from pathlib import Path
from deita_core.project import Project
project = Project.open(Path(sys.argv[1]))
print("open", flush=True)
time.sleep(30)
"""


def test_a_new_project_is_named_after_its_file(tmp_path: Path) -> None:
    with Project.open(tmp_path / "talks.duckdb", create=True) as project:
        assert project.name == "talks"


def test_a_missing_project_is_an_error_and_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(ProjectError, match="no project at"):
        Project.open(tmp_path / "none.duckdb")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_is_no_project_is_named(tmp_path: Path) -> None:
    (tmp_path / "text.duckdb").write_text("hello " * 100)
    with pytest.raises(ProjectError, match=r"text\.duckdb is not a project file"):
        Project.open(tmp_path / "text.duckdb")


def test_a_second_process_is_told_who_has_it_open(tmp_path: Path) -> None:
    path = tmp_path / "a.duckdb"
    Project.open(path, create=True).close()
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD, str(path)], stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        with pytest.raises(ProjectLockedError, match=rf"process {holder.pid} \(.*python"):
            Project.open(path)
    finally:
        holder.kill()
        holder.wait()


@pytest.mark.parametrize(
    ("version", "remedy"),
    [
        (SCHEMA_VERSION + 1, "update Deita Studio to open it"),
        (SCHEMA_VERSION - 1, "open it with the version that made it, or import its files"),
    ],
)
def test_a_project_of_another_version_is_refused_and_left_as_it_is(
    tmp_path: Path, version: int, remedy: str
) -> None:
    path = prepared_project(tmp_path / "a.duckdb", rows=12)
    with Project.open(path) as project, project.transaction("admin", "test") as cursor:
        cursor.execute("UPDATE meta SET value = ? WHERE key = 'schema_version'", [str(version)])
    before = path.read_bytes()
    words = f"{path} has schema version {version}, but .* reads version {SCHEMA_VERSION}: {remedy}"
    with pytest.raises(ProjectVersionError, match=words):
        Project.open(path)
    assert path.read_bytes() == before


def test_a_database_of_something_else_is_no_project(tmp_path: Path) -> None:
    with duckdb.connect(str(tmp_path / "other.duckdb")) as other:
        other.execute("CREATE TABLE birds (name VARCHAR)")
    with pytest.raises(ProjectError, match=r"other\.duckdb is not a project file"):
        Project.open(tmp_path / "other.duckdb")


def test_a_name_survives_closing(tmp_path: Path) -> None:
    path = tmp_path / "a.duckdb"
    with Project.open(path, create=True) as project:
        project.rename("Support chats")
    with Project.open(path) as project:
        assert project.name == "Support chats"


@pytest.mark.parametrize("name", ["", "  ", "x" * 101])
def test_a_bad_name_is_refused(project: Project, name: str) -> None:
    with pytest.raises(ProjectError, match="1 to 100 characters"):
        project.rename(name)


def test_a_failed_transaction_leaves_nothing(project: Project) -> None:
    with pytest.raises(duckdb.Error), project.transaction("admin", "test") as cursor:
        cursor.execute("UPDATE meta SET value = 'changed' WHERE key = 'name'; SELECT nonsense")
    assert project.name == "test"


def test_the_data_version_grows_with_each_change_of_data(project: Project) -> None:
    before = project.data_version()
    with project.transaction("admin", "test"):
        pass
    assert project.data_version() == before + 1


def test_the_data_version_stays_for_bookkeeping(project: Project) -> None:
    before = project.data_version()
    with project.transaction("admin", "test", changes_data=False):
        pass
    assert project.data_version() == before


def test_a_closed_project_says_so(project: Project) -> None:
    project.close()
    with pytest.raises(ProjectError, match="was closed"):
        project.cursor()
