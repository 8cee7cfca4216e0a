"""CSV, Parquet, gzip and zstd, and files that are none of them."""

from __future__ import annotations

import csv
import gzip
import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import zstandard

from deita_core.errors import FormatError, PathError, PoolError
from deita_core.formats.read import PoolRow, Reject, detect, read

ROWS = [{"instruction": f'Question {n},\n"so"?', "output": f"Ответ {n}"} for n in range(2_500)]
CHAT = [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello"}]


def as_csv(delimiter: str = ",", end: str = "\n") -> bytes:
    out = io.StringIO(newline="")
    writer = csv.DictWriter(out, list(ROWS[0]), delimiter=delimiter, lineterminator=end)
    writer.writeheader()
    writer.writerows(ROWS)
    return out.getvalue().encode()


def as_parquet() -> bytes:
    out = io.BytesIO()
    parquet.write_table(pa.Table.from_pylist(ROWS), out, row_group_size=700)
    return out.getvalue()


def as_lines() -> bytes:
    return "\n".join(map(json.dumps, ROWS)).encode()


def read_bytes(folder: Path, data: bytes, name: str = "pool") -> list[PoolRow | Reject]:
    path = folder / name
    path.write_bytes(data)
    rows = list(read(path))
    assert [row.position for row in rows] == list(range(len(rows)))
    return rows


def pairs(rows: list[PoolRow | Reject]) -> list[tuple[str, str | None]]:
    turns = [row.conversation.turns[0] for row in rows if isinstance(row, PoolRow)]
    return [(turn.instruction, turn.response) for turn in turns]


EXPECTED = [(row["instruction"], row["output"]) for row in ROWS]
FILES = {
    "json": json.dumps(ROWS, ensure_ascii=False).encode(),
    "jsonl": as_lines(),
    "csv": as_csv(),
    "parquet": as_parquet(),
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.parametrize("packing", ["", "gzip", "zstd"])
def test_every_container_and_compression_gives_the_same_rows(
    tmp_path: Path, kind: str, packing: str
):
    pack = {"": bytes, "gzip": gzip.compress, "zstd": zstandard.compress}[packing]
    rows = read_bytes(tmp_path, pack(FILES[kind]))
    assert pairs(rows) == EXPECTED
    detection = detect(tmp_path / "pool")
    assert (detection.container.kind, detection.container.compression) == (kind, packing)
    assert json.loads(rows[7].raw) == ROWS[7]


@pytest.mark.parametrize("delimiter", ["\t", ";", "|"])
def test_other_delimiters_and_line_ends_are_told(tmp_path: Path, delimiter: str):
    data = b"\xef\xbb\xbf" + as_csv(delimiter, "\r\n")
    assert pairs(read_bytes(tmp_path, data)) == EXPECTED


def test_rows_of_a_csv_know_the_line_they_start_at(tmp_path: Path):
    rows = read_bytes(tmp_path, as_csv())
    assert [row.line for row in rows[:3]] == [2, 4, 6]


def test_a_csv_cell_may_hold_messages_as_json(tmp_path: Path):
    cell = json.dumps(CHAT).replace('"', '""')
    (row,) = read_bytes(tmp_path, f'id,messages\n1,"{cell}"\n'.encode())
    assert [m.content for m in row.conversation.messages] == ["Hi", "Hello"]


def test_bad_csv_lines_are_rejected_alone(tmp_path: Path):
    data = b"instruction,output\na,b\nc,d,e\n\nf,\xff\ng,h\n"
    rows = read_bytes(tmp_path, data)
    assert pairs(rows) == [("a", "b"), ("g", "h")]
    assert [(row.line, row.raw) for row in rows[1:3]] == [(3, "c,d,e\n"), (5, "f,\\xff\n")]


def test_parquet_lists_of_structs_are_messages(tmp_path: Path):
    table = pa.Table.from_pylist([{"messages": CHAT, "score": float("nan")}])
    parquet.write_table(table, tmp_path / "chat")
    (row,) = read(tmp_path / "chat")
    assert [m.role for m in row.conversation.messages] == ["user", "assistant"]
    assert json.loads(row.raw) == {"messages": CHAT, "score": None}


def test_a_parquet_file_without_its_end_is_an_error(tmp_path: Path):
    with pytest.raises(FormatError, match="write it again"):
        read_bytes(tmp_path, as_parquet()[:-40])


def test_a_damaged_row_group_is_a_reject_and_the_others_are_read(tmp_path: Path):
    data = bytearray(as_parquet())
    data[30:1_000] = b"\xff" * 970
    rows = read_bytes(tmp_path, bytes(data))
    assert pairs(rows) == EXPECTED[700:]
    assert "700 rows of row group 0 cannot be read" in rows[0].reason


@pytest.mark.parametrize("pack", [gzip.compress, zstandard.compress])
def test_a_cut_off_archive_gives_its_rows_and_says_so(tmp_path: Path, pack):
    packed = pack(as_lines())
    rows = read_bytes(tmp_path, packed[: len(packed) * 2 // 3])
    assert 100 < len(pairs(rows)) < len(EXPECTED)
    assert pairs(rows) == EXPECTED[: len(pairs(rows))]
    assert "too early" in rows[-1].reason


def test_archives_in_several_parts_are_read_whole(tmp_path: Path):
    half = len(as_lines()) // 2
    for pack in (gzip.compress, zstandard.compress):
        rows = read_bytes(tmp_path, pack(as_lines()[:half]) + pack(as_lines()[half:]))
        assert pairs(rows) == EXPECTED


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "is empty"),
        (b" \n ", "is empty"),
        (gzip.compress(b"[]", mtime=0)[:6], "the gzip stream ends too early"),
        (b"just some prose", "neither JSON"),
        (b"\x89PNG\r\n\x1a\n\0\0", "neither JSON"),
        ('{"instruction": "Hi"}'.encode("utf-16"), "UTF-16"),
        (b"[]", "no record that can be read"),
        (b"name,age\na,1\n", "its fields: name, age"),
        (b"[1, 2, 3]", "no named fields"),
    ],
)
def test_what_is_no_pool_is_an_error_that_says_why(tmp_path: Path, data: bytes, message: str):
    with pytest.raises(FormatError, match=message):
        read_bytes(tmp_path, data)


def test_a_missing_file_is_a_path_error(tmp_path: Path):
    with pytest.raises(PathError, match=r"nothing\.json"):
        detect(tmp_path / "nothing.json")
    with pytest.raises(PoolError):
        detect(tmp_path)
