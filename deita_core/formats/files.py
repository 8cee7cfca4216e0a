"""SHA-256 of files: how pool files and exports are recognised.

The fence around the data folder: what a browser may name.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from deita_core.errors import PathError


def sha256_of(path: Path) -> str:
    """64 hex digits: SHA-256 of the bytes of the file. Raises OSError when it cannot be read."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def resolve_below(root: Path, user_path: str) -> Path:
    """The file or folder below `root` that a user named, all symbolic links followed.

    Raises PathError for anything that is not there, and for anything that lies outside the
    data folder, whether by "..", by an absolute path or by a symbolic link.
    """
    named = user_path.strip()
    if not named or "\0" in named:
        raise PathError("name a file below the data folder")
    try:
        base = root.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        raise PathError(f"the data folder {root} does not exist: create it") from error
    try:
        # Resolved before anything is looked at, so that nothing outside is ever probed.
        target = (base / named).resolve(strict=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise PathError(f"{named!r} is not a usable path") from error
    if target != base and base not in target.parents:
        raise PathError(
            f"{named!r} lies outside the data folder: copy the file into it, or upload it"
        )
    try:
        exists = target.exists()
    except OSError:
        exists = False
    if not exists:
        raise PathError(f"there is no {named!r} in the data folder: check the name")
    return target
