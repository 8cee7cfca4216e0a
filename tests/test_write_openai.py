"""OpenAI: function calls as tool_calls, or a refusal."""

from __future__ import annotations

import json

import pytest
from export_samples import CALL, LONG, TOOLS, WEATHER_TOOLS, chat, row

from deita_core.formats.write import write
from deita_core.formats.write.export_format import NotExpressibleError
from deita_core.formats.write.records import openai_record as record


def test_a_function_call_becomes_tool_calls_and_its_result_names_it():
    messages = record(row(TOOLS))["messages"]
    call = messages[1]["tool_calls"][0]
    assert messages[1]["role"] == "assistant"
    assert call["function"]["name"] == "weather"
    assert json.loads(call["function"]["arguments"]) == {"city": "Köln"}
    assert messages[2]["tool_call_id"] == call["id"]


def test_tools_are_wrapped_as_functions():
    assert record(row(TOOLS))["tools"] == [
        {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    ]


def test_plain_messages_keep_their_roles_and_order():
    made = record(row(LONG))
    assert [m["role"] for m in made["messages"]] == [m.role for m in LONG.messages]
    assert "tools" not in made


@pytest.mark.parametrize(
    ("conversation", "reason"),
    [
        (chat(("user", "a"), ("tool", "b")), "follows no function call"),
        (chat(("user", "a"), ("function_call", "weather()")), "ShareGPT export keeps it"),
        (chat(("user", "a"), ("function_call", '{"name": "f"}')), "ShareGPT export keeps it"),
        (chat(("user", "a"), ("assistant", "b"), tools="weather"), "not a JSON list"),
    ],
)
def test_what_openai_cannot_hold_is_refused(conversation, reason):
    with pytest.raises(NotExpressibleError, match=reason):
        record(row(conversation))


def test_text_and_calls_of_one_breath_share_a_message():
    said = chat(
        ("user", "a"),
        ("assistant", "Looking."),
        ("function_call", CALL),
        ("function_call", CALL),
        ("tool", "1"),
        ("tool", "2"),
        ("assistant", "Done."),
    )
    messages = record(row(said))["messages"]
    assert [m["role"] for m in messages] == ["user", "assistant", "tool", "tool", "assistant"]
    assert messages[1]["content"] == "Looking."
    assert [c["id"] for c in messages[1]["tool_calls"]] == ["call_0", "call_1"]
    assert [m["tool_call_id"] for m in messages[2:4]] == ["call_0", "call_1"]


@pytest.mark.parametrize(
    ("conversation", "reason"),
    [
        (chat(("user", "a"), ("function_call", CALL.replace(" ", ""))), "spacing"),
        (chat(("user", "a"), ("assistant", "b"), tools=WEATHER_TOOLS + " "), "spacing"),
        (chat(("user", "a"), ("assistant", "b"), tools="[]"), "empty list"),
    ],
)
def test_what_would_come_back_changed_is_skipped(conversation, reason, tmp_path):
    report = write([row(conversation)], "openai", tmp_path / "out")
    assert report.rows_written == 0
    assert reason in report.skipped[0][1]
