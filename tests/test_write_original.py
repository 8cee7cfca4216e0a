"""The original records come out as they went in."""

from __future__ import annotations

import json

import pytest
from export_samples import PLAIN, row

from deita_core.formats.write import write

MESSAGE = '{"message_id": "%s", "parent_id": %s,  "text": "a\\u00e9", "role": "prompter"}'
FIRST, SECOND = MESSAGE % (1, "null"), MESSAGE % (2, '"1"')


def written(raw: str, tmp_path) -> list[str]:
    write([row(PLAIN, raw=raw)], "original", tmp_path / "out")
    return (tmp_path / "out").read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(
    "raw",
    ['{"b": 1e400, "a" : "x\\ny", "a": 2}', '["Hi", "Hello"]', '[{"from": "human", "value": "a"}]'],
)
def test_a_record_keeps_its_text(raw, tmp_path):
    assert written(raw, tmp_path) == [raw]


def test_a_record_over_several_lines_is_put_on_one(tmp_path):
    (line,) = written('{\r\n  "a": [\n1]\n}\n', tmp_path)
    assert json.loads(line) == {"a": [1]}


def test_the_messages_of_a_tree_are_records_again(tmp_path):
    assert written(f"[{FIRST} ,{SECOND}]", tmp_path) == [FIRST, SECOND]


def test_what_is_not_json_is_skipped(tmp_path):
    report = write([row(PLAIN, raw="{'a': 1}")], "original", tmp_path / "out")
    assert "not JSON" in report.skipped[0][1]
