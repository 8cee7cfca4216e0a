"""Detection: columns that first occur late, mappings given by hand, and what the user is told."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest

import deita_core.formats.read as reader
from deita_core.errors import FormatError
from deita_core.formats.read import LAYOUTS, Mapping, PoolRow, Reject, detect, read
from deita_core.formats.read.containers import Container
from deita_core.formats.read.detect import SAMPLE

QA = [("user", "Hi"), ("assistant", "Hello")]
OPENAI = {"messages": [{"role": role, "content": text} for role, text in QA]}
SHAREGPT = {"conversations": [{"from": role, "value": text} for role, text in QA]}
SHORT = {"instruction": "Hi", "output": "Hello"}
TOOLS = '[{"name": "add"}]'


def write(folder: Path, *records: object) -> Path:
    path = folder / "pool.jsonl"
    path.write_text("\n".join(json.dumps(record) for record in records))
    return path


def said(row: PoolRow | Reject) -> list[tuple[str, str]]:
    assert isinstance(row, PoolRow), row
    return [(message.role, message.content) for message in row.conversation.messages]


def last(path: Path, mapping: Mapping | None = None) -> PoolRow:
    *_, row = read(path, mapping)
    assert isinstance(row, PoolRow), row
    return row


def late(folder: Path, record: dict[str, object], more: dict[str, object]) -> Path:
    """A file in which `more` first occurs behind everything that detection looks at."""
    return write(folder, *[record] * (SAMPLE + 50), {**record, **more})


LATE = [
    (SHAREGPT, {"system": "Be kind."}, [("system", "Be kind."), *QA]),
    (OPENAI, {"system_prompt": "Be kind."}, [("system", "Be kind."), *QA]),
    (SHORT, {"system": "Be kind."}, [("system", "Be kind."), *QA]),
    (SHORT, {"history": [["a", "b"]]}, [("user", "a"), ("assistant", "b"), *QA]),
    (SHORT, {"input": "you"}, [("user", "Hi\nyou"), QA[1]]),
    (SHORT, {"context": "you"}, [("user", "Hi\nyou"), QA[1]]),
    ({"instruction": "Hi"}, {"response": "Hello"}, QA),
    ({"prompt": "Hi"}, {"completion": "Hello"}, QA),
    ({"question": "Hi"}, {"answers": ["Hello"]}, QA),
    ({"chosen": "Hello"}, {"prompt": "Hi"}, QA),
    ({"prompt": "Hi", "chosen": "Hello"}, {"input": "you"}, [("user", "Hi\nyou"), QA[1]]),
    ({"conversations": ["Hi", "Hello"]}, {"system": "S"}, [("system", "S"), *QA]),
    ({"question_id": 1, "turns": ["Hi"]}, {"system": "S"}, [("system", "S"), QA[0]]),
]


@pytest.mark.parametrize(("record", "more", "expected"), LATE)
def test_a_column_that_first_occurs_late_is_read(tmp_path: Path, record, more, expected):
    path = late(tmp_path, record, more)
    stored = Mapping.from_json(detect(path).mapping.to_json())
    assert said(last(path)) == expected
    assert said(last(path, stored)) == expected


@pytest.mark.parametrize("record", [SHAREGPT, OPENAI, SHORT])
def test_tools_that_first_occur_late_are_read(tmp_path: Path, record):
    path = late(tmp_path, record, {"tools": TOOLS})
    assert last(path, detect(path).mapping).conversation.tools == TOOLS


@pytest.mark.parametrize(
    "columns", [{"system": ""}, {"system": "persona"}, {"instruction": "system", "output": ""}]
)
def test_a_column_that_is_mapped_elsewhere_is_not_read_under_its_usual_name(tmp_path, columns):
    record = {"instruction": "Hi", "output": "Hello", "system": "S"}
    path = write(tmp_path, *[record] * 3)
    stored = Mapping.from_json(detect(path, Mapping("alpaca", columns)).mapping.to_json())
    assert "system" not in [role for role, _ in said(last(path, stored))]


def test_records_may_use_different_usual_names(tmp_path: Path):
    answers = ({"output": "a"}, {"response": "b"}, {"output": None, "target": "c"}, {"output": ""})
    path = write(tmp_path, *({"instruction": "Hi", **answer} for answer in answers))
    assert [said(row)[1][1] for row in read(path)] == ["a", "b", "c", ""]


def test_one_field_never_serves_two_columns(tmp_path: Path):
    path = write(tmp_path, {"prompt": "Hi", "chosen": "x"}, {"input": "Hi", "chosen": "x"})
    assert said(last(path)) == [("user", "Hi"), ("assistant", "x")]


def test_messages_may_use_different_usual_keys(tmp_path: Path):
    mixed = [{"from": "human", "value": "Hi"}, {"role": "assistant", "content": "Hello"}]
    pair = {"conversations": [{"human": "Hi", "assistant": "Hello"}]}
    path = write(tmp_path, SHAREGPT, SHAREGPT, {"conversations": mixed}, pair)
    assert [said(row) for row in read(path)] == [QA] * 4


def test_keys_of_messages_that_the_user_named_are_the_only_ones_read(tmp_path: Path):
    messages = [{"wer": "user", "was": "Hi"}, {"role": "user", "content": "Hello"}]
    mapping = Mapping("openai", {"role": "wer", "text": "was"})
    (row,) = read(write(tmp_path, {"messages": messages}), mapping)
    assert isinstance(row, Reject)


@pytest.mark.parametrize("tools", ["[]", [], "", "{}", {}, " [ ] ", "null", None])
def test_no_tools_are_none_however_written(tmp_path: Path, tools: object):
    assert last(write(tmp_path, {**SHAREGPT, "tools": tools})).conversation.tools is None


BY_HAND = [
    ("alpaca", {"frage": "Hi", "antwort": "Hello"}, {"instruction": "frage", "output": "antwort"}),
    ("question_answer", {"f": "Hi", "a": "Hello"}, {"question": "f"}),
    ("question_answer", {"f": "Hi", "g": "Hello"}, {"question": "f", "answer": "g"}),
    ("prompt_completion", {"f": "Hi", "g": "Hello"}, {"prompt": "f", "completion": "g"}),
    (
        "prompt_completion",
        {"f": {"de": "Hi"}, "text": "Hello"},
        {"prompt": "f.de", "completion": "text"},
    ),
    ("openai", {"verlauf": OPENAI["messages"]}, {"messages": "verlauf"}),
    ("sharegpt", {"verlauf": SHAREGPT["conversations"]}, {"messages": "verlauf"}),
    ("texts", {"verlauf": ["Hi", "Hello"]}, {"messages": "verlauf"}),
    ("preference", {"f": "Hi", "gut": "Hello"}, {"prompt": "f", "chosen": "gut"}),
]


@pytest.mark.parametrize(("layout", "record", "columns"), BY_HAND)
def test_a_mapping_by_hand_reads_fields_of_any_name(tmp_path: Path, layout, record, columns):
    path = write(tmp_path, *[record] * 3)
    found = detect(path, Mapping(layout, columns, {}))
    assert [said(row) for row in read(path, found.mapping)] == [QA] * 3
    assert [said(row) for row in found.preview] == [QA] * 3


@pytest.mark.parametrize("as_text", [True, False])
def test_localised_roles_and_keys_are_mapped(tmp_path: Path, as_text: bool):
    messages = [{"wer": "Benutzer", "was": "Hi"}, {"wer": "Helfer", "was": "Hello"}]
    record = {"verlauf": json.dumps(messages) if as_text else messages}
    columns = {"messages": "verlauf", "role": "wer", "text": "was"}
    roles = {"Benutzer": "user", "Helfer": "assistant"}
    path = write(tmp_path, record)
    assert said(last(path, detect(path, Mapping("sharegpt", columns, roles)).mapping)) == QA


def test_roles_alone_can_be_mapped(tmp_path: Path):
    messages = [{"from": "Benutzer", "value": "Hi"}, {"from": "gpt", "value": "Hello"}]
    mapping = Mapping("sharegpt", roles={"Benutzer": "user"})
    assert said(last(write(tmp_path, {"conversations": messages}), mapping)) == QA


@pytest.mark.parametrize("columns", [{}, {"tree": "baum"}])
def test_a_flat_tree_can_be_mapped(tmp_path: Path, columns: dict[str, str]):
    messages = [
        {"nr": 1, "auf": None, "baum": "t", "wer": "Mensch", "was": "Hi"},
        {"nr": 2, "auf": 1, "baum": "t", "wer": "assistant", "was": "No", "platz": 1},
        {"nr": 3, "auf": 1, "baum": "t", "wer": "assistant", "was": "Hello", "platz": 0},
    ]
    columns |= {"id": "nr", "parent": "auf", "role": "wer", "text": "was", "rank": "platz"}
    path = write(tmp_path, *messages)
    mapping = detect(path, Mapping("flat_tree", columns, {"Mensch": "user"})).mapping
    assert said(last(path, mapping)) == QA


@pytest.mark.parametrize("delimiter", [",", ";"])
def test_csv_can_be_mapped(tmp_path: Path, delimiter: str):
    path = tmp_path / "pool.csv"
    with path.open("w", newline="") as file:
        csv.writer(file, delimiter=delimiter).writerows(
            [("frage", "antwort", "system"), ("Hi", "Hello", "S")]
        )
    mapping = Mapping("alpaca", {"instruction": "frage", "output": "antwort"}, {})
    assert said(last(path, mapping)) == [("system", "S"), *QA]


def test_an_optional_column_that_is_not_in_the_sample_is_read_later(tmp_path: Path):
    path = late(tmp_path, SHORT, {"persona": "Be kind."})
    found = detect(path, Mapping("alpaca", {"system": "persona"}))
    assert "None of its first 200 records has the field 'persona'" in found.explanation
    assert said(last(path, found.mapping))[0] == ("system", "Be kind.")


@pytest.mark.parametrize(
    ("layout", "columns"),
    [("alpaca", {"instruction": "x"}), ("openai", {"messages": "x"}), ("flat_tree", {"id": "x"})],
)
def test_a_required_column_that_is_not_there_is_an_error(tmp_path: Path, layout, columns):
    columns |= {"parent": "a", "role": "b", "text": "b"} if layout == "flat_tree" else {}
    with pytest.raises(FormatError, match="has the field 'x'"):
        detect(write(tmp_path, {"a": 1, "b": 2}), Mapping(layout, columns))


def test_what_will_be_read_is_told(tmp_path: Path):
    path = late(tmp_path, {"instruction": "Hi", "response": "Hello", "input": ""}, {})
    told = detect(path, Mapping("alpaca", {"input": ""})).explanation
    assert told == (
        "A JSON Lines file in the layout Alpaca. Fields read: instruction, output from 'response'. "
        "Not read, as the mapping says: input. "
        "Read as well, if a later record has it: system, history, tools."
    )


def test_rejects_and_missing_answers_are_told_before_the_import(tmp_path: Path):
    path = write(tmp_path, SHORT, {"instruction": "Hi"}, {"instruction": " "}, {"output": "x"})
    told = detect(path).explanation
    assert "Of its 4 rows 2 would be rejected: its user messages are all empty (1); " in told
    assert told.endswith("Of its 4 rows 1 has no response.")


@pytest.mark.parametrize("head", ["", ' {"version": 1, "rows": [', "["])
def test_what_was_detected_is_kept_and_not_detected_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, head: str
):
    records = [json.dumps({"instruction": f"Q{n}", "output": "A"}) for n in range(3)]
    path = tmp_path / "pool.json"
    closing = {"": "", "[": "]"}.get(head, "]}")
    path.write_text(head + ("," if head else "\n").join(records) + closing)
    found = detect(path)
    rows = list(read(path))
    monkeypatch.setattr(reader, "detect", None)
    mapping = Mapping.from_json(found.mapping.to_json())
    container = Container.from_json(found.container.to_json())
    assert list(read(path, mapping, container=container)) == rows
    assert len(rows) == 3


@pytest.mark.parametrize("value", [None, True, 0, 1.5, "", "text", [], [1], ["a"], [[]], {}, [{}]])
def test_no_layout_stumbles_over_a_value_of_another_kind(value: object):
    for layout in LAYOUTS.values():
        found = layout.fits(value)
        assert found is None or set(found) <= {column.name for column in layout.columns}
