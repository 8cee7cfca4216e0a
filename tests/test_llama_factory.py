"""dataset_info.json: the columns that exist, and nothing lost in merging."""

from __future__ import annotations

import json

import pytest

from deita_core.errors import ExportError
from deita_core.formats.write.trainers import dataset_info, merge_dataset_info


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


def test_a_missing_file_is_made(tmp_path):
    merge_dataset_info(tmp_path / "new.json", {"mine": {"file_name": "a.json"}})
    assert json.loads((tmp_path / "new.json").read_text()) == {"mine": {"file_name": "a.json"}}


@pytest.mark.parametrize("content", ["{broken", "[1]"])
def test_a_file_that_is_no_object_is_left_alone(tmp_path, content):
    path = tmp_path / "dataset_info.json"
    path.write_text(content)
    with pytest.raises(ExportError, match="mend it"):
        merge_dataset_info(path, {"mine": {}})
    assert path.read_text() == content
