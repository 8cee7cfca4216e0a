"""Files that appear whole or not at all, and the fence around the data folder."""

from __future__ import annotations

from pathlib import Path

import pytest

from deita_core.errors import PathError
from deita_core.files import is_unfinished, resolve_below, whole_file, whole_folder


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "secret.json").write_text("[]")
    (tmp_path / "data-too").mkdir()
    root = tmp_path / "data"
    (root / "sub").mkdir(parents=True)
    (root / "sub" / "pool.json").write_text("[]")
    (root / "out").symlink_to(tmp_path)
    (root / "in").symlink_to(root / "sub")
    (root / "loop").symlink_to(root / "loop")
    return root


@pytest.mark.parametrize("name", ["sub/pool.json", "./sub/../sub/pool.json", "in/pool.json"])
def test_files_below_the_folder_are_found(root: Path, name: str):
    assert resolve_below(root, name) == (root / "sub" / "pool.json").resolve()


@pytest.mark.parametrize(
    "name",
    ["../secret.json", "/etc/passwd", "out/secret.json", "sub/../../secret.json", "../data-too"],
)
def test_nothing_outside_can_be_named(root: Path, name: str):
    with pytest.raises(PathError, match="outside the data folder"):
        resolve_below(root, name)


@pytest.mark.parametrize("name", ["", "  ", "a\0b", "missing.json", "loop", "x" * 5_000])
def test_what_is_not_there_is_an_error(root: Path, name: str):
    with pytest.raises(PathError):
        resolve_below(root, name)


def test_an_absolute_path_inside_is_allowed(root: Path):
    assert resolve_below(root, str(root / "sub")) == (root / "sub").resolve()


def test_a_missing_data_folder_is_named(tmp_path: Path):
    with pytest.raises(PathError, match="create it"):
        resolve_below(tmp_path / "none", "a")


def test_a_file_appears_when_it_is_whole(tmp_path: Path):
    path = tmp_path / "out.json"
    with whole_file(path) as partial:
        partial.write_text("[]")
        assert is_unfinished(partial)
        assert not path.exists()
    assert path.read_text() == "[]"
    assert list(tmp_path.iterdir()) == [path]


def test_an_error_keeps_the_file_that_was_there_and_leaves_nothing_behind(tmp_path: Path):
    path = tmp_path / "out.json"
    path.write_text("before")
    with pytest.raises(TypeError), whole_file(path) as partial, partial.open("wb") as file:
        file.write("no bytes")
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_is_replaced_as_a_whole(tmp_path: Path):
    path = tmp_path / "deep" / "graph"
    for name in ("first", "second"):
        with whole_folder(path) as partial:
            (partial / name).touch()
    assert [file.name for file in path.iterdir()] == ["second"]
    with pytest.raises(FileNotFoundError), whole_folder(path) as partial:
        (partial / "none").unlink()
    assert [file.name for file in path.parent.iterdir()] == ["graph"]
    assert [file.name for file in path.iterdir()] == ["second"]
