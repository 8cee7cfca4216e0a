"""Conversations and export rows that the tests of the export share."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from deita_core.conversation import ROLES, Conversation, Message
from deita_core.formats.write import ExportRow


def chat(*messages: tuple[str, str], tools: str | None = None) -> Conversation:
    return Conversation(tuple(Message(role, text) for role, text in messages), tools)


def row(conversation: Conversation, rank: int = 0, raw: str | None = None) -> ExportRow:
    return ExportRow(
        id=conversation.id,
        conversation=conversation,
        raw=raw if raw is not None else json.dumps({"messages": conversation.to_json()}),
        source="pool.json",
        position=rank,
        rank=rank,
        evol_score=9.5,
        complexity=2.5,
        quality=3.8,
        language="en",
        flags=("refusal",),
    )


PLAIN = chat(("user", "Why is the sky blue?"), ("assistant", "Rayleigh scattering."))
LONG = chat(
    ("system", "Be brief."),
    ("user", "Hi"),
    ("assistant", "Hello!"),
    ("user", 'Näher\r\nbitte, "so"\t=1+1'),
    ("assistant", "好的 🌦"),
)
WEATHER_TOOLS = '[{"name": "weather", "parameters": {"type": "object"}}]'
CALL = '{"name": "weather", "arguments": {"city": "Köln"}}'
TOOLS = chat(
    ("user", "Rain in Köln?"),
    ("function_call", CALL),
    ("tool", '{"rain": true}'),
    ("assistant", "Yes, take an umbrella."),
    tools=WEATHER_TOOLS,
)
UNANSWERED = chat(("user", "Anyone there?"))

texts = st.text(st.characters(codec="utf-8"), max_size=30)
messages = st.builds(Message, st.sampled_from(ROLES), texts)
conversations = st.builds(
    Conversation, st.lists(messages, min_size=1, max_size=6).map(tuple), st.none() | texts
)
alternating = st.lists(st.tuples(texts, texts), min_size=1, max_size=3).map(
    lambda pairs: chat(*(m for u, a in pairs for m in (("user", u), ("assistant", a))))
)
