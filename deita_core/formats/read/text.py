"""The text of a pool file: decompressed and decoded piece by piece.

Invalid UTF-8 does not stop the reading: each bad byte b becomes the lone surrogate U+DC00 + b
(Python's "surrogateescape"), which valid text never contains, so the row around it can be
found and rejected later (`has_bad_bytes`, `show_bad_bytes`).
"""

from __future__ import annotations

import codecs
import re
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any, BinaryIO

from deita_core.errors import FormatError, PathError, PoolError

CHUNK = 1 << 20
GZIP_MAGIC = b"\x1f\x8b\x08"  # with deflate, the one method there is
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")
_BAD_BYTE = re.compile("[\udc80-\udcff]")
BAD_BYTES = "it contains bytes that are not UTF-8 (shown as \\xNN in the raw text)"

# Whether a JSON value can be a row.
IsRecord = Callable[[object], bool]


@dataclass(frozen=True, slots=True)
class Record:
    """One JSON value of a file, with its text as found there.

    line: 1-based, None where the container has no lines. notes: what was odd around it.
    """

    line: int | None
    raw: str
    value: object
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Damage:
    """A stretch of a file that could not be read as a record."""

    line: int | None
    raw: str
    reason: str


class TextStream:
    """The text of a file in pieces of 1 MB; afterwards `failure` says why it broke off, or ""."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.compression = compression_of(path)
        self.failure = ""

    def __iter__(self) -> Iterator[str]:
        """Raises FormatError for UTF-16, PoolError when the file cannot be opened."""
        decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        pieces = self.pieces()
        head = next(pieces, b"")
        if head.startswith(_UTF16_BOMS) and b"\0" in head[:100]:
            raise FormatError(f"{self.path.name} is UTF-16; save it as UTF-8 and import it again")
        for piece in chain([head.removeprefix(_UTF8_BOM)], pieces):
            yield decoder.decode(piece)
        if rest := decoder.decode(b"", True):
            yield rest

    def pieces(self) -> Iterator[bytes]:
        """The decompressed bytes; a stream that breaks off sets `failure` and ends."""
        try:
            with self.path.open("rb") as file:
                if self.compression:
                    yield from self._unpacked(file)
                else:
                    while piece := file.read(CHUNK):
                        yield piece
        except OSError as error:
            raise PoolError(f"{self.path.name} cannot be read: {error}") from error

    def _unpacked(self, file: BinaryIO) -> Iterator[bytes]:
        import zstandard

        gzip = self.compression == "gzip"
        limit = (CHUNK,) if gzip else ()

        def fresh() -> Any:
            return zlib.decompressobj(31) if gzip else zstandard.ZstdDecompressor().decompressobj()

        inflate, pending = fresh(), b""
        try:
            while pending or (pending := file.read(CHUNK // 8)):
                if inflate.eof:
                    # Several members may follow each other; zeros may pad the last one of gzip.
                    if gzip and not pending.strip(b"\0"):
                        return
                    inflate = fresh()
                if piece := inflate.decompress(pending, *limit):
                    yield piece
                pending = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
        except (zlib.error, zstandard.ZstdError) as error:
            self.failure = f"the {self.compression} stream is damaged ({error})"
            return
        if not inflate.eof:
            self.failure = f"the {self.compression} stream ends too early: the file is cut off"


def compression_of(path: Path) -> str:
    """ "gzip", "zstd" or "", told by the first bytes. Raises PathError when there is no file."""
    if not path.is_file():
        raise PathError(f"there is no file {path}: check the name")
    try:
        with path.open("rb") as file:
            head = file.read(4)
    except OSError as error:
        raise PoolError(f"{path.name} cannot be read: {error}") from error
    if head.startswith(GZIP_MAGIC):
        return "gzip"
    return "zstd" if head == ZSTD_MAGIC else ""


def has_bad_bytes(text: str) -> bool:
    """True where a byte of the file was not valid UTF-8."""
    return not text.isascii() and _BAD_BYTE.search(text) is not None


def show_bad_bytes(text: str) -> str:
    r"""The text with each bad byte written as \xNN, so that it can be stored and shown."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")
