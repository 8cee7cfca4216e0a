"""The export formats: what each writes, and what it refuses rather than bends."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from export_samples import CALL, LONG, PLAIN, TOOLS, WEATHER_TOOLS, chat, row

from deita_core.conversation import Conversation
from deita_core.files import cell_text
from deita_core.formats.read import read
from deita_core.formats.write import write
from deita_core.formats.write.export_format import NotExpressibleError
from deita_core.formats.write.records import alpaca_record, openai_record

MESSAGE = '{"message_id": "%s", "parent_id": %s,  "text": "a\\u00e9", "role": "prompter"}'
FIRST, SECOND = MESSAGE % (1, "null"), MESSAGE % (2, '"1"')


def test_a_single_turn_is_instruction_and_output():
    assert alpaca_record(row(PLAIN)) == {
        "instruction": "Why is the sky blue?",
        "input": "",
        "output": "Rayleigh scattering.",
        "system": "",
        "history": [],
    }


def test_earlier_turns_become_history_and_the_system_message_a_field():
    made = alpaca_record(row(LONG))
    assert made["system"] == "Be brief."
    assert made["history"] == [["Hi", "Hello!"]]
    assert made["output"] == "好的 🌦"


def test_a_missing_last_answer_is_null_and_an_empty_one_empty():
    asked = alpaca_record(row(chat(("user", "a"), ("assistant", "b"), ("user", "c"))))
    assert (asked["instruction"], asked["output"], asked["history"]) == ("c", None, [["a", "b"]])
    assert alpaca_record(row(chat(("user", "a"), ("assistant", ""))))["output"] == ""


@pytest.mark.parametrize(
    ("conversation", "reason"),
    [
        (TOOLS, "no place for tools"),
        (chat(("assistant", "Hi"), ("user", "Hi")), "the user does not start"),
        (chat(("assistant", "Hi")), "the user does not start"),
        (chat(("system", "S")), "the user does not start"),
        (chat(("system", ""), ("user", "a"), ("assistant", "b")), "empty system message"),
        (chat(("user", "a"), ("user", "b"), ("assistant", "c")), "alternate"),
        (chat(("user", "a"), ("assistant", "b"), ("assistant", "c")), "alternate"),
        (chat(("user", "a"), ("system", "S"), ("assistant", "b")), "after the start"),
    ],
)
def test_other_shapes_are_refused_with_the_reason(conversation, reason):
    with pytest.raises(NotExpressibleError, match=reason):
        alpaca_record(row(conversation))


def test_a_function_call_becomes_tool_calls_and_its_result_names_it():
    messages = openai_record(row(TOOLS))["messages"]
    call = messages[1]["tool_calls"][0]
    assert messages[1]["role"] == "assistant"
    assert call["function"]["name"] == "weather"
    assert json.loads(call["function"]["arguments"]) == {"city": "Köln"}
    assert messages[2]["tool_call_id"] == call["id"]


def test_tools_are_wrapped_as_functions():
    assert openai_record(row(TOOLS))["tools"] == [
        {"type": "function", "function": {"name": "weather", "parameters": {"type": "object"}}}
    ]


def test_plain_messages_keep_their_roles_and_order():
    made = openai_record(row(LONG))
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
        openai_record(row(conversation))


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
    messages = openai_record(row(said))["messages"]
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


def cells(conversation: Conversation, out: Path) -> dict[str, str]:
    write([row(conversation)], "csv", out)
    with out.open(newline="", encoding="utf-8") as file:
        (record,) = csv.DictReader(file)
    return record


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t=", "\r=", "\n=", " \n=", "  @"])
def test_no_cell_begins_like_a_formula(start: str, tmp_path: Path):
    asked = chat(("user", f"{start}1+1"), ("assistant", f"{start}cmd()"))
    out = tmp_path / "out.csv"
    record = cells(asked, out)
    assert record["instruction"] == f"'{start}1+1"
    assert all(cell_text(cell) == cell for cell in record.values())
    assert [found.conversation.id for found in read(out)] == [asked.id]


def test_other_cells_stay_as_they_are(tmp_path: Path):
    record = cells(PLAIN, tmp_path / "out.csv")
    assert record["instruction"] == "Why is the sky blue?"
    assert record["response"] == "Rayleigh scattering."


@pytest.mark.parametrize("tools", ["=1+1", "\n=1+1", " @a"])
def test_tools_that_begin_like_a_formula_are_refused(tools: str, tmp_path: Path):
    asked = chat(("user", "a"), ("assistant", "b"), tools=tools)
    report = write([row(asked)], "csv", tmp_path / "out.csv")
    assert report.rows_written == 0
    assert "begin like a formula" in report.skipped[0][1]


def written(raw: str, tmp_path) -> list[str]:
    write([row(PLAIN, raw=raw)], "original", tmp_path / "out")
    return (tmp_path / "out").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(
    "raw",
    ['{"b": 1e400, "a" : "x\\ny", "a": 2}', '["Hi", "Hello"]', '[{"from": "human", "value": "a"}]'],
)
def test_a_record_keeps_its_text(raw, tmp_path):
    assert written(raw, tmp_path) == [raw]


def test_nan_and_infinity_become_null_which_is_counted_and_all_else_stays(tmp_path):
    raw = '{"a": NaN, "NaN" : "Infinity, \\"NaN\\"", "b": [-Infinity,Infinity], "c":1.50}'
    rows = [row(PLAIN, raw=raw), row(PLAIN, raw='{"a": "NaN"}')]
    report = write(rows, "original", tmp_path / "out")
    first, second = (tmp_path / "out").read_text(encoding="utf-8").splitlines()
    assert first == '{"a": null, "NaN" : "Infinity, \\"NaN\\"", "b": [null,null], "c":1.50}'
    assert second == '{"a": "NaN"}'
    said = "JSON: 1 row with NaN or Infinity, which are no JSON: null stands in their place"
    assert [warning.text for warning in report.warnings] == [said]


@pytest.mark.parametrize("number", ["NaN", "-Infinity", "1e400"])
def test_numbers_that_json_lacks_are_refused_in_tools_and_calls(number: str, tmp_path):
    tools = f'[{{"name": "f", "least": {number}}}]'
    call = f'{{"name": "f", "arguments": {{"x": {number}}}}}'
    rows = [
        row(chat(("user", "a"), ("assistant", "b"), tools=tools)),
        row(chat(("user", "a"), ("function_call", call))),
    ]
    report = write(rows, "openai", tmp_path / "out")
    assert [reason for _, reason in report.skipped] == [
        "its tools are not a JSON list; the ShareGPT export keeps them",
        'a function call is not {"name": ..., "arguments": ...}; the ShareGPT export keeps it',
    ]


def test_a_record_over_several_lines_is_put_on_one(tmp_path):
    (line,) = written('{\r\n  "a": [\n1]\n}\n', tmp_path)
    assert json.loads(line) == {"a": [1]}


def test_the_messages_of_a_tree_are_records_again(tmp_path):
    assert written(f"[{FIRST} ,{SECOND}]", tmp_path) == [FIRST, SECOND]


def test_what_is_not_json_is_skipped(tmp_path):
    report = write([row(PLAIN, raw="{'a': 1}")], "original", tmp_path / "out")
    assert "not JSON" in report.skipped[0][1]
