"""From records to rows: the layouts that can be read, and the checks every conversation passes."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice, pairwise
from types import MappingProxyType

from deita_core.conversation import ASSISTANT_ROLES, Conversation, Message
from deita_core.describe import STARTS_WITH_ASSISTANT
from deita_core.formats.read.chat import CHAT_LAYOUTS, tools_text
from deita_core.formats.read.layout import (
    Fields,
    Layout,
    Mapping,
    PoolRow,
    Reject,
    RowError,
    mapping_for,
)
from deita_core.formats.read.question_answer import ANSWER_LAYOUTS, PREFERENCE
from deita_core.formats.read.text import Damage, Record
from deita_core.formats.read.trees import FLAT_TREE, NESTED_TREE, gather

# The more particular first: a preference pair has a prompt, too; a chat may repeat its first turn.
_IN_ORDER = (PREFERENCE, *CHAT_LAYOUTS, NESTED_TREE, FLAT_TREE, *ANSWER_LAYOUTS)
_ANSWER_OF = {"alpaca": "output", "question_answer": "answer", "prompt_completion": "completion"}

LAYOUTS: MappingProxyType[str, Layout] = MappingProxyType({one.name: one for one in _IN_ORDER})


def layout_of(record: object) -> Layout | None:
    """The layout that fits one record: the first whose answer is there, too, else the first."""
    first = None
    for layout in _IN_ORDER:
        if found := layout.fits(record):
            answer = _ANSWER_OF.get(layout.name)
            if answer is None or answer in found:
                return layout
            first = first or layout
    return first


def is_record(record: object) -> bool:
    """Whether any layout fits."""
    return layout_of(record) is not None


def rows_of(
    found: Iterator[Record | Damage], mapping: Mapping, start: int = 0
) -> Iterator[PoolRow | Reject]:
    """One row or reject for each record, positions from `start`; the rows before are skipped."""
    layout = LAYOUTS[mapping.layout]
    looked_for = layout.open_columns(mapping)
    if mapping.layout == FLAT_TREE.name:
        found = gather(found, mapping)
    for position, item in enumerate(islice(found, start, None), start):
        if isinstance(item, Damage):
            yield Reject(position, item.line, item.reason, item.raw)
            continue
        try:
            fields = Fields(item.value, mapping_for(item.value, mapping, looked_for))
            messages = layout.messages(fields)
            notes = _checked(messages)
            tools = tools_text(fields.value("tools"))
        except RowError as reason:
            yield Reject(position, item.line, str(reason), item.raw)
        except RecursionError:
            yield Reject(position, item.line, "nested too deeply to be read", item.raw)
        else:
            conversation = Conversation(tuple(messages), tools)
            every = (*item.notes, *fields.notes, *notes)
            yield PoolRow(position, item.line, conversation, item.raw, every)


def _checked(messages: list[Message]) -> list[str]:
    """Notes on the order of the messages. Raises RowError when they are no conversation."""
    if not messages:
        raise RowError("the conversation is empty")
    users = [message for message in messages if message.role == "user"]
    if not users:
        raise RowError("there is no user message")
    if not any(message.content.strip() for message in users):
        raise RowError("its user messages are all empty")
    roles = [message.role for message in messages if message.role != "system"]
    notes = []
    if roles[0] in ASSISTANT_ROLES:
        notes.append(STARTS_WITH_ASSISTANT)
    if len(users) > 1 and any(a == b == "user" for a, b in pairwise(roles)):
        notes.append("two messages of the user in a row")
    if roles[-1] == "user":
        notes.append("ends with the user: the last turn has no response")
    return notes
