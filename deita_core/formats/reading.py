"""From records to rows: the checks that every conversation passes, whatever its layout."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain, islice, pairwise

from deita_core.conversation import ASSISTANT_ROLES, Conversation, Message
from deita_core.formats.flat_trees import FLAT_TREE, gather
from deita_core.formats.layout import RowError, mapping_for
from deita_core.formats.layouts import LAYOUTS
from deita_core.formats.model import Mapping, PoolRow, Reject
from deita_core.formats.record import Damage, Record

STARTS_WITH_ASSISTANT = "starts with the assistant"
ENDS_WITH_USER = "ends with the user: the last turn has no response"
USERS_IN_A_ROW = "two messages of the user in a row"


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
            made = layout.draft(item.value, mapping_for(item.value, mapping, looked_for))
            notes = _checked(made.messages)
        except RowError as reason:
            yield Reject(position, item.line, str(reason), item.raw)
        except RecursionError:
            yield Reject(position, item.line, "nested too deeply to be read", item.raw)
        else:
            conversation = Conversation(tuple(made.messages), made.tools)
            every = tuple(chain(item.notes, made.notes, notes))
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
        notes.append(USERS_IN_A_ROW)
    if roles[-1] == "user":
        notes.append(ENDS_WITH_USER)
    return notes
