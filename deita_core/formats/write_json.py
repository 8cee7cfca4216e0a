"""The two JSON containers: an array with one record per line, and JSON Lines."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from deita_core.formats.model import Mapping
from deita_core.formats.write_model import (
    ExportRow,
    JsonObject,
    JsonValue,
    filled,
    score_fields,
)
from deita_core.formats.write_verify import verify


@dataclass(frozen=True, slots=True)
class Recorder:
    """Makes the record of a row, sure to read back by `mapping` as the same conversation."""

    record: Callable[[ExportRow], JsonObject]
    mapping: Mapping

    def complete(self, row: ExportRow, with_scores: bool) -> JsonObject:
        """The record, with the scores after it. Raises NotExpressibleError."""
        made = self.record(row)
        verify(made, self.mapping, row.conversation)
        return made | score_fields(row) if with_scores else made


def encode(value: JsonValue) -> bytes:
    """One line of JSON in UTF-8."""
    return json.dumps(value, ensure_ascii=False, allow_nan=False).encode("utf-8")


class JsonArraySink:
    """A JSON array, one record per line, so that it can be compared and paged line by line."""

    def __init__(self, file: BinaryIO, recorder: Recorder, with_scores: bool) -> None:
        self._file, self._recorder, self._with_scores = file, recorder, with_scores
        self._empty = True
        file.write(b"[")

    def add(self, row: ExportRow) -> frozenset[str]:
        """Appends the row's record."""
        record = self._recorder.complete(row, self._with_scores)
        self._file.write((b"\n" if self._empty else b",\n") + encode(record))
        self._empty = False
        return filled(record)

    def close(self) -> None:
        """Closes the array."""
        self._file.write(b"]\n" if self._empty else b"\n]\n")


class JsonLinesSink:
    """JSON Lines: one record per line."""

    def __init__(self, file: BinaryIO, recorder: Recorder, with_scores: bool) -> None:
        self._file, self._recorder, self._with_scores = file, recorder, with_scores

    def add(self, row: ExportRow) -> frozenset[str]:
        """Appends the row's record."""
        record = self._recorder.complete(row, self._with_scores)
        self._file.write(encode(record) + b"\n")
        return filled(record)

    def close(self) -> None:
        """Nothing to complete."""
