"""Reads each record back before it is written: what would come back changed is refused."""

from __future__ import annotations

from deita_core.conversation import Conversation
from deita_core.formats.model import Mapping, Reject
from deita_core.formats.reading import rows_of
from deita_core.formats.record import Record
from deita_core.formats.write_model import JsonObject, NotExpressibleError


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
