"""Lists of bare texts: both sides in turn (LIMA, UltraChat), or questions only (MT-Bench).

Both look the same, so the evidence is the field beside it: a list is of questions alone when
its record has a `question_id`, or when the field itself is called questions or prompts.
Otherwise the user speaks first and the assistant answers.
"""

from __future__ import annotations

from deita_core.conversation import Message, Role
from deita_core.formats.chat import LISTS, SYSTEM
from deita_core.formats.layout import (
    MISSING,
    WHOLE_RECORD,
    Column,
    Draft,
    Layout,
    RowError,
    as_list,
    as_text,
    field,
    found_columns,
    kind_of,
    missing_field,
    optional_text,
)
from deita_core.formats.model import Mapping

_QUESTION_LISTS = ("turns", "questions", "prompts")
_TEXTS = Column("messages", "the list of texts, user first", (*LISTS, "turns", "data"), True)
_QUESTIONS = Column("questions", "the list of the user's texts", _QUESTION_LISTS, True)


def _texts_columns(record: object) -> dict[str, str] | None:
    if isinstance(record, list):
        return {"messages": WHOLE_RECORD} if _are_texts(record) else None
    if not isinstance(record, dict) or "question_id" in record:
        return None
    for name in _TEXTS.aliases:
        if name in record and _are_texts(as_list(record[name])):
            return {**found_columns(record, (SYSTEM,)), "messages": name}
    return None


def _question_columns(record: object) -> dict[str, str] | None:
    if not isinstance(record, dict):
        return None
    for name in _QUESTION_LISTS:
        asked = name != "turns" or "question_id" in record
        if asked and name in record and _are_texts(as_list(record[name])):
            return {**found_columns(record, (SYSTEM,)), "questions": name}
    return None


def _are_texts(items: list[object] | None) -> bool:
    return bool(items) and all(isinstance(item, str) for item in items or [])


def _draft_texts(record: object, mapping: Mapping) -> Draft:
    return _draft(record, mapping, "messages", ("user", "assistant"))


def _draft_questions(record: object, mapping: Mapping) -> Draft:
    return _draft(record, mapping, "questions", ("user",))


def _draft(record: object, mapping: Mapping, column: str, speakers: tuple[Role, ...]) -> Draft:
    notes: list[str] = []
    value = field(record, mapping, column)
    if value is MISSING:
        raise missing_field(record, mapping, column)
    items = as_list(value)
    if items is None:
        raise RowError(f"its {column} are {kind_of(value)}, not a list")
    system = optional_text(record, mapping, "system", notes)
    messages = [Message("system", system)] if system else []
    for index, item in enumerate(items):
        messages.append(Message(speakers[index % len(speakers)], as_text(item, notes)))
    return Draft(messages, None, notes)


TEXTS = Layout(
    "texts",
    "List of texts",
    "A list of bare texts: the user speaks first, then both in turn (LIMA, UltraChat).",
    (_TEXTS, SYSTEM),
    _texts_columns,
    _draft_texts,
)

QUESTIONS = Layout(
    "questions",
    "List of questions",
    "A list of bare texts that are all the user's, without answers (MT-Bench).",
    (_QUESTIONS, SYSTEM),
    _question_columns,
    _draft_questions,
)
