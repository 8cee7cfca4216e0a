"""A revision for the models of a local folder: a hash of what is in it."""

from __future__ import annotations

import hashlib
from pathlib import Path

# A file up to this size is hashed whole, of a larger one evenly spread pieces: other weights
# (a fine-tuning changes nearly every number) give another hash, and 26 GB need no minute.
WHOLE = 64 << 20
PIECE = 1 << 20
PIECES = 32
_READ = (".json", ".safetensors", ".bin", ".model", ".txt", ".pt")


def folder_revision(folder: Path) -> str:
    """32 hex digits of the names, sizes and contents of the model files in a folder."""
    digest = hashlib.blake2b(digest_size=16)
    for path in sorted(folder.rglob("*")):
        if path.suffix in _READ and path.is_file():
            size = path.stat().st_size
            digest.update(f"{path.relative_to(folder)}\0{size}\0".encode())
            with path.open("rb") as file:
                if size <= WHOLE:
                    digest.update(file.read())
                    continue
                for piece in range(PIECES):
                    file.seek((size - PIECE) * piece // (PIECES - 1))
                    digest.update(file.read(PIECE))
    return digest.hexdigest()
