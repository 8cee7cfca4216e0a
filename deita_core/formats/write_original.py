"""The original records, untouched, one per line.

A tree of messages that were records of their own (OASST) becomes these records again.
"""

from __future__ import annotations

import json
from typing import BinaryIO

from deita_core.formats.flat_trees import FLAT_TREE
from deita_core.formats.write_model import ExportFormat, ExportRow, NotExpressibleError


class OriginalSink:
    """JSON Lines of the records as they were read: unknown fields, spacing and all."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def add(self, row: ExportRow) -> frozenset[str]:
        """Appends the original record; for a tree of messages, each of its messages."""
        for line in _lines(row.raw):
            self._file.write(line + b"\n")
        return frozenset()

    def close(self) -> None:
        """Nothing to complete."""


def _lines(raw: str) -> list[bytes]:
    # In valid JSON a bare line end is never part of a string, so that a blank is the same value.
    line = raw.strip().replace("\r", " ").replace("\n", " ")
    try:
        value = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise NotExpressibleError(f"the original record is not JSON: {error}") from error
    texts = _elements(line) if _is_flat_tree(value) else [line]
    try:
        return [text.encode("utf-8") for text in texts]
    except UnicodeEncodeError as error:
        raise NotExpressibleError("the original record holds a lone surrogate") from error


def _is_flat_tree(value: object) -> bool:
    """Whether this is a tree whose messages were records of their own in the pool file."""
    return (
        isinstance(value, list)
        and bool(value)
        and all(FLAT_TREE.fits(message) is not None for message in value)
    )


def _elements(array: str) -> list[str]:
    """The texts of the elements of a JSON array, each exactly as it stands there."""
    decoder = json.JSONDecoder()
    found: list[str] = []
    at = 1
    while True:
        while array[at] in ", \t":
            at += 1
        if array[at] == "]":
            return found
        _, end = decoder.raw_decode(array, at)
        found.append(array[at:end])
        at = end


def _open(file: BinaryIO, with_scores: bool) -> OriginalSink:
    # Untouched means untouched: scores never go in.
    return OriginalSink(file)


FORMAT = ExportFormat(
    key="original",
    label="Original records",
    extension=".jsonl",
    explanation="Each kept record exactly as it was in its pool file, one per line; for "
    "pipelines that read that format already.",
    trainers=(),
    scores_by_default=False,
    mapping=None,
    open=_open,
)
