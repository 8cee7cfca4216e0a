"""The window through which JSON text passes, and the parsing of one value in it."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass

from deita_core.formats.text_stream import TextStream, show_bad_bytes

# An error this close to the end of the window may only be a record that is not all there yet:
# the longest token that can be cut is a surrogate pair of escapes.
TOKEN = 13
_STRICT = json.JSONDecoder()
_LENIENT = json.JSONDecoder(strict=False)


class Window:
    """A piece of the text: `at` is where we are, `line` its 1-based line number."""

    def __init__(self, stream: TextStream) -> None:
        self._pieces = iter(stream)
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
        pieces, wanted = [kept], max(1, len(kept))
        while wanted > 0:
            piece = next(self._pieces, None)
            if piece is None:
                self.complete = True
                break
            pieces.append(piece)
            wanted -= len(piece)
        self.text, self.at = "".join(pieces), 0
        return len(self.text) > len(kept)

    def advance(self, to: int) -> None:
        self.line += self.text.count("\n", self.at, to)
        self.at = to

    def skip(self, pattern: re.Pattern[str]) -> str:
        """Passes over what the pattern matches, across pieces, and returns it."""
        passed = []
        while True:
            match = pattern.match(self.text, self.at)
            end = match.end() if match else self.at
            passed.append(self.text[self.at : end])
            self.advance(end)
            if end < len(self.text) or not self.more():
                return "".join(passed)

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
    if parsed.reason.startswith("Invalid control character"):
        # Line breaks and tabs typed into a string: readable, though not JSON.
        relaxed = _parse(text, at, _LENIENT)
        if not relaxed.reason:
            return Parsed(relaxed.value, relaxed.end, lenient=True)
        return Parsed(reason=parsed.reason, cut=relaxed.cut)
    return parsed


def _parse(text: str, at: int, decoder: json.JSONDecoder) -> Parsed:
    try:
        value, end = decoder.raw_decode(text, at)
    except json.JSONDecodeError as error:
        cut = error.msg.startswith("Unterminated") or error.pos >= len(text) - TOKEN
        near = show_bad_bytes(text[max(at, error.pos - 20) : error.pos + TOKEN - 1])
        return Parsed(reason=f"{error.msg.removesuffix(' at')} near {near!r}", cut=cut)
    except RecursionError:
        return Parsed(reason="Nested too deeply to be a record")
    except ValueError as error:  # an integer of thousands of digits
        return Parsed(reason=str(error))
    return Parsed(value, end)
