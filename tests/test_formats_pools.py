"""Real pools: how many rows each gives (skipped where the files are not there)."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from deita_core.formats.read import PoolRow, Reject, detect, read

POOLS = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "pools"
pytestmark = pytest.mark.skipif(not POOLS.is_dir(), reason="needs ../shared/data/pools")

# file, container, layout, rows that became conversations, rejects
COUNTS = [
    ("alpaca_52k.json", "json", "alpaca", 52_002, 0),
    ("alpaca_zh_malformed.json", "json", "alpaca", 2_801, 1),
    ("alyeskabear_prompt_completion.jsonl", "jsonl", "prompt_completion", 9_783, 0),
    ("aqua_train.json", "json", "alpaca", 2_728, 0),
    ("dolly_3k.json", "json", "alpaca", 2_996, 0),
    ("dummy_conversation.json", "json", "sharegpt", 500, 0),
    ("glaive_toolcall_en_demo.json", "json", "sharegpt", 300, 0),
    ("instructionwild_user_2.jsonl", "jsonl", "alpaca", 246, 2),
    ("kto_en_demo.json", "json", "openai", 300, 0),
    ("lima_train_conversations.jsonl", "jsonl", "texts", 1_030, 0),
    ("mt_bench_question.jsonl", "jsonl", "questions", 80, 0),
    ("oasst1_en_validation.jsonl", "jsonl", "flat_tree", 188, 3),
    ("self_instruct_5k.jsonl", "jsonl", "alpaca", 5_000, 0),
    ("sharegpt_en_sample_50.json", "json", "sharegpt", 50, 0),
    ("sharegpt_zh_1K.json", "jsonl", "sharegpt", 1_000, 0),
    ("toy_chat_fine_tuning.jsonl", "jsonl", "openai", 7, 3),
    ("v1_sft_demo.jsonl", "jsonl", "openai", 500, 0),
]


def rows_of(name: str) -> list[PoolRow | Reject]:
    return list(read(POOLS / name))


@pytest.mark.parametrize(("name", "container", "layout", "good", "bad"), COUNTS)
def test_every_row_of_a_real_pool_is_accounted_for(
    name: str, container: str, layout: str, good: int, bad: int
):
    detection = detect(POOLS / name)
    rows = rows_of(name)
    assert (detection.container.kind, detection.mapping.layout) == (container, layout)
    assert sum(isinstance(row, PoolRow) for row in rows) == good
    assert sum(isinstance(row, Reject) for row in rows) == bad
    assert [row.position for row in rows] == list(range(len(rows)))


def test_every_record_of_the_malformed_file_is_recovered():
    text = (POOLS / "alpaca_zh_malformed.json").read_text(encoding="utf-8")
    with pytest.raises(json.JSONDecodeError):
        json.loads(text)
    rows = rows_of("alpaca_zh_malformed.json")
    assert sum('"instruction":' in row.raw for row in rows) == text.count('"instruction":')
    (damage,) = [row for row in rows if isinstance(row, Reject)]
    assert damage.line == text.count("\n", 0, text.rindex(",")) + 1


def test_alpaca_reads_as_the_json_module_reads_it():
    records = json.loads((POOLS / "alpaca_52k.json").read_text(encoding="utf-8"))
    for row, record in zip(rows_of("alpaca_52k.json"), records, strict=True):
        assert isinstance(row, PoolRow)
        (turn,) = row.conversation.turns
        below = f"\n{record['input']}" if record["input"] else ""
        assert turn.instruction == record["instruction"] + below
        assert turn.response == record["output"]
        assert json.loads(row.raw) == record


def test_broken_lines_of_instructionwild_are_told():
    lines = [row.line for row in rows_of("instructionwild_user_2.jsonl") if isinstance(row, Reject)]
    assert lines == [134, 168]


def test_the_longest_chat_keeps_its_turns():
    rows = [row for row in rows_of("sharegpt_zh_1K.json") if isinstance(row, PoolRow)]
    assert max(len(row.conversation.messages) for row in rows) == 330
    assert sum("ends with the user" in note for row in rows for note in row.notes) == 7


def test_rejected_trees_keep_all_their_messages():
    rejects = [row for row in rows_of("oasst1_en_validation.jsonl") if isinstance(row, Reject)]
    assert all("orphans" in row.reason for row in rejects)
    kept = sum(len(json.loads(row.raw)) for row in rows_of("oasst1_en_validation.jsonl"))
    assert kept == 2_022
