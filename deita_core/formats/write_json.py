"""The two JSON containers: an array with one record per line, and JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import BinaryIO

from deita_core.formats.write_model import (
    ExportRow,
    JsonObject,
    JsonValue,
    NotExpressibleError,
    filled,
    score_fields,
)

Record = Callable[[ExportRow], JsonObject]


def encode(value: JsonValue) -> bytes:
    """One line of JSON in UTF-8. Raises NotExpressibleError for a lone surrogate."""
    try:
        return json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")
    except UnicodeEncodeError as error:
        # It could be escaped, but readers replace it, so that it would not come back as it was.
        raise NotExpressibleError(
            "its text holds a lone surrogate, which is no character"
        ) from error


class JsonArraySink:
    """A JSON array, one record per line, so that it can be compared and paged line by line."""

    def __init__(self, file: BinaryIO, record: Record, with_scores: bool) -> None:
        self._file, self._record, self._with_scores = file, record, with_scores
        self._empty = True
        file.write(b"[")

    def add(self, row: ExportRow) -> frozenset[str]:
        """Appends the row's record."""
        record = _complete(self._record(row), row, self._with_scores)
        line = encode(record)
        self._file.write((b"\n" if self._empty else b",\n") + line)
        self._empty = False
        return filled(record)

    def close(self) -> None:
        """Closes the array."""
        self._file.write(b"]\n" if self._empty else b"\n]\n")


class JsonLinesSink:
    """JSON Lines: one record per line."""

    def __init__(self, file: BinaryIO, record: Record, with_scores: bool) -> None:
        self._file, self._record, self._with_scores = file, record, with_scores

    def add(self, row: ExportRow) -> frozenset[str]:
        """Appends the row's record."""
        record = _complete(self._record(row), row, self._with_scores)
        self._file.write(encode(record) + b"\n")
        return filled(record)

    def close(self) -> None:
        """Nothing to complete."""


def _complete(record: JsonObject, row: ExportRow, with_scores: bool) -> JsonObject:
    # Scores come after the conversation: a reader that looks at the first fields sees the text.
    return record | score_fields(row) if with_scores else record
