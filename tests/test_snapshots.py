"""project.snapshots: copies of a project that come back as they were."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from deita_core.errors import PermissionDeniedError, ProjectError, ProjectLockedError
from deita_core.people import Person, acting_as
from deita_core.project import Project
from deita_core.project.folder import delete_project
from deita_core.project.graphs import delete_graphs, load_graph
from deita_core.project.job_log import add_job, jobs
from deita_core.project.log import log_entries
from deita_core.project.on_disk import list_snapshots, snapshots_folder
from deita_core.project.pins import pins, set_pins
from deita_core.project.snapshots import (
    KEPT,
    copy_snapshot,
    delete_snapshot,
    make_snapshot,
    restore_snapshot,
)
from tests.builders import prepared_project, with_graph


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return prepared_project(tmp_path / "pool.duckdb")


@pytest.fixture
def project(path: Path) -> Iterator[Project]:
    with Project.open(path) as opened:
        yield opened


def pin(project: Project, row: int) -> None:
    set_pins(project, [row], "pinned")


def pinned(path: Path) -> list[int]:
    with Project.open(path) as project:
        return sorted(one.row for one in pins(project))


def test_a_snapshot_is_the_project_as_it_was(project: Project) -> None:
    pin(project, 1)
    made = make_snapshot(project, "friday")
    pin(project, 2)
    assert pinned(made.path) == [1]
    assert (made.name, made.bytes) == ("friday", made.path.stat().st_size)
    assert not made.path.with_name("friday.duckdb.wal").exists()


def test_a_snapshot_is_for_its_owner_alone(project: Project) -> None:
    made = make_snapshot(project, "friday")
    assert made.path.stat().st_mode & 0o777 == 0o600
    assert made.path.parent.stat().st_mode & 0o777 == 0o700


def test_a_project_goes_back_and_what_it_was_is_kept(path: Path) -> None:
    with Project.open(path) as project:
        pin(project, 1)
        make_snapshot(project, "friday")
        pin(project, 2)
    before = restore_snapshot(path, "friday")
    assert before is not None
    assert pinned(path) == [1]
    restore_snapshot(path, before.name)
    assert pinned(path) == [1, 2]


def test_the_graph_comes_back_with_its_project(path: Path) -> None:
    with Project.open(with_graph(path)) as project:
        made = make_snapshot(project, "friday")
        delete_graphs(path)
    with Project.open(made.path) as copy:
        assert load_graph(copy) is not None
    restore_snapshot(path, "friday")
    with Project.open(path) as project:
        assert load_graph(project) is not None


def test_a_broken_project_comes_back_and_the_broken_file_is_kept_too(path: Path) -> None:
    with Project.open(path) as project:
        pin(project, 1)
        make_snapshot(project, "friday")
    path.write_bytes(b"\0" * 5000)
    assert restore_snapshot(path, "friday") is None
    assert pinned(path) == [1]
    (aside,) = snapshots_folder(path).glob("*.unreadable")
    assert aside.read_bytes() == b"\0" * 5000


def test_a_lost_project_comes_back(path: Path) -> None:
    with Project.open(path) as project:
        make_snapshot(project, "friday")
    path.unlink()
    assert restore_snapshot(path, "friday") is None
    assert pinned(path) == []


def test_no_version_of_the_data_comes_twice(path: Path) -> None:
    """Caches are keyed by it: another content under an old number would be shown as the old one."""
    with Project.open(path) as project:
        make_snapshot(project, "friday")
        with project.transaction("admin", None):
            pass
        seen = project.data_version()
    restore_snapshot(path, "friday")
    with Project.open(path) as project:
        assert project.data_version() > seen


def test_jobs_that_ran_when_it_was_made_do_not_go_on(path: Path) -> None:
    with Project.open(path) as project:
        add_job(project, "map", {})
        make_snapshot(project, "friday")
        work = project.folder / "job-1"
    work.mkdir(parents=True)
    restore_snapshot(path, "friday")
    assert not work.exists()
    with Project.open(path) as project:
        assert [job.state for job in jobs(project)] == ["cancelled"]


def test_bringing_back_and_deleting_take_an_admin_and_bringing_back_is_in_the_log(
    path: Path,
) -> None:
    with Project.open(path) as project:
        make_snapshot(project, "friday")
    before = path.read_bytes()
    with acting_as(Person(name="Ada", role="curator")):
        for action in (restore_snapshot, delete_snapshot):
            with pytest.raises(PermissionDeniedError, match="that takes the role admin"):
                action(path, "friday")
        with pytest.raises(PermissionDeniedError, match="that takes the role admin"):
            copy_snapshot(path, "friday", path.with_name("second.duckdb"))
    assert path.read_bytes() == before
    restore_snapshot(path, "friday")
    with Project.open(path) as project:
        last = log_entries(project, limit=1)[0]
    assert (last.action, last.what) == ("bring a snapshot back", {"snapshot": "friday"})


def test_an_open_project_is_not_written_over(path: Path) -> None:
    from tests.test_projects import held

    with Project.open(path) as project:
        make_snapshot(project, "friday")
    before = path.read_bytes()
    with held(path), pytest.raises(ProjectLockedError):
        restore_snapshot(path, "friday")
    assert path.read_bytes() == before


def test_a_broken_snapshot_is_not_put_in_place(path: Path) -> None:
    with Project.open(path) as project:
        made = make_snapshot(project, "friday")
    made.path.write_bytes(b"")
    before = path.read_bytes()
    with pytest.raises(ProjectError, match=r"friday\.duckdb is not a project file"):
        restore_snapshot(path, "friday")
    assert path.read_bytes() == before


def test_a_snapshot_becomes_a_project_of_its_own(project: Project, tmp_path: Path) -> None:
    pin(project, 1)
    make_snapshot(project, "friday")
    copy_snapshot(project.path, "friday", tmp_path / "second.duckdb")
    assert pinned(tmp_path / "second.duckdb") == [1]
    with pytest.raises(ProjectError, match=r"a file at .*second\.duckdb already"):
        copy_snapshot(project.path, "friday", tmp_path / "second.duckdb")


def test_the_last_five_of_those_made_before_a_return_are_kept_and_all_others(path: Path) -> None:
    with Project.open(path) as project:
        for name in ("friday", "before-lunch"):
            make_snapshot(project, name)
    for _ in range(KEPT + 2):
        restore_snapshot(path, "friday")
    names = [one.name for one in list_snapshots(path)]
    assert {"friday", "before-lunch"} < set(names)
    assert len(names) == KEPT + 2


def test_names_are_given_by_the_time_and_not_twice(project: Project) -> None:
    names = {make_snapshot(project).name for _ in range(3)}
    assert len(names) == 3
    with pytest.raises(ProjectError, match="there is a snapshot 'a' already"):
        [make_snapshot(project, "a") for _ in range(2)]


@pytest.mark.parametrize("name", ["../out", "a/b", ".hidden", "a\nb", "x" * 90])
def test_a_name_cannot_leave_the_folder(project: Project, name: str) -> None:
    with pytest.raises(ProjectError, match="cannot name a snapshot"):
        make_snapshot(project, name)


def test_an_unknown_snapshot_is_answered_with_those_there_are(project: Project) -> None:
    make_snapshot(project, "friday")
    with pytest.raises(ProjectError, match=r"no snapshot 'monday' \(there are: 'friday'\)"):
        delete_snapshot(project.path, "monday")


def test_deleting_a_snapshot_or_the_project_leaves_nothing_of_it(path: Path) -> None:
    with Project.open(with_graph(path)) as project:
        make_snapshot(project, "friday")
        make_snapshot(project, "monday")
    delete_snapshot(path, "friday")
    assert {file.name for file in snapshots_folder(path).iterdir()} == {
        "monday.duckdb",
        "monday.duckdb.graph",
    }
    delete_project(path)
    assert not snapshots_folder(path).exists()


def test_a_snapshot_that_was_not_finished_is_not_there(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("deita_core.project.store.shutil.copyfile", full)
    with pytest.raises(ProjectError, match=r"no space left on the disk of .* MB free\)"):
        make_snapshot(project, "friday")
    assert list_snapshots(project.path) == []
    assert list(snapshots_folder(project.path).iterdir()) == []


def test_a_snapshot_waits_for_one_who_reads(project: Project) -> None:
    with project.reading() as cursor:
        cursor.execute("SELECT * FROM conversations")
        cursor.fetchone()
        making = threading.Thread(target=make_snapshot, args=(project, "friday"))
        making.start()
        cursor.fetchall()
    making.join(30)
    assert [one.name for one in list_snapshots(project.path)] == ["friday"]
