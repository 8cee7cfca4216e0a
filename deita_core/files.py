"""Files and folders that appear whole or not at all, their SHA-256, and the data folder's fence.

What is made here only its owner can read, whatever the umask. Also text made safe for one line, and
for a cell of a spreadsheet.
"""

from __future__ import annotations

import fcntl
import glob
import hashlib
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

from deita_core.errors import PathError

PRIVATE_FILE, PRIVATE_FOLDER, PRIVATE_UMASK = 0o600, 0o700, 0o077


def private_folder(folder: Path) -> None:
    """Make a folder, with those above it that are missing, which only its owner can enter."""
    missing = [one for one in (folder, *folder.parents) if not one.exists()]
    for one in reversed(missing):
        one.mkdir(PRIVATE_FOLDER, exist_ok=True)


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` to write to, which takes its place when the block ends.

    After an error nothing is left behind, and a file that was at `path` is still there.
    """
    sweep(path)
    partial = partial_path(path)
    try:
        partial.touch(PRIVATE_FILE)
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
    sweep(path)
    partial = partial_path(path)
    shutil.rmtree(partial, ignore_errors=True)
    private_folder(partial)
    try:
        yield partial
        replace_folder(partial, path)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise


def replace_folder(finished: Path, path: Path) -> None:
    """Rename a finished folder to `path`; one that is there goes away."""
    private_folder(path.parent)
    before = path.with_name(f".{path.name}.old")
    shutil.rmtree(before, ignore_errors=True)
    if path.exists():
        os.rename(path, before)
    os.rename(finished, path)
    shutil.rmtree(before, ignore_errors=True)


def is_unfinished(path: Path) -> bool:
    """Whether it is the temporary file or folder of a write that has not ended."""
    return path.name.startswith(".") and path.suffix == ".part"


def partial_path(path: Path) -> Path:
    """Where this process writes what will be at `path`."""
    # The process id keeps two processes that write the same file out of each other's way.
    return path.with_name(f".{path.name}.{os.getpid()}.part")


def sweep(path: Path) -> None:
    """Delete what writes of the same file or folder left behind whose processes were killed."""
    for left in path.parent.glob(f".{glob.escape(path.name)}.*.part"):
        process = left.name.removeprefix(f".{path.name}.").removesuffix(".part")
        if process.isdecimal() and not psutil.pid_exists(int(process)):
            with suppress(FileNotFoundError):
                shutil.rmtree(left) if left.is_dir() else left.unlink()


@contextmanager
def locked_folder(folder: Path) -> Iterator[None]:
    """Hold others that ask for the same folder off, in this process too, until the block ends."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        with suppress(OSError):  # a file system without locks: nothing better is to be had
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


# Control characters, other ends of lines, changes of direction, and halves of surrogate pairs.
_UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def one_line(text: str) -> str:
    """The text with what is no visible character of a line written as an escape, such as `\\n`."""
    return _UNSEEN.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


# What a spreadsheet may run as a formula: one of these signs, of the usual or of full width, also
# behind white space; a tab or a line end alone can move the rest into a cell of its own.
_FORMULA = re.compile(r"[\t\r\n]|\s*[=+\-@＝＋－＠]")


def cell_text(text: str) -> str:
    """The text for a cell of a CSV: with an apostrophe before what a spreadsheet would run."""
    return f"'{text}" if _FORMULA.match(text) else text


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
