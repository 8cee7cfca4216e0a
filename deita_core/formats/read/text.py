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
from pathlib import Path
from typing import BinaryIO

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
    """The text of a file in pieces of about 1 MB of bytes.

    failure: after the last piece, why the compressed stream broke off, or "".
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.compression = compression_of(path)
        self.failure = ""

    def __iter__(self) -> Iterator[str]:
        """Raises FormatError for UTF-16, PoolError when the file cannot be opened."""
        decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        first = True
        for piece in self.pieces():
            if first:
                _refuse_utf16(self.path, piece)
                piece = piece.removeprefix(_UTF8_BOM)
                first = False
            yield decoder.decode(piece)
        rest = decoder.decode(b"", True)
        if rest:
            yield rest

    def pieces(self) -> Iterator[bytes]:
        """The decompressed bytes; a stream that breaks off sets `failure` and ends."""
        try:
            with self.path.open("rb") as file:
                if self.compression == "gzip":
                    yield from self._gunzip(file)
                elif self.compression == "zstd":
                    yield from self._unzstd(file)
                else:
                    while piece := file.read(CHUNK):
                        yield piece
        except OSError as error:
            raise PoolError(f"{self.path.name} cannot be read: {error}") from error

    def _gunzip(self, file: BinaryIO) -> Iterator[bytes]:
        inflate = zlib.decompressobj(wbits=31)
        pending = b""
        try:
            while pending or (pending := file.read(CHUNK // 8)):
                if inflate.eof:
                    # Several gzip members may follow each other; zeros may pad the last one.
                    if not pending.strip(b"\0"):
                        return
                    inflate = zlib.decompressobj(wbits=31)
                piece = inflate.decompress(pending, CHUNK)
                pending = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
                if piece:
                    yield piece
        except zlib.error as error:
            self.failure = f"the gzip stream is damaged ({error})"
            return
        if not inflate.eof:
            self.failure = "the gzip stream ends too early: the file is cut off"

    def _unzstd(self, file: BinaryIO) -> Iterator[bytes]:
        import zstandard

        inflate = zstandard.ZstdDecompressor().decompressobj()
        try:
            while pending := file.read(CHUNK // 8):
                while pending:
                    if inflate.eof:
                        inflate = zstandard.ZstdDecompressor().decompressobj()
                    if piece := inflate.decompress(pending):
                        yield piece
                    pending = inflate.unused_data if inflate.eof else b""
        except zstandard.ZstdError as error:
            self.failure = f"the zstd stream is damaged ({error})"
            return
        if not inflate.eof:
            self.failure = "the zstd stream ends too early: the file is cut off"


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


def _refuse_utf16(path: Path, head: bytes) -> None:
    if head.startswith(_UTF16_BOMS) and b"\0" in head[:100]:
        raise FormatError(f"{path.name} is UTF-16; save it as UTF-8 and import it again")
