"""Records of JSON text, streamed: an array of any length, JSON Lines, or values in a row.

The text passes through a window that holds a little more than the record being read. After damage
reading goes on at the next place where a record parses; what lies between comes out as one
`Damage` for each record that can be told apart.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from deita_core.formats.read.extent import MOST_NESTED, Extent, too_deep
from deita_core.formats.read.text import (
    BAD_BYTES,
    SHOWN,
    Damage,
    IsRecord,
    Record,
    TextStream,
    has_bad_bytes,
    show_bad_bytes,
    too_long,
)

# An error this close to the end of the window may only be a record that is not all there yet:
# the longest token that can be cut is a surrogate pair of escapes.
TOKEN = 13
_STRICT = json.JSONDecoder()
_LENIENT = json.JSONDecoder(strict=False)
_TOO_DEEP = f"nested more than {MOST_NESTED} deep: flatten it or leave it out"


class JsonWindow:
    """A piece of the text: `at` is where we are, `line` its 1-based line number."""

    def __init__(self, stream: TextStream, is_record: IsRecord) -> None:
        self._pieces = iter(stream)
        self.is_record = is_record
        self.text = ""
        self.at = 0
        self.line = 1
        self.complete = False
        self.last = ""  # the last record read, to know another one by its first key

    def more(self) -> bool:
        """Drops what was read, adds at least as much again; False at the end of the file."""
        if self.complete:
            return False
        kept = self.text[self.at :]
        pieces, added = [kept], 0
        while added < max(1, len(kept)):
            piece = next(self._pieces, None)
            if piece is None:
                self.complete = True
                break
            pieces.append(piece)
            added += len(piece)
        self.text, self.at = "".join(pieces), 0
        return added > 0

    def advance(self, to: int) -> None:
        self.line += self.text.count("\n", self.at, to)
        self.at = to

    def skip(self, pattern: re.Pattern[str]) -> str:
        """Passes over what the pattern matches, across pieces, and returns it."""
        passed = ""
        while True:
            end = skip(self.text, self.at, pattern)
            passed += self.text[self.at : end]
            self.advance(end)
            if end < len(self.text) or not self.more():
                return passed

    def peek(self) -> str:
        """The next character, "" at the end."""
        if self.at >= len(self.text):
            self.more()
        return self.text[self.at : self.at + 1]


@dataclass(frozen=True, slots=True)
class Parsed:
    """A value of the window and where it ends; `reason` says why there is none."""

    value: object = None
    end: int = 0
    reason: str = ""
    cut: bool = False
    lenient: bool = False


def parse(text: str, at: int) -> Parsed:
    """The JSON value at `at`. cut: the text may just not go on far enough."""
    parsed = _parse(text, at, _STRICT)
    if not parsed.reason.startswith("Invalid control character"):
        return parsed
    # Line breaks and tabs typed into a string: readable, though not JSON.
    relaxed = _parse(text, at, _LENIENT)
    if relaxed.reason:
        return replace(relaxed, reason=parsed.reason)
    return replace(relaxed, lenient=True)


def _parse(text: str, at: int, decoder: json.JSONDecoder) -> Parsed:
    try:
        value, end = decoder.raw_decode(text, at)
    except json.JSONDecodeError as error:
        cut = error.msg.startswith("Unterminated") or error.pos >= len(text) - TOKEN
        near = show_bad_bytes(text[max(at, error.pos - 20) : error.pos + TOKEN - 1])
        return Parsed(reason=f"{error.msg.removesuffix(' at')} near {near!r}", cut=cut)
    except RecursionError:
        return Parsed(reason=_TOO_DEEP)
    except ValueError:
        digits = f"{sys.get_int_max_str_digits():,}"
        return Parsed(
            reason=f"a number has more than {digits} digits: shorten it or make it a text"
        )
    if isinstance(value, list | dict) and too_deep(text, at, end):
        return Parsed(reason=_TOO_DEEP)
    return Parsed(value, end)


# A longer record is passed over, and a stretch of damage given up in pieces: memory stays bounded.
LONGEST_RECORD = 32_000_000
SPACE = re.compile(r"[ \t\r\n]*")
_GAP = re.compile(r"[\s,\ufeff]*")
_COLON = re.compile(r"\s*:")
_OPENING = re.compile(r'[{\[]\s*["\[{]')
_BRACKETS = re.compile(r"\[+")
_FIRST_KEY = re.compile(r'\{\s*("(?:[^"\\]|\\.)*"\s*:)')


# How the records stand in the text.
Style = Literal["array", "lines", "values"]


@dataclass(frozen=True, slots=True)
class Start:
    """Where the records begin: `offset` characters into the text; wrapped: inside an object."""

    style: Style
    offset: int = 0
    wrapped: bool = False


def scan(stream: TextStream, start: Start, is_record: IsRecord) -> Iterator[Record | Damage]:
    """Every record and every damaged stretch, in the order of the file."""
    window = JsonWindow(stream, is_record)
    window.more()
    while len(window.text) < start.offset and window.more():
        pass
    window.advance(start.offset)
    if start.style == "lines":
        yield from _lines(window)
    elif start.style == "values":
        yield from _values(window)
    else:
        yield from _array(window, start.wrapped)
    if stream.failure:
        yield Damage(window.line, "", stream.failure)


def _record(line: int, raw: str, parsed: Parsed, notes: tuple[str, ...] = ()) -> Record | Damage:
    if has_bad_bytes(raw):
        return Damage(line, show_bad_bytes(raw), BAD_BYTES)
    if parsed.lenient:
        notes = (*notes, "line breaks or tabs inside a text were not escaped")
    return Record(line, raw, parsed.value, notes)


def _lines(window: JsonWindow) -> Iterator[Record | Damage]:
    while window.peek():
        end = window.text.find("\n", window.at)
        while end < 0 and len(window.text) - window.at < LONGEST_RECORD and window.more():
            end = window.text.find("\n", window.at)
        whole = end >= 0 or window.complete
        end = len(window.text) if end < 0 else end + 1
        line = window.text[window.at : end]
        begun = 0
        if line and not line.isspace():
            begun = yield from _line(window, line, whole)
        if begun < 0:
            yield _passed_over_line(window)
        else:
            window.advance(window.at + begun if begun else end)


def _line(window: JsonWindow, line: str, whole: bool) -> Generator[Record | Damage, None, int]:
    """The record of a line; several, where records are glued together on it.

    whole: the line ends here. Returns where in it the record begins for which more is to be read,
    negative when it is too long, and 0 when all is done.
    """
    at = skip(line, 0)
    while at < len(line):
        parsed = parse(line, at)
        if parsed.reason and parsed.cut and not whole:
            return at if at > TOKEN else -1
        if parsed.reason == _TOO_DEEP:
            end = Extent().end(line, at) or len(line)
            yield Damage(window.line, show_bad_bytes(line[at:end]), _TOO_DEEP)
        elif parsed.reason:
            yield from _damaged_line(window, line[at:], parsed.reason)
            return 0
        else:
            end = parsed.end
            window.last = line[at:end]
            yield _record(window.line, window.last, parsed)
        at = skip(line, end)
    return 0


def _passed_over_line(window: JsonWindow) -> Damage:
    """The rest of a line that is too long to be read."""
    line, shown, length = window.line, show_bad_bytes(window.text[window.at :][:SHOWN]), 0
    while True:
        end = window.text.find("\n", window.at)
        stop = len(window.text) if end < 0 else end
        length += stop - window.at
        window.advance(stop)
        if end >= 0 or not window.more():
            return Damage(line, f"{shown}…", too_long("a record", length, LONGEST_RECORD))


def skip(text: str, at: int, pattern: re.Pattern[str] = _GAP) -> int:
    """The place behind what the pattern matches at `at`."""
    match = pattern.match(text, at)
    return match.end() if match else at


def _damaged_line(window: JsonWindow, text: str, reason: str) -> Iterator[Record | Damage]:
    """What can be read of a damaged line."""
    while text:
        # The stretch begins with what is damaged, or with what follows a record saved from it.
        start, parsed = _next_record(text, 0, window.is_record)
        yield from _split(text[:start] if parsed else text, window.line, reason, window.last)
        if parsed is None:
            return
        raw = text[start : parsed.end]
        yield _record(window.line, raw, parsed, ("next to damage in the file",))
        text = text[skip(text, parsed.end) :]
        reason = "the rest of a damaged line"


def _next_record(
    text: str, at: int, is_record: IsRecord, complete: bool = True
) -> tuple[int, Parsed | None]:
    """The next record at `at` or later, and where; without one, where to go on with more text."""
    for start in _openings(text, at):
        parsed = parse(text, start)
        if not parsed.reason and is_record(parsed.value):
            return start, parsed
        if parsed.cut and not complete:
            return start, None
    return max(at, len(text) - TOKEN), None


def _openings(text: str, at: int) -> Iterator[int]:
    """Where a record may begin, without brackets that so many others follow that none parses."""
    run_end = 0
    for match in _OPENING.finditer(text, at):
        start = match.start()
        if start >= run_end and (run := _BRACKETS.match(text, start)):
            run_end = run.end()
        if run_end - start < sys.getrecursionlimit():
            yield start


def _split(text: str, line: int, reason: str, like: str) -> Iterator[Damage]:
    """Damage, cut before each object that begins with the same key as it, or as `like`, does."""
    firsts = {match.group(1) for match in map(_FIRST_KEY.match, (text, like)) if match}
    starts = [0]
    if firsts:
        again = re.compile(r"\{\s*(?:" + "|".join(map(re.escape, sorted(firsts))) + ")")
        starts += [match.start() for match in again.finditer(text, 1)]
    for begin, end in zip(starts, [*starts[1:], len(text)], strict=True):
        raw = text[begin:end].strip()
        if raw:
            yield Damage(line, show_bad_bytes(raw), f"not valid JSON: {reason}")
        line += text.count("\n", begin, end)


def _values(window: JsonWindow) -> Iterator[Record | Damage]:
    window.skip(_GAP)
    while window.peek():
        yield from _value(window)
        window.skip(_GAP)


def _value(window: JsonWindow, notes: tuple[str, ...] = ()) -> Iterator[Record | Damage]:
    """The value at the window's place, or the damage there up to the next record."""
    while True:
        parsed = parse(window.text, window.at)
        # A number that ends with the window may go on in the next piece.
        cut = parsed.cut if parsed.reason else parsed.end == len(window.text)
        enough = len(window.text) - window.at > LONGEST_RECORD
        if not cut or enough or not window.more():
            break
    reason = parsed.reason
    if reason == _TOO_DEEP or (reason and cut and enough and not _record_within(window)):
        yield _passed_over(window, reason)
        return
    if not reason and isinstance(parsed.value, str) and _COLON.match(window.text, parsed.end):
        reason = "a field stands outside of a record: its opening brace is missing"
    if reason:
        yield from _damage(window, reason)
    elif _holds_records(parsed.value, window.is_record):
        yield Damage(window.line, "[", "an opening bracket too many stands before a record")
        window.advance(window.at + 1)
    else:
        window.last = window.text[window.at : parsed.end]
        yield _record(window.line, window.last, parsed, notes)
        window.advance(parsed.end)


def _record_within(window: JsonWindow) -> bool:
    """Whether what seems too long is rather a short damaged record with others behind it."""

    def is_object(value: object) -> bool:
        return isinstance(value, dict) and window.is_record(value)

    return _next_record(window.text, window.at + 1, is_object)[1] is not None


def _passed_over(window: JsonWindow, reason: str) -> Damage:
    """A value that is too long or too deep; leaves the window behind it."""
    line, begun, extent, length = window.line, window.text[window.at :][:SHOWN], Extent(), 0
    while True:
        end = extent.end(window.text, window.at)
        stop = len(window.text) if end is None else end
        length += stop - window.at
        window.advance(stop)
        if end is not None or not window.more():
            break
    if reason != _TOO_DEEP:
        reason = too_long("a record", length, LONGEST_RECORD)
    return Damage(line, f"{show_bad_bytes(begun)}{'…' if length > SHOWN else ''}", reason)


def _holds_records(value: object, is_record: IsRecord) -> bool:
    """Whether it is a list of records, and none itself."""
    items = value if isinstance(value, list) and not is_record(value) else ()
    return any(isinstance(item, dict) and is_record(item) for item in items)


def _damage(window: JsonWindow, reason: str) -> Iterator[Damage]:
    """Passes over damage; leaves the window at the next place where a record parses."""
    searched = 1
    while True:
        at = window.at + searched
        start, found = _next_record(window.text, at, window.is_record, window.complete)
        if found or window.complete or len(window.text) - window.at > LONGEST_RECORD:
            break
        searched = start - window.at
        window.more()
    end = start if found else len(window.text)
    yield from _split(window.text[window.at : end], window.line, reason, window.last)
    window.advance(end)


def _array(window: JsonWindow, wrapped: bool) -> Iterator[Record | Damage]:
    """The elements of an array; the window stands behind its opening bracket."""
    first, closed, damaged = True, False, False
    while True:
        line = window.line
        gap = window.skip(_GAP)
        here = window.peek()
        if not here:
            if not closed and not damaged:
                yield Damage(window.line, "", "the file ends inside its array: it is cut off")
            return
        if here == "]" and not closed:
            if "," in gap:
                yield Damage(line, f"{gap.strip()}]", "a comma is followed by no record")
            window.advance(window.at + 1)
            closed = True
        elif closed and wrapped and here in ',}"':
            if not _next_member(window):
                return
            first, closed = True, False
        elif closed and here == "[":
            window.advance(window.at + 1)
            first, closed = True, False
        else:
            notes: tuple[str, ...] = ()
            if closed:
                notes = ("stands behind the end of the array",)
            elif not (first or damaged or "," in gap):
                notes = ("no comma before it in the file",)
            damaged = False
            for found in _value(window, notes):
                damaged = isinstance(found, Damage)
                yield found
            first = False


def _next_member(window: JsonWindow) -> bool:
    """In an object, goes behind the bracket of the next member that is an array of records."""
    while True:
        window.skip(_GAP)
        if window.peek() != '"':
            return False
        is_key = _pass_value(window)
        window.skip(SPACE)
        if not is_key or window.peek() != ":":
            return False
        window.advance(window.at + 1)
        window.skip(SPACE)
        if window.peek() == "[":
            window.advance(window.at + 1)
            return True
        if not _pass_value(window):
            return False


def _pass_value(window: JsonWindow) -> bool:
    """Goes behind the value at the window's place; False where there is none."""
    while (parsed := parse(window.text, window.at)).cut and window.more():
        pass
    if not parsed.reason:
        window.advance(parsed.end)
    return not parsed.reason
