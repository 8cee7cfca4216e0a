"""The trainers' rules, checked against a plain reading of them; dataset_info.json."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor

import pytest
from export_samples import LONG, PLAIN, TOOLS, UNANSWERED, alternating, chat, conversations, row
from hypothesis import given

from deita_core.conversation import Conversation
from deita_core.errors import ExportError
from deita_core.formats.write.records import sharegpt_record
from deita_core.formats.write.trainers import (
    alpaca_problem,
    axolotl_problem,
    chat_template_problem,
    dataset_info,
    llama_factory_alpaca_problem,
    llama_factory_problem,
    merge_dataset_info,
    openai_problem,
)


def kept_by_llama_factory(sharegpt: list[dict[str, str]]) -> bool:
    """Its documented rules, played on the exported record."""
    if sharegpt and sharegpt[0]["from"] == "system":
        sharegpt = sharegpt[1:]
    askers = all(m["from"] in ("human", "observation") for m in sharegpt[0::2])
    answers = all(m["from"] in ("gpt", "function_call") for m in sharegpt[1::2])
    return bool(sharegpt) and len(sharegpt) % 2 == 0 and askers and answers


@given(conversations)
def test_a_row_is_warned_of_exactly_when_llama_factory_would_drop_it(conversation: Conversation):
    exported = json.loads(json.dumps(sharegpt_record(row(conversation))))["conversations"]
    assert (llama_factory_problem(conversation) is None) == kept_by_llama_factory(exported)


@given(alternating)
def test_chats_of_questions_and_answers_pass_every_check(conversation: Conversation):
    assert llama_factory_problem(conversation) is None
    assert openai_problem(conversation) is None
    assert chat_template_problem(conversation) is None


@pytest.mark.parametrize(
    ("conversation", "reason"),
    [
        (chat(("system", "S")), "no messages beside"),
        (UNANSWERED, "odd number"),
        (chat(("assistant", "a"), ("user", "b")), "starts with the assistant"),
        (chat(("user", "a"), ("user", "b")), "do not alternate"),
        (chat(("user", "a"), ("assistant", "b"), ("system", "S")), "system message after"),
    ],
)
def test_the_reason_for_a_drop_is_named(conversation, reason):
    assert reason in str(llama_factory_problem(conversation))


@pytest.mark.parametrize(
    ("conversation", "reason"),
    [
        (UNANSWERED, "teach nothing"),
        (chat(("user", "a"), ("assistant", "b"), ("user", "c")), "last message"),
        (chat(*((m.role, m.content) for m in TOOLS.messages[:2]), ("assistant", "b")), "result"),
    ],
)
def test_openai_refuses_rows_without_a_last_answer(conversation, reason):
    assert reason in str(openai_problem(conversation))


def test_axolotl_reads_tools_only_as_a_list():
    assert axolotl_problem(PLAIN) is None
    assert "OpenAI export" in str(axolotl_problem(TOOLS))


def test_a_function_call_may_be_the_last_message_for_openai():
    assert openai_problem(Conversation(TOOLS.messages[:2])) is None


def test_chat_templates_take_plain_chats_but_not_our_function_calls():
    assert chat_template_problem(PLAIN) is None
    assert chat_template_problem(LONG) is None
    assert "OpenAI export" in str(chat_template_problem(TOOLS))


@pytest.mark.parametrize(
    ("conversation", "reason"),
    [
        (PLAIN, "None"),
        (UNANSWERED, "last one is missing"),
        (LONG, "earlier turns"),
        (chat(("system", "S"), ("user", "a"), ("assistant", "b")), "system message"),
    ],
)
def test_trainers_on_plain_alpaca_rows_read_one_answered_turn(conversation, reason):
    assert reason in str(alpaca_problem(conversation))


def test_llama_factory_drops_alpaca_rows_without_a_last_answer():
    assert llama_factory_alpaca_problem(LONG) is None
    assert "no last answer" in str(llama_factory_alpaca_problem(UNANSWERED))


def test_only_columns_that_hold_something_are_listed():
    plain = dataset_info("mine", "mine.json", "sharegpt", {"conversations", "id"})
    tools = dataset_info("mine", "mine.json", "sharegpt", {"conversations", "tools"})
    assert plain == {
        "mine": {
            "file_name": "mine.json",
            "formatting": "sharegpt",
            "columns": {"messages": "conversations"},
        }
    }
    assert tools["mine"]["columns"] == {"messages": "conversations", "tools": "tools"}


def test_alpaca_lists_history_and_system_where_they_occur():
    entry = dataset_info("mine", "mine.json", "alpaca", {"instruction", "history"})["mine"]
    assert entry["formatting"] == "alpaca"
    assert entry["columns"] == {
        "prompt": "instruction",
        "query": "input",
        "response": "output",
        "history": "history",
    }


@pytest.mark.parametrize("format", ["openai", "parquet"])
def test_messages_with_roles_come_with_their_tags(format):
    entry = dataset_info("mine", "mine.file", format, {"messages"})["mine"]
    assert entry["tags"]["user_tag"] == "user"
    assert entry["tags"]["observation_tag"] == "tool"


def test_a_format_it_cannot_read_is_refused():
    with pytest.raises(ExportError, match="'csv': export as one of sharegpt"):
        dataset_info("mine", "mine.csv", "csv", set())


def test_other_data_sets_stay_when_merging(tmp_path):
    path = tmp_path / "dataset_info.json"
    path.write_text('{"théirs": {"file_name": "x.json"}, "mine": {"file_name": "old.json"}}')
    merge_dataset_info(path, dataset_info("mine", "new.json", "sharegpt", set()))
    merged = json.loads(path.read_text())
    assert merged["théirs"] == {"file_name": "x.json"}
    assert merged["mine"]["file_name"] == "new.json"
    assert [p.name for p in tmp_path.iterdir()] == ["dataset_info.json"]


def test_entries_added_at_the_same_time_all_stay(tmp_path):
    path = tmp_path / "dataset_info.json"
    names = [f"{number}.json" for number in range(40)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda name: merge_dataset_info(path, {name: {"file_name": name}}), names))
    assert set(json.loads(path.read_text())) == set(names)


def test_a_missing_file_is_made(tmp_path):
    merge_dataset_info(tmp_path / "new.json", {"mine": {"file_name": "a.json"}})
    assert json.loads((tmp_path / "new.json").read_text()) == {"mine": {"file_name": "a.json"}}


@pytest.mark.parametrize("content", ["{broken", "[1]", '{"theirs": NaN}'])
def test_a_file_that_is_no_object_is_left_alone(tmp_path, content):
    path = tmp_path / "dataset_info.json"
    path.write_text(content)
    with pytest.raises(ExportError, match="mend it"):
        merge_dataset_info(path, {"mine": {}})
    assert path.read_text() == content
