"""What is exported reads back as the same conversations, in every format."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from export_samples import LONG, PLAIN, TOOLS, UNANSWERED, conversations, row
from hypothesis import given, settings
from hypothesis import strategies as st

from deita_core.conversation import Conversation
from deita_core.formats.read import Mapping, PoolRow, detect, read
from deita_core.formats.write import EXPORT_FORMATS, ExportRow, write

POOLS = Path(__file__).resolve().parent.parent.parent / "shared" / "data" / "pools"
REAL = (
    "glaive_toolcall_en_demo.json",
    "kto_en_demo.json",
    "lima_train_conversations.jsonl",
    "mt_bench_question.jsonl",
    "oasst1_en_validation.jsonl",
    "sharegpt_zh_1K.json",
    "v1_sft_demo.jsonl",
)
CONVERTING = [key for key in EXPORT_FORMATS if key != "original"]


def ids_in(path: Path, mapping: Mapping | None = None) -> list[str]:
    rows = list(read(path, detect(path, mapping).mapping))
    assert all(isinstance(r, PoolRow) for r in rows)
    return [r.conversation.id for r in rows]


def exported(rows: list[ExportRow], key: str, out: Path) -> list[str]:
    """The ids that should be in the file: all but the skipped ones."""
    skipped = {identity for identity, _ in write(rows, key, out).skipped}
    return [r.id for r in rows if r.id not in skipped]


@pytest.mark.parametrize("key", CONVERTING)
@settings(max_examples=60, deadline=None)
@given(made=st.lists(conversations, min_size=1, max_size=4))
def test_any_conversations_read_back_as_they_were(key: str, made: list[Conversation]):
    rows = [row(conversation, rank) for rank, conversation in enumerate(made)]
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / f"out{EXPORT_FORMATS[key].extension}"
        expected = exported(rows, key, out)
        assert not expected or ids_in(out) == expected


@pytest.mark.parametrize(
    ("key", "skipped"),
    [("sharegpt", 0), ("alpaca", 1), ("openai", 0), ("parquet", 0), ("csv", 0)],
)
def test_ordinary_conversations_are_not_skipped_for_nothing(key, skipped, tmp_path):
    rows = [row(c, rank) for rank, c in enumerate((PLAIN, LONG, TOOLS, UNANSWERED))]
    out = tmp_path / f"out{EXPORT_FORMATS[key].extension}"
    expected = exported(rows, key, out)
    assert len(expected) == 4 - skipped
    assert ids_in(out) == expected


@pytest.mark.parametrize("key", ["sharegpt", "alpaca", "parquet", "csv"])
def test_fields_that_first_occur_late_are_found(key, tmp_path):
    late = LONG if key == "alpaca" else TOOLS
    rows = [row(PLAIN)] * 300 + [row(late)]
    out = tmp_path / f"out{EXPORT_FORMATS[key].extension}"
    assert ids_in_file_end(rows, key, out) == late.id


def ids_in_file_end(rows: list[ExportRow], key: str, out: Path) -> str:
    write(rows, key, out)
    return ids_in(out)[-1]


@pytest.mark.parametrize("name", REAL)
def test_real_pools_survive_every_format(name, tmp_path):
    pool = POOLS / name
    if not pool.exists():
        pytest.skip("../shared/data is not here")
    mapping = detect(pool).mapping
    found = [r for r in read(pool, mapping) if isinstance(r, PoolRow)]
    rows = [row(r.conversation, rank, r.raw) for rank, r in enumerate(found)]
    for key, format in EXPORT_FORMATS.items():
        out = tmp_path / f"{key}{format.extension}"
        expected = exported(rows, key, out)
        if not expected:
            continue
        assert ids_in(out, mapping if key == "original" else None) == expected
