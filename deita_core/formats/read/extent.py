"""How deep a JSON value is and where it ends, told by its brackets alone.

This needs neither the value whole in memory nor a stack as deep as it is nested: it is how a
record that is too long or too deep is passed over.
"""

from __future__ import annotations

import re

# A record nested deeper is not read: what JSON is made of recurses, in Python and in DuckDB.
MOST_NESTED = 500

_TEXT = r'"(?:[^"\\]++|\\.)*+"'
_PLAIN = rf'(?:[^"\[\]{{}}]++|{_TEXT})*+'
# All that leaves the depth as it is, with lists and objects that hold none.
_LEVEL = re.compile(rf'(?:[^"\[\]{{}}]++|{_TEXT}|\[{_PLAIN}\]|\{{{_PLAIN}\}})*+', re.DOTALL)
_OPENING = re.compile(r"[\[{]*(?=[\[{])")
_REST_OF_TEXT = re.compile(r'(?:[^"\\]++|\\.)*+', re.DOTALL)


class Extent:
    """Follows a value through pieces of text. deepest: how deeply it is nested, at least."""

    def __init__(self) -> None:
        self.deepest = 0
        self._depth = 0
        self._in_text = False
        self._escaped = False

    def end(self, text: str, at: int) -> int | None:
        """Where the value ends that begins at `at`, or goes on there; None if not in this text."""
        while at < len(text):
            if self._in_text:
                at = self._text_end(text, at)
                continue
            # Within the value only: at its start the first bracket is still to come.
            match = _LEVEL.match(text, at) if self._depth else None
            at = match.end() if match else at
            here = text[at : at + 1]
            at += 1
            if here == '"':
                self._in_text = True
            elif here in ("[", "{"):
                run = _OPENING.match(text, at)
                self._depth += 1 + (run.end() - at if run else 0)
                at = run.end() if run else at
                self.deepest = max(self.deepest, self._depth)
            elif here in ("]", "}"):
                self._depth -= 1
                if self._depth <= 0:
                    return at
        return None

    def _text_end(self, text: str, at: int) -> int:
        """Behind the quote that closes the text, or at the end of the piece."""
        if self._escaped:
            self._escaped = False
            return at + 1
        match = _REST_OF_TEXT.match(text, at)
        at = match.end() if match else at
        if at < len(text):
            self._in_text = text[at] != '"'
            self._escaped = text[at] == "\\"
        return at + 1


def too_deep(text: str, at: int, end: int) -> bool:
    """Whether the value between these places is nested more than `MOST_NESTED` deep."""
    if text.count("[", at, end) + text.count("{", at, end) <= MOST_NESTED:
        return False
    extent = Extent()
    extent.end(text[at:end], 0)
    return extent.deepest + 1 > MOST_NESTED
