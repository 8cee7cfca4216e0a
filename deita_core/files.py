"""Files and folders that appear whole or not at all, their SHA-256, and the data folder's fence."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from deita_core.errors import PathError


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary path beside `path` to write to, which takes its place when the block ends.

    After an error nothing is left behind, and a file that was at `path` is still there.
    """
    partial = _partial(path)
    try:
        yield partial
        with partial.open("rb+") as file:
            os.fsync(file)
        os.replace(partial, path)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


@contextmanager
def whole_folder(path: Path) -> Iterator[Path]:
    """An empty temporary folder beside `path`, which takes its place when the block ends.

    After an error nothing is left behind, and a folder that was at `path` is still there.
    """
    partial = _partial(path)
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    try:
        yield partial
        replace_folder(partial, path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def replace_folder(finished: Path, path: Path) -> None:
    """Rename a finished folder to `path`; one that is there goes away."""
    path.parent.mkdir(parents=True, exist_ok=True)
    before = path.with_name(f".{path.name}.old")
    shutil.rmtree(before, ignore_errors=True)
    if path.exists():
        os.rename(path, before)
    os.rename(finished, path)
    shutil.rmtree(before, ignore_errors=True)


def is_unfinished(path: Path) -> bool:
    """Whether it is the temporary file or folder of a write that has not ended."""
    return path.name.startswith(".") and path.suffix == ".part"


def _partial(path: Path) -> Path:
    # The process id keeps two processes that write the same file out of each other's way.
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def sha256_of(path: Path) -> str:
    """64 hex digits. Raises OSError when the file cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def resolve_below(root: Path, user_path: str) -> Path:
    """The file or folder below `root` that a user named, all symbolic links followed.

    Raises PathError for what is not there, or lies outside by "..", absolute path or link.
    """
    named = user_path.strip()
    if not named or "\0" in named:
        raise PathError("name a file below the data folder")
    try:
        base = root.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise PathError(f"the data folder {root} does not exist: create it") from error
    try:
        # Resolved before any access, so that nothing outside is ever probed.
        target = (base / named).resolve(strict=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise PathError(f"{named!r} is not a usable path") from error
    if not target.is_relative_to(base):
        raise PathError(
            f"{named!r} lies outside the data folder: copy the file into it, or upload it"
        )
    if not os.path.exists(target):  # False, too, where the system refuses to look
        raise PathError(f"there is no {named!r} in the data folder: check the name")
    return target
