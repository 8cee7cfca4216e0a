"""What every export format shares: the row, the report, the format's description, the sink.

Reads each record back before it is written: what would come back changed is refused.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO, Protocol

from deita_core.conversation import Conversation, without_surrogates
from deita_core.errors import ExportError
from deita_core.formats.read.detect import rows_of
from deita_core.formats.read.layout import Mapping, Reject
from deita_core.formats.read.text import Record

JsonValue = str | int | float | bool | list["JsonValue"] | dict[str, "JsonValue"] | None
JsonObject = dict[str, JsonValue]


class NotExpressibleError(ExportError):
    """This row cannot be written in this format without changing it; the message says why."""


@dataclass(frozen=True, slots=True)
class ExportRow:
    """One kept conversation on its way out.

    raw: the original record as JSON text. source, position: its pool file and 0-based row there.
    rank: place in the selection, from 1. evol_score, complexity, quality: None when not scored.
    """

    id: str
    conversation: Conversation
    raw: str
    source: str
    position: int
    rank: int
    evol_score: float | None
    complexity: float | None
    quality: float | None
    language: str | None
    flags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrainerWarning:
    """Rows that are in the file, but that a trainer will not use as they stand."""

    trainer: str
    reason: str
    rows: int

    @property
    def text(self) -> str:
        """One plain sentence."""
        return f"{self.trainer}: {self.rows:,} {'row' if self.rows == 1 else 'rows'} {self.reason}"


@dataclass(frozen=True, slots=True)
class WriteReport:
    """What an export wrote.

    rows_written: rows in the file. skipped: (id, reason) of each row left out, in order.
    warnings: what trainers will do with some of the rows. fields: names of the fields that hold
    a value in at least one row. bytes, sha256: of the finished file.
    """

    rows_written: int
    skipped: tuple[tuple[str, str], ...]
    warnings: tuple[TrainerWarning, ...]
    fields: frozenset[str]
    bytes: int
    sha256: str


class RowSink(Protocol):
    """Takes rows one by one and writes them to a file."""

    def add(self, row: ExportRow) -> frozenset[str]:
        """Writes the row; the fields it filled. Raises NotExpressibleError, writing nothing."""
        ...

    def close(self) -> None:
        """Completes the file (the file object itself stays open)."""
        ...


@dataclass(frozen=True, slots=True)
class Check:
    """A trainer's rule: `problem` says what is wrong with a conversation, or None."""

    trainer: str
    problem: Callable[[Conversation], str | None]


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """One export format, as the interface shows it and as `write` uses it.

    scores_by_default: id, scores and source go into the file unless asked otherwise.
    mapping: how the file is read back; None for the original records, which keep their own.
    open: makes the sink that writes to a binary file, with or without those fields.
    """

    key: str
    label: str
    extension: str
    explanation: str
    trainers: tuple[str, ...]
    scores_by_default: bool
    mapping: Mapping | None
    open: Callable[[BinaryIO, bool], RowSink]
    checks: tuple[Check, ...] = ()


def score_fields(row: ExportRow) -> JsonObject:
    """The extra fields of a row: where it comes from and why it was chosen."""
    return {
        "id": row.id,
        "rank": row.rank,
        "evol_score": finite(row.evol_score),
        "complexity": finite(row.complexity),
        "quality": finite(row.quality),
        "language": row.language,
        "flags": list(row.flags),
        # A file name may hold bytes that are no text.
        "source": without_surrogates(row.source),
        "position": row.position,
    }


SCORE_FIELDS = (
    "id",
    "rank",
    "evol_score",
    "complexity",
    "quality",
    "language",
    "flags",
    "source",
    "position",
)


def finite(value: float | None) -> float | None:
    """The value, or None where it is missing or NaN: JSON has no NaN."""
    return value if value is not None and math.isfinite(value) else None


def filled(record: JsonObject) -> frozenset[str]:
    """The names of the fields that hold something."""
    return frozenset(name for name, value in record.items() if value not in (None, "", []))


def verify(record: JsonObject, mapping: Mapping, conversation: Conversation) -> None:
    """Raises NotExpressibleError unless the record, read by `mapping`, is the conversation."""
    _refuse_surrogates(conversation)
    (row,) = rows_of(iter([Record(None, "", record)]), mapping)
    if isinstance(row, Reject):
        raise NotExpressibleError(f"it could not be read back: {row.reason}")
    if row.conversation.messages != conversation.messages:
        raise NotExpressibleError(
            "its messages would not read back as they are (a function call in other spacing, or "
            "a text that reads as a list of messages)"
        )
    if row.conversation.tools != conversation.tools:
        raise NotExpressibleError(
            "its tools would not read back as they are (other spacing, or an empty list)"
        )


def _refuse_surrogates(conversation: Conversation) -> None:
    texts = [message.content for message in conversation.messages]
    try:
        "".join([conversation.tools or "", *texts]).encode("utf-8")
    except UnicodeEncodeError as error:
        raise NotExpressibleError(
            "its text holds a lone surrogate, which is no character"
        ) from error
