"""ShareGPT in its many variants, and OpenAI messages."""

from __future__ import annotations

from deita_core.formats.chat import CHAT_COLUMNS, chat_columns, draft_chat
from deita_core.formats.layout import Layout


def _sharegpt_columns(record: object) -> dict[str, str] | None:
    columns = chat_columns(record)
    return None if columns is None or _is_openai(columns) else columns


def _openai_columns(record: object) -> dict[str, str] | None:
    columns = chat_columns(record)
    return columns if columns is not None and _is_openai(columns) else None


def _is_openai(columns: dict[str, str]) -> bool:
    named = columns.get("role"), columns.get("text")
    if named == (None, None):
        return columns["messages"] == "messages"
    return named == ("role", "content")


SHAREGPT = Layout(
    "sharegpt",
    "ShareGPT",
    "A list of messages with from / value, user / text or similar: human, gpt, system, "
    "function_call, observation.",
    CHAT_COLUMNS,
    _sharegpt_columns,
    draft_chat,
)

OPENAI = Layout(
    "openai",
    "OpenAI messages",
    "A list of messages with role / content; content is a text or a list of parts; tool calls "
    "become function calls.",
    CHAT_COLUMNS,
    _openai_columns,
    draft_chat,
)
