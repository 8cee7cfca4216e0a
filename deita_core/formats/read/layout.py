"""What a layout is, what reading gives, and the `Mapping` that says how to read a file."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from collections.abc import Mapping as MappingType
from contextlib import suppress
from dataclasses import dataclass, field

from pydantic import ConfigDict

from deita_core.conversation import Conversation, Message, Role, without_surrogates


@dataclass(frozen=True, slots=True)
class PoolRow:
    """One row that became a conversation.

    position: 0-based, counting every row of the file. line: 1-based, where it starts; None in a
    container without lines. raw: the original record as JSON text (for a message tree: the array
    of its messages). notes: what the reader had to decide.
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

    layout: one of `read.LAYOUTS`. columns: our name for a field -> the file's (dots lead into
    nested objects), or "" for one that is not to be read; optional fields that are not named are
    read under their usual names wherever a record has them. roles: the file's name for a role ->
    one of `conversation.ROLES`.
    """

    __pydantic_config__ = ConfigDict(extra="forbid", strict=True)

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


# Lower case; a file's own names (localised ones, too) come through Mapping.roles.
_NAMES: dict[Role, str] = {
    "user": "user human prompter customer question instruction",
    "assistant": "assistant gpt chatgpt bing bard claude bot chatbot model ai llm answer response",
    "system": "system developer system_prompt",
    "function_call": "function_call function-call tool_call",
    "tool": "tool observation function function_response function-response tool_response "
    "tool_result ipython",
}
ROLE_NAMES = {name: role for role, names in _NAMES.items() for name in names.split()}


def role_of(name: object, own: MappingType[str, str]) -> Role | None:
    """Our role for a file's name; `own` (Mapping.roles) comes first. None when unknown."""
    if not isinstance(name, str):
        return None
    plain = name.strip()
    return ROLE_NAMES.get(own.get(name, own.get(plain, plain)).lower())


# A column mapped to this is the record itself (a line that is a bare list of messages).
WHOLE_RECORD = "."


class RowError(Exception):
    """A record cannot become a conversation; the text is the reason of its reject."""


class _Missing:
    """Marks a field that a record does not have; null is `None`."""

    def __bool__(self) -> bool:
        return False


MISSING = _Missing()


@dataclass(frozen=True, slots=True)
class Column:
    """One of our names for a field. aliases: its usual names in files, the likeliest first.

    shape: part of how a file is built (an id in a tree, say), so that a mapping always names it.
    Other optional columns are looked for in each record, unless the mapping names them.
    """

    name: str
    explanation: str
    aliases: tuple[str, ...]
    required: bool = False
    shape: bool = False


@dataclass(frozen=True, slots=True)
class Fields:
    """One record as a mapping reads it. notes: what had to be decided, for the user to see."""

    record: object
    mapping: Mapping
    notes: list[str] = field(default_factory=list)

    def value(self, column: str) -> object:
        """The value of one of our columns; MISSING when it is not mapped or not there."""
        path = self.mapping.columns.get(column)
        return lookup(self.record, path) if path else MISSING

    def required(self, column: str) -> object:
        """The value of a column; RowError when the record does not have it."""
        value, record = self.value(column), self.record
        if value is not MISSING:
            return value
        path = self.mapping.columns.get(column, column)
        names = ", ".join(map(str, record)) if isinstance(record, dict) else kind_of(record)
        raise RowError(f"it has no field {path!r} for the {column} (it has: {names[:200]})")

    def text(self, column: str) -> str | None:
        """The text of a column; None when it is missing or null."""
        value = self.value(column)
        return None if value is MISSING or value is None else self.as_text(value)

    def system(self) -> list[Message]:
        """The system message that stands in a field of its own, if any."""
        text = self.text("system")
        return [Message("system", text)] if text else []

    def as_text(self, value: object) -> str:
        """The text of a value: numbers as written, lists and objects as JSON; None is ""."""
        if isinstance(value, str):
            clean = without_surrogates(value)
            if clean != value:
                self.note("half of a surrogate pair was replaced by U+FFFD")
            return clean
        if value is None:
            return ""
        if isinstance(value, bool | int | float):
            self.note("a number was taken as text")
            return json.dumps(value)
        self.note("a list or object was taken as JSON text")
        return json.dumps(value, ensure_ascii=False, default=str)

    def note(self, text: str) -> None:
        """Adds a note, unless it is there already."""
        if text not in self.notes:
            self.notes.append(text)

    def role(self, name: object) -> Role:
        """Our role for a file's name. Raises RowError for one that is not known."""
        role = role_of(name, self.mapping.roles)
        if role is None:
            raise RowError(f"the role {name!r} is not known: map it to one of ours")
        return role


@dataclass(frozen=True, slots=True)
class Layout:
    """A way of writing conversations down; `Mapping.layout` holds its name.

    fits: the columns a record would be read by, or None where the layout does not fit it.
    messages: those of a record; raises RowError.
    """

    name: str
    label: str
    description: str
    columns: tuple[Column, ...]
    fits: Callable[[object], dict[str, str] | None]
    messages: Callable[[Fields], list[Message]]

    def open_columns(self, mapping: Mapping) -> tuple[Column, ...]:
        """The columns that are looked for in each record, as `mapping` does not name them."""
        open_to_all = (c for c in self.columns if not (c.required or c.shape))
        return tuple(column for column in open_to_all if column.name not in mapping.columns)

    @property
    def column_names(self) -> tuple[str, ...]:
        return tuple(column.name for column in self.columns)


def lookup(record: object, path: str) -> object:
    """The field `path` of a record; dots lead into nested objects and lists. MISSING if none."""
    if isinstance(record, dict) and path in record:
        return record[path]
    if path == WHOLE_RECORD:
        return record
    value = record
    for step in path.split("."):
        if isinstance(value, dict) and step in value:
            value = value[step]
        elif isinstance(value, list) and step.isdecimal() and int(step) < len(value):
            value = value[int(step)]
        else:
            return MISSING
    return value


def found_columns(columns: tuple[Column, ...], record: object) -> dict[str, str] | None:
    """Our name -> the first usual name that the record has; None where a required one lacks."""
    found: dict[str, str] = {}
    for column in columns:
        if names := _usual_names(column, record, found):
            found[column.name] = names[0]
        elif column.required:
            return None
    return found


def mapping_for(record: object, mapping: Mapping, looked_for: tuple[Column, ...]) -> Mapping:
    """The mapping with `looked_for` added: for each the usual name that holds something here."""
    if not looked_for or not isinstance(record, dict):
        return mapping
    columns = dict(mapping.columns)
    for column in looked_for:
        if names := _usual_names(column, record, columns):
            held = (name for name in names if record[name] is not None)
            columns[column.name] = next(held, names[0])
    return Mapping(mapping.layout, columns, mapping.roles)


def _usual_names(column: Column, record: object, taken: dict[str, str]) -> list[str]:
    """Those that the record has; one field never serves two columns."""
    if not isinstance(record, dict):
        return []
    return [name for name in column.aliases if name in record and name not in taken.values()]


def as_list(value: object) -> list[object] | None:
    """A list, or the list that a text (a CSV cell) holds as JSON or as Python's repr.

    An object of lists of equal length (a nested sequence in Parquet) becomes a list of objects.
    """
    if isinstance(value, str) and value.lstrip()[:1] == "[":
        value = _parsed_text(value)
    if isinstance(value, dict) and value and all(isinstance(v, list) for v in value.values()):
        columns = [v for v in value.values() if isinstance(v, list)]
        if len({len(column) for column in columns}) == 1:
            return [dict(zip(value, cells, strict=True)) for cells in zip(*columns, strict=True)]
    return value if isinstance(value, list) else None


def _parsed_text(text: str) -> object:
    for parse in (json.loads, ast.literal_eval):
        with suppress(ValueError, SyntaxError, MemoryError, RecursionError):
            return parse(text)
    return text


def need_object(record: object) -> dict[str, object]:
    """The record, if it is an object; else RowError."""
    if isinstance(record, dict):
        return record
    raise RowError(f"it is {kind_of(record)}, not an object with fields")


def kind_of(value: object) -> str:
    """What a JSON value is, in words."""
    kinds = {str: "a text", bool: "a truth value", int: "a number", float: "a number"}
    kinds |= {list: "a list", dict: "an object", type(None): "null"}
    return kinds.get(type(value), "a value of another kind")
