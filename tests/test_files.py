"""Files that appear whole or not at all, and the fence around the data folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from deita_core.errors import PathError
from deita_core.files import (
    cell_text,
    is_unfinished,
    one_line,
    resolve_below,
    whole_file,
    whole_folder,
)


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


def test_what_killed_writes_left_behind_is_swept_and_nothing_else(tmp_path: Path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    swept = [f".a[1].json.{ended.pid}.part", f".folder.{ended.pid}.part/parts"]
    kept = [
        f".a[1].json.{os.getppid()}.part",
        f".a[1].json.manifest.json.{ended.pid}.part",
        f".b.json.{ended.pid}.part",
        ".a[1].json.mine.part",
    ]
    for name in swept + kept:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("half")
    with whole_file(tmp_path / "a[1].json") as partial:
        partial.write_text("[]")
    with whole_folder(tmp_path / "folder"):
        pass
    assert {path.name for path in tmp_path.iterdir()} == {*kept, "a[1].json", "folder"}


def test_what_is_made_is_private_whatever_the_umask(tmp_path: Path):
    before = os.umask(0)
    try:
        with whole_file(tmp_path / "a.json") as partial:
            partial.write_text("[]")
        with whole_folder(tmp_path / "folder"):
            pass
    finally:
        os.umask(before)
    assert oct((tmp_path / "a.json").stat().st_mode & 0o777) == "0o600"
    assert oct((tmp_path / "folder").stat().st_mode & 0o777) == "0o700"


def test_what_cannot_be_seen_is_shown_as_an_escape():
    assert one_line("a\nb\x1b[0m\u202e\udc80") == r"a\nb\x1b[0m\u202e\udc80"
    assert one_line("Süd 好 👩‍🔬") == "Süd 好 👩‍🔬"


@pytest.mark.parametrize(
    "text", ["=1", "+1", "-1", "@a", "\ta", "\ra", "\na", " =1", "\u3000=1", "＝1"]
)
def test_a_cell_that_a_spreadsheet_might_run_begins_with_an_apostrophe(text: str):
    assert cell_text(text) == f"'{text}"
    assert cell_text(f"a{text}") == f"a{text}"
