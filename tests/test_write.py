"""The export as a whole: every format, streamed, atomic, deterministic, read back the same."""

from __future__ import annotations

import csv
import hashlib
import json
import weakref
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as parquet
import pytest
from export_samples import LONG, PLAIN, TOOLS, UNANSWERED, chat, row

from deita_core.errors import ExportError
from deita_core.formats.write import EXPORT_FORMATS, write

ROWS = [row(c, rank) for rank, c in enumerate((PLAIN, LONG, TOOLS, UNANSWERED))]


def lines(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.mark.parametrize("key", EXPORT_FORMATS)
def test_the_same_rows_give_the_same_bytes(key, tmp_path):
    first = write(ROWS, key, tmp_path / "a")
    second = write(iter(ROWS), key, tmp_path / "b")
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()
    assert first == second


@pytest.mark.parametrize("key", EXPORT_FORMATS)
def test_the_report_states_the_size_and_hash_of_the_file(key, tmp_path):
    report = write(ROWS, key, tmp_path / "out")
    content = (tmp_path / "out").read_bytes()
    assert report.bytes == len(content)
    assert report.sha256 == hashlib.sha256(content).hexdigest()


@pytest.mark.parametrize("key", EXPORT_FORMATS)
def test_every_row_is_either_written_or_skipped_with_a_reason(key, tmp_path):
    report = write(ROWS, key, tmp_path / "out")
    assert report.rows_written + len(report.skipped) == len(ROWS)
    assert all(reason for _, reason in report.skipped)


@pytest.mark.parametrize("key", EXPORT_FORMATS)
def test_a_failure_midway_leaves_the_old_file_and_no_rest(key, tmp_path):
    out = tmp_path / "out"
    out.write_text("old")

    def broken():
        yield ROWS[0]
        raise RuntimeError("the project went away")

    with pytest.raises(RuntimeError, match="went away"):
        write(broken(), key, out)
    assert [p.name for p in tmp_path.iterdir()] == ["out"]
    assert out.read_text() == "old"


@pytest.mark.parametrize("key", EXPORT_FORMATS)
def test_an_empty_selection_gives_a_valid_empty_file(key, tmp_path):
    report = write([], key, tmp_path / "out")
    assert report.rows_written == 0
    if key in ("sharegpt", "alpaca"):
        assert json.loads((tmp_path / "out").read_text()) == []
    if key == "parquet":
        assert parquet.read_table(tmp_path / "out").num_rows == 0


@pytest.mark.parametrize("key", ["sharegpt", "openai", "csv", "original"])
def test_rows_are_let_go_as_soon_as_they_are_written(key, tmp_path):
    made: list[weakref.ref] = []
    alive = []

    def rows():
        for index in range(6):
            conversation = chat(("user", str(index)), ("assistant", "a"))
            made.append(weakref.ref(conversation))
            yield row(conversation)
            del conversation
            alive.append(sum(ref() is not None for ref in made))

    write(rows(), key, tmp_path / "out")
    assert max(alive) <= 2


def test_an_unknown_format_names_the_known_ones(tmp_path):
    with pytest.raises(ExportError, match=r"'yaml': use one of sharegpt, alpaca, openai"):
        write(ROWS, "yaml", tmp_path / "out")


def test_a_folder_that_does_not_exist_is_named(tmp_path):
    with pytest.raises(ExportError, match="missing"):
        write(ROWS, "csv", tmp_path / "missing" / "out.csv")


def test_scores_go_along_by_default_but_not_to_openai(tmp_path):
    write(ROWS, "sharegpt", tmp_path / "s")
    write(ROWS, "openai", tmp_path / "o")
    first = json.loads((tmp_path / "s").read_text())[0]
    assert (first["id"], first["evol_score"], first["source"]) == (PLAIN.id, 9.5, "pool.json")
    assert set(lines(tmp_path / "o")[0]) == {"messages"}


def test_scores_can_be_left_out_or_asked_for(tmp_path):
    write(ROWS, "sharegpt", tmp_path / "s", with_scores=False)
    write(ROWS, "openai", tmp_path / "o", with_scores=True)
    assert set(json.loads((tmp_path / "s").read_text())[0]) == {"conversations", "tools"}
    assert lines(tmp_path / "o")[0]["quality"] == 3.8


def test_a_score_of_nan_is_written_as_null(tmp_path):
    write([replace(ROWS[0], quality=float("nan"))], "sharegpt", tmp_path / "s")
    assert json.loads((tmp_path / "s").read_text())[0]["quality"] is None


def test_sharegpt_keeps_system_messages_and_tools(tmp_path):
    write([row(LONG), row(TOOLS)], "sharegpt", tmp_path / "s")
    long, tools = json.loads((tmp_path / "s").read_text())
    assert long["conversations"][0] == {"from": "system", "value": "Be brief."}
    assert [m["from"] for m in tools["conversations"]] == [
        "human",
        "function_call",
        "observation",
        "gpt",
    ]
    assert tools["tools"] == TOOLS.tools


@pytest.mark.parametrize("key", [k for k in EXPORT_FORMATS if k != "original"])
def test_a_lone_surrogate_is_refused(key, tmp_path):
    odd = chat(("user", "half \ud83d"), ("assistant", "ok"))
    report = write([row(odd), ROWS[0]], key, tmp_path / "out")
    assert report.rows_written == 1
    assert report.skipped == ((odd.id, "its text holds a lone surrogate, which is no character"),)


def test_csv_shows_the_first_turn_beside_the_whole_chat(tmp_path):
    write(ROWS, "csv", tmp_path / "c")
    with (tmp_path / "c").open(newline="", encoding="utf-8") as file:
        found = list(csv.DictReader(file))
    assert found[1]["instruction"] == "Hi"
    assert json.loads(found[1]["messages"])[3]["content"] == LONG.messages[3].content
    assert found[3]["response"] == ""


def test_parquet_has_typed_columns(tmp_path):
    write(ROWS, "parquet", tmp_path / "p")
    table = parquet.read_table(tmp_path / "p")
    assert table.column("messages")[0].as_py()[0] == {
        "role": "user",
        "content": "Why is the sky blue?",
    }
    assert table.column("tools").to_pylist() == [None, None, TOOLS.tools, None]
    assert table.schema.field("evol_score").type == "double"


def test_rows_a_trainer_would_drop_are_counted(tmp_path):
    report = write([row(PLAIN), row(UNANSWERED), row(UNANSWERED)], "sharegpt", tmp_path / "s")
    assert "LLaMA-Factory: 2 rows would be dropped: odd number of messages" in [
        w.text for w in report.warnings
    ]


def test_openai_is_told_apart_from_a_file_too_short_for_it(tmp_path):
    few = write([row(PLAIN)], "openai", tmp_path / "few")
    enough = write([row(PLAIN)] * 10, "openai", tmp_path / "enough")
    assert "at least 10" in few.warnings[0].text
    assert enough.warnings == ()
