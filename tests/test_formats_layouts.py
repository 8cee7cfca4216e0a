"""Layouts: each way of writing a conversation down, and what happens to odd rows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deita_core.conversation import Message
from deita_core.errors import FormatError
from deita_core.formats.read import LAYOUTS, Mapping, PoolRow, Reject, detect, read

CHAT = [("system", "Be kind."), ("user", "Hi"), ("assistant", "Hello"), ("user", "Bye")]
CHAT += [("assistant", "See you")]
PLAIN = CHAT[1:]


def write(folder: Path, *records: object) -> Path:
    path = folder / "pool.jsonl"
    path.write_text("\n".join(json.dumps(record) for record in records))
    return path


def one(folder: Path, record: object, mapping: Mapping | None = None) -> PoolRow | Reject:
    (row,) = read(write(folder, record), mapping)
    return row


def said(row: PoolRow | Reject) -> list[tuple[str, str]]:
    assert isinstance(row, PoolRow), row
    return [(message.role, message.content) for message in row.conversation.messages]


def chat(role: str, text: str, names: tuple[str, str, str]) -> list[dict[str, str]]:
    named = dict(zip(("system", "user", "assistant"), names, strict=True))
    return [{role: named[who], text: what} for who, what in CHAT]


@pytest.mark.parametrize(
    ("field", "role", "text", "names"),
    [
        ("conversations", "from", "value", ("system", "human", "gpt")),
        ("conversations", "from", "value", ("system", "user", "chatgpt")),
        ("conversation", "role", "content", ("SYSTEM", "User", " Assistant ")),
        ("messages", "user", "text", ("system", "human", "bing")),
        ("dialog", "speaker", "text", ("system", "human", "bard")),
        ("messages", "role", "content", ("developer", "user", "assistant")),
    ],
)
def test_every_chat_variant_reads_the_same(
    tmp_path: Path, field: str, role: str, text: str, names: tuple[str, str, str]
):
    assert said(one(tmp_path, {"id": 1, field: chat(role, text, names)})) == CHAT


@pytest.mark.parametrize(
    "record",
    [
        {
            "conversation": [
                {"human": "Hi", "assistant": "Hello"},
                {"human": "Bye", "assistant": "See you"},
            ]
        },
        {"conversations": ["Hi", "Hello", "Bye", "See you"]},
        {"id": "0", "data": ["Hi", "Hello", "Bye", "See you"]},
        {"instruction": "Bye", "input": "", "output": "See you", "history": [["Hi", "Hello"]]},
        {"messages": {"role": ["user", "assistant"] * 2, "content": [t for _, t in PLAIN]}},
        {"messages": json.dumps([{"role": r, "content": t} for r, t in PLAIN])},
        {"messages": str([{"role": r, "content": t} for r, t in PLAIN])},
        {
            "prompt": [{"role": r, "content": t} for r, t in PLAIN[:3]],
            "completion": [{"role": "assistant", "content": "See you"}],
        },
        {
            "prompt": "Bye",
            "chosen": [{"role": r, "content": t} for r, t in PLAIN],
            "rejected": [{"role": "user", "content": "Bye"}],
        },
        {
            "chosen": "\n\nHuman: Hi\n\nAssistant: Hello\n\nHuman: Bye\n\nAssistant: See you",
            "rejected": "\n\nHuman: Hi\n\nAssistant: Go",
        },
        {
            "conversations": [
                {"from": "human", "value": t} if r == "user" else {"from": "gpt", "value": t}
                for r, t in PLAIN[:3]
            ],
            "chosen": {"from": "gpt", "value": "See you"},
            "rejected": {"from": "gpt", "value": "No"},
        },
    ],
)
def test_chats_without_a_system_message_read_the_same(tmp_path: Path, record: object):
    assert said(one(tmp_path, record)) == PLAIN


@pytest.mark.parametrize(
    ("record", "layout"),
    [
        ({"instruction": "Hi", "input": "", "output": "Hello"}, "alpaca"),
        ({"instruction": "Hi", "context": "", "response": "Hello"}, "alpaca"),
        ({"prompt": "Hi", "completion": "Hello"}, "prompt_completion"),
        ({"query": "Hi", "response": "Hello"}, "prompt_completion"),
        ({"inputs": "Hi", "targets": "Hello"}, "prompt_completion"),
        ({"question": "Hi", "answer": "Hello"}, "question_answer"),
        ({"question": "Hi", "answers": {"text": ["Hello", "Hey"]}}, "question_answer"),
        ({"prompt": "Hi", "chosen": "Hello", "rejected": "Go"}, "preference"),
        ({"instruction": "Hi", "input": "", "chosen": "Hello", "rejected": "Go"}, "preference"),
        ({"conversations": ["Hi", "Hello"]}, "texts"),
        (
            {
                "messages": [
                    {"role": "user", "content": "Hi"},
                    {"role": "assistant", "content": "Hello"},
                ]
            },
            "openai",
        ),
        (
            {
                "conversations": [
                    {"from": "human", "value": "Hi"},
                    {"from": "gpt", "value": "Hello"},
                ]
            },
            "sharegpt",
        ),
    ],
)
def test_each_layout_is_detected_and_read(tmp_path: Path, record: object, layout: str):
    path = write(tmp_path, record)
    assert detect(path).mapping.layout == layout
    assert said(one(tmp_path, record)) == [("user", "Hi"), ("assistant", "Hello")]


def test_the_input_stands_below_the_instruction(tmp_path: Path):
    row = one(tmp_path, {"instruction": "Sum up:", "input": "A text.", "output": "T."})
    assert said(row)[0] == ("user", "Sum up:\nA text.")


def test_an_empty_answer_is_empty_and_a_missing_one_is_none(tmp_path: Path):
    path = write(
        tmp_path, *({"instruction": "Hi", **o} for o in ({"output": ""}, {"output": None}, {}))
    )
    answers = [row.conversation.turns[0].response for row in read(path)]
    assert answers == ["", None, None]


def test_mt_bench_turns_are_questions_without_answers(tmp_path: Path):
    row = one(tmp_path, {"question_id": 81, "category": "writing", "turns": ["One?", "Two?"]})
    assert [(t.instruction, t.response) for t in row.conversation.turns] == [
        ("One?", None),
        ("Two?", None),
    ]


def test_turns_without_a_question_id_are_both_sides(tmp_path: Path):
    assert said(one(tmp_path, {"turns": ["Hi", "Hello"]}))[1] == ("assistant", "Hello")


def test_a_chat_that_starts_with_the_assistant_is_kept_without_a_shift(tmp_path: Path):
    messages = [("gpt", "Welcome"), ("human", "Hi"), ("gpt", "Hello")]
    row = one(tmp_path, {"conversations": [{"from": r, "value": t} for r, t in messages]})
    assert row.notes == ("starts with the assistant",)
    assert [(t.instruction, t.response) for t in row.conversation.turns] == [("Hi", "Hello")]


def test_unequal_turns_keep_their_roles(tmp_path: Path):
    messages = [("human", "a"), ("human", "b"), ("gpt", "c"), ("system", "s"), ("human", "d")]
    row = one(tmp_path, {"conversations": [{"from": r, "value": t} for r, t in messages]})
    turns = [(t.instruction, t.response) for t in row.conversation.turns]
    assert turns == [("a", None), ("b", "c"), ("d", None)]
    assert len(row.notes) == 2


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([], "empty"),
        ([{"from": "gpt", "value": "Hello"}], "no user message"),
        ([{"from": "human", "value": " "}], "all empty"),
        ([{"from": "Benutzer", "value": "Hi"}], "'Benutzer' is not known"),
        ([{"from": "human", "value": "Hi"}, "Hello", {"from": "gpt", "value": "x"}], "a text"),
        ([{"from": "human"}], "no text"),
        (None, "null, not a list"),
    ],
)
def test_rows_that_are_no_conversation_say_why(tmp_path: Path, messages: object, reason: str):
    good = {"conversations": chat("from", "value", ("system", "human", "gpt"))}
    path = write(tmp_path, good, good, {"conversations": messages}, good)
    reject = list(read(path))[2]
    assert isinstance(reject, Reject)
    assert reason in reject.reason
    assert reject.raw == json.dumps({"conversations": messages})


def test_localised_roles_come_through_the_mapping(tmp_path: Path):
    messages = [{"from": "ユーザー", "value": "Hi"}, {"from": "アシスタント", "value": "Hello"}]
    assert (
        "'アシスタント', 'ユーザー'"
        in detect(write(tmp_path, {"conversations": messages})).explanation
    )
    mapping = Mapping("sharegpt", {}, {"ユーザー": "user", "アシスタント": "assistant"})
    row = one(tmp_path, {"conversations": messages}, mapping)
    assert said(row) == [("user", "Hi"), ("assistant", "Hello")]


def test_a_mapping_names_columns_also_inside_others(tmp_path: Path):
    record = {"task": {"frage": "Hi"}, "gut": "Hello", "instruction": "not this"}
    mapping = Mapping("alpaca", {"instruction": "task.frage", "output": "gut"})
    assert said(one(tmp_path, record, mapping)) == [("user", "Hi"), ("assistant", "Hello")]


def test_a_mapping_names_the_keys_within_messages(tmp_path: Path):
    record = {"chatverlauf": [{"wer": "human", "was": "Hi"}, {"wer": "gpt", "was": "Hello"}]}
    mapping = Mapping("sharegpt", {"messages": "chatverlauf", "role": "wer", "text": "was"})
    assert said(one(tmp_path, record, mapping)) == [("user", "Hi"), ("assistant", "Hello")]


def test_a_column_mapped_to_nothing_is_not_read(tmp_path: Path):
    record = {"instruction": "Hi", "input": "noise", "output": "Hello"}
    row = one(tmp_path, record, Mapping("alpaca", {"input": ""}))
    assert said(row)[0] == ("user", "Hi")


@pytest.mark.parametrize(
    ("mapping", "message"),
    [
        (None, "its fields: a, b"),
        (Mapping("alpaca"), "its fields are a, b"),
        (Mapping("alpaca", {"instruction": "c"}), "no record of pool.jsonl has the field 'c'"),
        (Mapping("alpaca", {"frage": "a"}), "has no column frage"),
        (Mapping("other"), "there is no layout 'other'"),
    ],
)
def test_what_does_not_fit_is_told_with_the_fields(
    tmp_path: Path, mapping: Mapping | None, message: str
):
    with pytest.raises(FormatError, match=message):
        detect(write(tmp_path, {"a": 1, "b": 2}), mapping)


def test_values_that_are_no_text_become_text_with_a_note(tmp_path: Path):
    row = one(tmp_path, {"instruction": 7, "output": {"a": [1]}})
    assert said(row) == [("user", "7"), ("assistant", '{"a": [1]}')]
    assert len(row.notes) == 2


def test_parts_are_joined_and_pictures_noted(tmp_path: Path):
    parts = [{"type": "text", "text": "What is "}, {"type": "image_url", "image_url": {"url": "x"}}]
    parts += [{"type": "text", "value": "this?"}, "!"]
    row = one(tmp_path, {"messages": [{"role": "user", "content": parts}]})
    assert said(row) == [("user", "What is this?!")]
    assert row.notes[0] == "image left out"


def test_tool_calls_become_function_calls_and_tools_lose_their_wrapper(tmp_path: Path):
    call = {"id": "1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
    messages = [
        {"role": "user", "content": "Add"},
        {"role": "assistant", "content": None, "tool_calls": [call, call]},
        {"role": "tool", "tool_call_id": "1", "content": "2"},
        {"role": "assistant", "content": "It is 2."},
    ]
    tool = {"name": "add", "parameters": {}}
    row = one(tmp_path, {"messages": messages, "tools": [{"type": "function", "function": tool}]})
    text = '{"name": "add", "arguments": {"a": 1}}'
    assert said(row)[1:4] == [("function_call", text), ("function_call", text), ("tool", "2")]
    assert row.conversation.tools == json.dumps([tool])


def test_a_null_text_is_an_empty_response_with_a_note(tmp_path: Path):
    messages = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": None}]
    row = one(tmp_path, {"messages": messages})
    assert row.conversation.turns[0].response == ""
    assert row.notes == ("a null text of 'assistant' was taken as empty",)


def test_three_hundred_turns_are_read(tmp_path: Path):
    record = {
        "conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}] * 330
    }
    assert len(one(tmp_path, record).conversation.turns) == 330


def test_every_layout_explains_itself():
    for name, layout in LAYOUTS.items():
        assert layout.name == name
        assert layout.description.endswith(".")
        assert any(column.required for column in layout.columns)
        assert len(set(layout.column_names)) == len(layout.column_names)


def test_the_preview_is_what_reading_gives(tmp_path: Path):
    path = write(tmp_path, *({"instruction": f"Q{n}", "output": "a"} for n in range(30)))
    detection = detect(path)
    assert detection.preview == tuple(read(path))[:8]
    assert detection.fields == ("instruction", "output")
    assert detection.preview[0].conversation.messages[0] == Message("user", "Q0")
