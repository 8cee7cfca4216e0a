"""project.folder: create, list, duplicate and delete projects."""

from pathlib import Path

import pytest

from deita_core.errors import ProjectError
from deita_core.project import Project
from deita_core.project.folder import (
    create_project,
    delete_project,
    duplicate_project,
    list_projects,
    path_of,
)
from deita_core.project.pool import add_source, sources


def test_two_projects_of_one_name_get_two_files(tmp_path: Path) -> None:
    for _ in range(2):
        create_project(tmp_path, "My chats").close()
    assert {file.key for file in list_projects(tmp_path)} == {"my-chats", "my-chats-2"}


def test_a_project_keeps_its_name_as_given(tmp_path: Path) -> None:
    with create_project(tmp_path, "Обучение / v2") as project:
        assert project.name == "Обучение / v2"
        assert project.path.parent == tmp_path


def test_a_copy_has_the_data_and_its_own_name(tmp_path: Path) -> None:
    with create_project(tmp_path, "first") as project:
        add_source(project, "a.json", "/a.json", None)
        copy = duplicate_project(project, "second")
        add_source(project, "b.json", "/b.json", None)
    with Project.open(copy) as copied:
        assert copied.name == "second"
        assert [s.name for s in sources(copied)] == ["a.json"]


def test_deleting_removes_the_file_and_its_work_folder(tmp_path: Path) -> None:
    with create_project(tmp_path, "gone") as project:
        (project.folder / "job-1").mkdir(parents=True)
        path = project.path
    delete_project(path)
    assert [p.name for p in tmp_path.iterdir()] == [".deleted.jsonl"]


@pytest.mark.parametrize("key", ["../other", "a/b", "", ".hidden", "x" * 90])
def test_a_key_cannot_leave_the_folder(tmp_path: Path, key: str) -> None:
    with pytest.raises(ProjectError, match="cannot name a project file"):
        path_of(tmp_path, key)
