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
# Of the packed bytes, taken at once. What comes out of one step is held whole: gzip can be told
# how much, while a step of zstd can grow to 32,768 times itself.
_STEPS = {"gzip": CHUNK // 8, "zstd": 512}
# A file that unpacks to more than this, and to this many times its size, is not read further.
MOST_UNPACKED = 64_000_000
MOST_TIMES = 200
GZIP_MAGIC = b"\x1f\x8b\x08"  # with deflate, the one method there is
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
# Ways to pack that are not read.
_PACKED = {
    rb"\xfd7zXZ\0": "xz",
    rb"BZh\d1A": "bzip2",
    rb"PK\x03\x04": "zip",
    rb"7z\xbc\xaf": "7-Zip",
}
_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff", b"\0\0\xfe\xff")
_BAD_BYTE = re.compile("[\udc80-\udcff]")
BAD_BYTES = "it contains bytes that are not UTF-8 (shown as \\xNN in the raw text)"

# Of a record that is too long, this many characters are kept to show.
SHOWN = 1_000

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
        """Raises FormatError for UTF-16 and UTF-32, PoolError when the file cannot be opened."""
        decoder = codecs.getincrementaldecoder("utf-8")("surrogateescape")
        pieces = self.pieces()
        head = next(pieces, b"")
        # Every second byte of Latin text in UTF-16 is zero, three of four are in UTF-32.
        zeros = head[:1000].count(0)
        if zeros and (head.startswith(_UTF16_BOMS) or zeros > len(head[:1000]) / 3):
            raise FormatError(
                f"{self.path.name} is no UTF-8 text, rather UTF-16, UTF-32 or no text at all; "
                "save it as UTF-8 and import it again"
            )
        for piece in chain([head.removeprefix(_UTF8_BOM)], pieces):
            yield decoder.decode(piece)
        if rest := decoder.decode(b"", True):
            yield rest

    def pieces(self) -> Iterator[bytes]:
        """The decompressed bytes; a stream that breaks off sets `failure` and ends."""
        try:
            with self.path.open("rb") as file:
                if self.compression:
                    yield from _together(self._unpacked(file))
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

        inflate, pending, unpacked = fresh(), b"", 0
        try:
            while pending or (pending := file.read(_STEPS[self.compression])):
                if inflate.eof:
                    # Several members may follow each other; zeros may pad the last one of gzip.
                    if gzip and not pending.strip(b"\0"):
                        return
                    inflate = fresh()
                if piece := inflate.decompress(pending, *limit):
                    yield piece
                unpacked += len(piece)
                if unpacked > max(MOST_UNPACKED, MOST_TIMES * file.tell()):
                    self.failure = grows_too_much(unpacked)
                    return
                pending = inflate.unused_data if inflate.eof else inflate.unconsumed_tail
        except (zlib.error, zstandard.ZstdError) as error:
            self.failure = f"the {self.compression} stream is damaged ({error})"
            return
        if not inflate.eof:
            self.failure = f"the {self.compression} stream ends too early: the file is cut off"


def _together(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """The same bytes in pieces of at least `CHUNK`."""
    held: list[bytes] = []
    size = 0
    for piece in pieces:
        held.append(piece)
        size += len(piece)
        if size >= CHUNK:
            yield b"".join(held)
            held, size = [], 0
    if held:
        yield b"".join(held)


def compression_of(path: Path) -> str:
    """ "gzip", "zstd" or "", told by the first bytes.

    Raises PathError when there is no file, FormatError when it is packed in another way.
    """
    if not path.is_file():
        raise PathError(f"there is no file {path}: check the name")
    try:
        with path.open("rb") as file:
            head = file.read(6)
    except OSError as error:
        raise PoolError(f"{path.name} cannot be read: {error}") from error
    if head.startswith(GZIP_MAGIC):
        return "gzip"
    for magic, packer in _PACKED.items():
        if re.match(magic, head):
            raise FormatError(
                f"{path.name} is packed with {packer}; unpack it, or pack it with gzip or zstd"
            )
    return "zstd" if head.startswith(ZSTD_MAGIC) else ""


def has_bad_bytes(text: str) -> bool:
    """True where a byte of the file was not valid UTF-8."""
    return not text.isascii() and _BAD_BYTE.search(text) is not None


def show_bad_bytes(text: str) -> str:
    r"""The text with each bad byte written as \xNN, so that it can be stored and shown."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def too_long(what: str, length: int, limit: int) -> str:
    """Why it is not read."""
    return f"{what} of {length:,} characters is longer than {limit:,}: split it or leave it out"


def grows_too_much(unpacked: int) -> str:
    """Why a packed file is not read further than these bytes or characters."""
    return (
        f"it unpacks to more than {MOST_TIMES} times its size, as no text does: reading stopped "
        f"after {unpacked:,} bytes; unpack it yourself to go on"
    )


def shortened(text: str, most: int = 300) -> str:
    """The text, or its beginning when it is too long for a message."""
    return text if len(text) <= most else f"{text[:most]}…"
