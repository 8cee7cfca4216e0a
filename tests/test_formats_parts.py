"""Messages of typed parts: text, reasoning, calls and results each become what they are."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from deita_core.conversation import Conversation, Message
from deita_core.formats.read import PoolRow, Reject, read
from deita_core.formats.write import export_format, write
from deita_core.formats.write.trainers import (
    dataset_info,
    llama_factory_openai_problem,
    openai_problem,
)
from tests.export_samples import PLAIN, row

CALL = '{"name": "add", "arguments": {"a": 1}}'
ASKED = {"role": "user", "content": "Add one"}


def rows_of(folder: Path, *messages: dict[str, Any], **more: object) -> list[PoolRow | Reject]:
    path = folder / "pool.jsonl"
    path.write_text(json.dumps({"messages": messages, **more}))
    return list(read(path))


def one(folder: Path, *messages: dict[str, Any]) -> PoolRow:
    (found,) = rows_of(folder, *messages)
    assert isinstance(found, PoolRow), found
    return found


def said(found: PoolRow) -> list[tuple[str, str, str | None]]:
    return [(m.role, m.content, m.reasoning) for m in found.conversation.messages]


def test_the_parts_of_llama_factory_are_told_apart(tmp_path: Path):
    found = one(
        tmp_path,
        {"role": "user", "content": [{"type": "text", "value": "Add one"}]},
        {
            "role": "assistant",
            "content": [
                {"type": "reasoning", "value": "A sum."},
                {"type": "text", "value": "I add."},
                {"type": "tool_call", "value": CALL},
            ],
        },
        {"role": "tool", "content": [{"type": "text", "value": "2"}]},
        {"role": "assistant", "content": [{"type": "text", "value": "Two."}]},
    )
    assert said(found) == [
        ("user", "Add one", None),
        ("assistant", "I add.", "A sum."),
        ("function_call", CALL, None),
        ("tool", "2", None),
        ("assistant", "Two.", None),
    ]
    assert found.notes == ()


def test_the_parts_of_anthropic_become_messages_in_their_places(tmp_path: Path):
    found = one(
        tmp_path,
        ASKED,
        {
            "role": "assistant",
            "content": [
                {"type": "thinking", "thinking": "A sum.", "signature": "x"},
                {"type": "redacted_thinking", "data": "y"},
                {"type": "tool_use", "id": "1", "name": "add", "input": {"a": 1}},
            ],
        },
        {
            "role": "user",
            "content": [
                {
                    "type": "tool_result",
                    "tool_use_id": "1",
                    "content": [{"type": "text", "text": "2"}, {"type": "image", "source": {}}],
                },
                {"type": "text", "text": "And?"},
            ],
        },
        {"role": "assistant", "content": "Two."},
    )
    assert said(found) == [
        ("user", "Add one", None),
        ("function_call", CALL, "A sum."),
        ("tool", "2", None),
        ("user", "And?", None),
        ("assistant", "Two.", None),
    ]
    assert found.notes == ("redacted thinking left out", "image left out")


def test_the_parts_of_openai_keep_their_texts_and_name_what_is_none(tmp_path: Path):
    found = one(
        tmp_path,
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Add "},
                {"type": "input_audio", "input_audio": {"data": "AAAA"}},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "file", "file": {"file_id": "f"}},
                {"type": "hologram", "text": "Boo"},
                {"type": "text", "text": "one"},
            ],
        },
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "I will not."}]},
    )
    assert said(found) == [("user", "Add one", None), ("assistant", "I will not.", None)]
    assert found.notes == (
        "audio left out",
        "image left out",
        "file left out",
        "a part of the unknown type 'hologram' left out",
    )


@pytest.mark.parametrize("name", ["reasoning_content", "reasoning", "thinking"])
def test_reasoning_beside_the_text_is_kept_apart_and_changes_no_id(name: str, tmp_path: Path):
    thought = one(tmp_path, ASKED, {"role": "assistant", "content": "Two.", name: "A sum."})
    plain = one(tmp_path, ASKED, {"role": "assistant", "content": "Two."})
    assert said(thought)[1] == ("assistant", "Two.", "A sum.")
    assert thought.conversation.id == plain.conversation.id
    assert thought.conversation.turns == plain.conversation.turns
    assert "A sum." not in thought.conversation.text


def test_parts_out_of_a_parquet_file_may_hold_every_field(tmp_path: Path):
    empty = dict.fromkeys(("text", "thinking", "name", "input", "image_url"))
    parts = [
        {"type": "thinking", **empty, "thinking": "A sum."},
        {"type": "text", **empty, "text": "Two."},
    ]
    found = one(tmp_path, ASKED, {"role": "assistant", "content": parts})
    assert said(found)[1] == ("assistant", "Two.", "A sum.")


def test_a_message_of_which_nothing_is_left_is_rejected_with_the_reason(tmp_path: Path):
    picture = {"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}
    (found,) = rows_of(tmp_path, picture, {"role": "assistant", "content": "A cat."})
    assert isinstance(found, Reject)
    assert found.reason == "a message of 'user' has no text, only image"


def test_an_object_that_is_no_part_stays_json_text(tmp_path: Path):
    found = one(tmp_path, ASKED, {"role": "assistant", "content": {"type": "odd", "text": "x"}})
    assert said(found)[1] == ("assistant", '{"type": "odd", "text": "x"}', None)


THOUGHT = Conversation(
    (
        Message("user", "Add one"),
        Message("assistant", "I add.", "A sum."),
        Message("function_call", CALL),
        Message("function_call", CALL, "Once more."),
        Message("tool", "2"),
        Message("tool", "2"),
        Message("assistant", "Two.", "Done."),
    )
)


@pytest.mark.parametrize("format", ["openai", "csv"])
def test_reasoning_goes_out_and_comes_back_where_there_is_a_place(format: str, tmp_path: Path):
    out = tmp_path / f"out{export_format(format).extension}"
    report = write([row(THOUGHT)], format, out)
    (back,) = read(out)
    assert isinstance(back, PoolRow), back
    assert back.conversation == THOUGHT
    assert not any("without the reasoning" in warning.text for warning in report.warnings)


@pytest.mark.parametrize("format", ["sharegpt", "parquet"])
def test_elsewhere_reasoning_is_left_out_and_counted(format: str, tmp_path: Path):
    out = tmp_path / f"out{export_format(format).extension}"
    report = write([row(THOUGHT), row(PLAIN)], format, out)
    first, _ = read(out)
    assert isinstance(first, PoolRow), first
    assert first.conversation == THOUGHT.without_reasoning
    label = export_format(format).label
    assert f"{label}: 1 row without the reasoning" in " ".join(w.text for w in report.warnings)


def test_openai_would_refuse_reasoning():
    thought = Conversation((Message("user", "Hi"), Message("assistant", "Hello", "A greeting.")))
    assert "reasoning_content" in str(openai_problem(thought))
    assert openai_problem(thought.without_reasoning) is None


def test_llama_factory_reads_openai_rows_with_its_own_converter():
    entry = dataset_info("mine", "mine.jsonl", "openai", {"messages", "tools"})["mine"]
    assert isinstance(entry, dict)
    assert entry["formatting"] == "openai"
    assert entry["columns"] == {"messages": "messages", "tools": "tools"}


CALLED = (Message("user", "Add"), Message("function_call", CALL), Message("function_call", CALL))
RESULTS = (Message("tool", "2"), Message("tool", "3"))
TWO = (Message("assistant", "Two."),)


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ((*CALLED, *RESULTS, *TWO), "with tool calls, whose arguments it takes for a text"),
        ((*CALLED, *RESULTS), "no answer to the last tool result"),
        ((CALLED[0], *TWO, CALLED[1], *RESULTS, *TWO), "a text beside a tool call"),
        ((*TWO, *CALLED), "starts with the assistant"),
        ((CALLED[0], *TWO), "None"),
    ],
)
def test_what_its_converter_of_openai_rows_makes_of_calls(messages, problem: str):
    assert problem in str(llama_factory_openai_problem(Conversation(messages)))
