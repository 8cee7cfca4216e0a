"""What reading a pool file gives: rows and rejects, and the mapping that tells how to read it."""

from __future__ import annotations

import json
from collections.abc import Mapping as MappingType
from dataclasses import dataclass, field
from pathlib import Path

from deita_core.conversation import Conversation


@dataclass(frozen=True, slots=True)
class PoolRow:
    """One row that became a conversation.

    position: 0-based index of the row in its file, counting every row read.
    line: 1-based line at which it starts, where the container has lines, else None.
    raw: the original record as JSON text (for a message tree: the array of its messages).
    notes: what the reader had to decide ("starts with the assistant", "damaged file around it").
    """

    position: int
    line: int | None
    conversation: Conversation
    raw: str
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reject:
    """One row that could not become a conversation; `raw` is its text as found in the file."""

    position: int
    line: int | None
    reason: str
    raw: str


@dataclass(frozen=True, slots=True)
class Mapping:
    """How the records of a file become conversations.

    layout: one of `formats.LAYOUTS`.
    columns: our name for a field -> the file's name for it (dots lead into nested objects), or
    "" for a field that is not to be read. Optional fields that are not named are read under
    their usual names wherever a record has them.
    roles: the file's name for a role -> one of `conversation.ROLES`.
    """

    layout: str
    columns: MappingType[str, str] = field(default_factory=dict)
    roles: MappingType[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """JSON text, keys sorted."""
        record = {"layout": self.layout, "columns": dict(self.columns), "roles": dict(self.roles)}
        return json.dumps(record, sort_keys=True, ensure_ascii=False)

    @staticmethod
    def from_json(text: str) -> Mapping:
        """The inverse of `to_json`."""
        found = json.loads(text)
        return Mapping(found["layout"], found["columns"], found["roles"])


@dataclass(frozen=True, slots=True)
class Detection:
    """What a file looks like before it is imported.

    container: "json", "jsonl", "csv" or "parquet". compression: "", "gzip" or "zstd".
    mapping: how the file will be read, complete: `read` with it gives the rows of the preview.
    fields: names of the record's fields, most common first (to choose a mapping from).
    preview: the first rows as they would be imported. explanation: a few plain sentences.
    """

    path: Path
    container: str
    compression: str
    mapping: Mapping
    fields: tuple[str, ...]
    preview: tuple[PoolRow | Reject, ...]
    explanation: str
