"""The original records, untouched, one per line."""

from __future__ import annotations

import json
from typing import BinaryIO

from deita_core.formats.write_model import ExportFormat, ExportRow, NotExpressibleError


class OriginalSink:
    """JSON Lines of the records as they were read: unknown fields, spacing and all."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def add(self, row: ExportRow) -> frozenset[str]:
        """Appends the original record."""
        self._file.write(_one_line(row.raw) + b"\n")
        return frozenset()

    def close(self) -> None:
        """Nothing to complete."""


def _one_line(raw: str) -> bytes:
    # In valid JSON a bare line end is never part of a string, so that a blank is the same value.
    line = raw.strip().replace("\r", " ").replace("\n", " ")
    try:
        json.loads(line)
    except ValueError as error:
        raise NotExpressibleError(f"the original record is not JSON: {error}") from error
    try:
        return line.encode("utf-8")
    except UnicodeEncodeError as error:
        raise NotExpressibleError(
            f"the original record holds a lone surrogate at character {error.start}"
        ) from error


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
    open=_open,
)
