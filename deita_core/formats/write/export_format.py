"""What every export format shares: the row, the report, and the description of a format."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field, replace
from typing import BinaryIO

from deita_core.conversation import Conversation, without_surrogates
from deita_core.errors import ExportError
from deita_core.formats.read.layout import Mapping, Reject
from deita_core.formats.read.rows import rows_of
from deita_core.formats.read.text import Record

JsonValue = str | int | float | bool | list["JsonValue"] | dict[str, "JsonValue"] | None
JsonObject = dict[str, JsonValue]

# The fields that say where a row comes from and why it was chosen, with their Arrow types.
SCORE_FIELDS = {
    "id": "string",
    "rank": "int64",
    "evol_score": "float64",
    "complexity": "float64",
    "quality": "float64",
    "language": "string",
    "flags": "list<string>",
    "source": "string",
    "position": "int64",
}

# The fields that say what people made of a row, with their Arrow types.
DECISION_FIELDS = {
    "version": "int64",
    "edited_by": "string",
    "choice": "string",
    "tags": "list<string>",
    "keep": "int64",
    "drop": "int64",
    "unsure": "int64",
    "reviewers": "list<string>",
}


class NotExpressibleError(ExportError):
    """This row cannot be written in this format without changing it; the message says why."""


@dataclass(frozen=True, slots=True)
class RowDecisions:
    """What people made of a row.

    version: of the text that is written, 0 for the imported one. edited_by: whose edit it is.
    choice: "pinned" or "excluded" by hand, or None. tags: by name. keep, drop, unsure: verdicts
    of reviewers. reviewers: who answered anything about it, by name.
    """

    version: int = 0
    edited_by: str | None = None
    choice: str | None = None
    tags: tuple[str, ...] = ()
    keep: int = 0
    drop: int = 0
    unsure: int = 0
    reviewers: tuple[str, ...] = ()

    def fields(self) -> JsonObject:
        """The values of `DECISION_FIELDS`."""
        values: JsonObject = {name: getattr(self, name) for name in DECISION_FIELDS}
        return values | {"tags": list(self.tags), "reviewers": list(self.reviewers)}


@dataclass(frozen=True, slots=True)
class ExportRow:
    """One kept conversation on its way out.

    raw: the original record as JSON text. source, position: its pool file and 0-based row there.
    rank: in the selection, from 1. evol_score, complexity, quality: None when not scored.
    decisions: what people made of it; None where that is not asked for.
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
    decisions: RowDecisions | None = None

    def score_fields(self) -> JsonObject:
        """The values of `SCORE_FIELDS`; JSON has no NaN, so that one is None."""
        values: JsonObject = {}
        for name in SCORE_FIELDS:
            value = getattr(self, name)
            finite = not isinstance(value, float) or math.isfinite(value)
            values[name] = value if finite else None
        # A file name may hold bytes that are no text.
        return values | {"flags": list(self.flags), "source": without_surrogates(self.source)}


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
    """What an export wrote. skipped: (id, reason) of each row left out, in order.

    fields: those that hold a value in at least one row. bytes, sha256: of the finished file.
    """

    rows_written: int
    skipped: tuple[tuple[str, str], ...]
    warnings: tuple[TrainerWarning, ...]
    fields: frozenset[str]
    bytes: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ExportFormat:
    """One export format, as the interface shows it and as `write` uses it.

    record: a row's record; raises NotExpressibleError. write: fills a binary file with records,
    told the fields beside those of the chat, and their Arrow types (`SCORE_FIELDS`,
    `DECISION_FIELDS`). scores_by_default: they hold scores unless asked otherwise.
    mapping: how the file is read back; None for the original records, which keep their own, and
    never hold scores. reasoning: there is a place for it; elsewhere it is left out and counted.
    change: what a record has otherwise than the row, or None. checks: by trainer, what is wrong
    with a conversation, or None.
    """

    key: str
    label: str
    extension: str
    explanation: str
    record: Callable[[ExportRow], JsonObject]
    write: Callable[[BinaryIO, Iterable[JsonObject], MappingType[str, str]], None]
    trainers: tuple[str, ...] = ()
    scores_by_default: bool = True
    mapping: Mapping | None = None
    reasoning: bool = False
    change: Callable[[ExportRow], str | None] = lambda row: None
    checks: MappingType[str, Callable[[Conversation], str | None]] = field(default_factory=dict)

    def complete_record(self, row: ExportRow, with_scores: bool) -> JsonObject:
        """The record, sure to read back the same, scores behind it. Raises NotExpressibleError."""
        if not self.reasoning:
            row = replace(row, conversation=row.conversation.without_reasoning)
        record = self.record(row)
        if self.mapping is None:
            return record
        verify(record, self.mapping, row.conversation)
        if with_scores:
            record = record | row.score_fields()
        return record if row.decisions is None else record | row.decisions.fields()


def check_characters(conversation: Conversation) -> None:
    """Raises NotExpressibleError for a text that UTF-8 cannot hold."""
    texts = [f"{m.content}{m.reasoning or ''}" for m in conversation.messages]
    try:
        "".join([conversation.tools or "", *texts]).encode("utf-8")
    except UnicodeEncodeError as error:
        why = "its text holds a lone surrogate, which is no character"
        raise NotExpressibleError(why) from error


def verify(record: JsonObject, mapping: Mapping, conversation: Conversation) -> None:
    """Raises NotExpressibleError unless the record, read by `mapping`, is the conversation."""
    check_characters(conversation)
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
