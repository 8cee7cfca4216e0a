"""Reading is streamed: what it holds does not grow with the file."""

from __future__ import annotations

import csv
import gzip
import json
import random
import subprocess
import sys
import tracemalloc
import zlib
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest
import zstandard

from deita_core.formats.read import read

ROOT = Path(__file__).resolve().parent.parent
SIZE = 16_000_000


def records() -> list[dict[str, str]]:
    source = random.Random(7)
    return [
        {"instruction": f"Question {n}", "output": source.randbytes(2_000).hex()}
        for n in range(SIZE // 4_000)
    ]


def as_json(path: Path) -> None:
    path.write_text(json.dumps(records()))


def as_lines(path: Path) -> None:
    text = "\n".join(map(json.dumps, records()))
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(text.encode(), 1))
    elif path.suffix == ".zst":
        with pa.output_stream(str(path), compression="zstd") as file:
            file.write(text.encode())
    else:
        path.write_text(text)


def as_csv(path: Path) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, ["instruction", "output"])
        writer.writeheader()
        writer.writerows(records())


@pytest.mark.parametrize(
    ("name", "write"),
    [
        ("pool.json", as_json),
        ("pool.jsonl", as_lines),
        ("pool.jsonl.gz", as_lines),
        ("pool.jsonl.zst", as_lines),
        ("pool.csv", as_csv),
    ],
)
def test_text_is_read_piece_by_piece(name: str, write, tmp_path: Path):
    write(tmp_path / name)
    tracemalloc.start()
    rows = sum(1 for _ in read(tmp_path / name))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert rows == SIZE // 4_000
    assert peak < SIZE / 2


# In a process of its own, which tells by how much it grew.
GROWTH = """
import sys
from pathlib import Path
import zstandard
from deita_core.formats.read import PoolRow, read

def peak():
    return int(Path("/proc/self/status").read_text().split("VmHWM:")[1].split()[0])

before = peak()
rows = list(read(Path(sys.argv[1])))
print((peak() - before) // 1024)
for row in rows:
    print("row" if isinstance(row, PoolRow) else f"{len(row.raw)} {row.reason}")
"""
RECORD = '{"instruction": "Hi", "output": "Hello"}'


def grown(path: Path) -> tuple[int, list[str]]:
    """By how many megabytes at most reading grows a process, and what it read."""
    done = subprocess.run(
        [sys.executable, "-c", GROWTH, str(path)], capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    megabytes, *rows = done.stdout.splitlines()
    return int(megabytes), rows


def packed(path: Path, head: bytes, zeros: int) -> None:
    """A file that unpacks to `head` and a gigabyte or so of one character."""
    gzipped = path.suffix == ".gz"
    packer: Any = (
        zlib.compressobj(1, wbits=31) if gzipped else zstandard.ZstdCompressor().compressobj()
    )
    pieces = [packer.compress(head), *(packer.compress(b"0" * (1 << 20)) for _ in range(zeros))]
    path.write_bytes(b"".join([*pieces, packer.flush()]))


@pytest.mark.parametrize("name", ["pool.jsonl.zst", "pool.jsonl.gz"])
def test_a_bomb_is_read_in_steps_and_given_up(name: str, tmp_path: Path):
    packed(tmp_path / name, f'{RECORD}\n{{"instruction": "'.encode(), 100)
    megabytes, (first, long, last) = grown(tmp_path / name)
    assert first == "row"
    assert "characters is longer than 32,000,000" in long
    assert "unpacks to more than 200 times its size" in last
    assert megabytes < 250


@pytest.mark.parametrize("name", ["lines", "array", "csv"])
def test_a_record_of_100_mb_is_one_reject_and_those_around_it_are_read(name: str, tmp_path: Path):
    path, size = tmp_path / "pool", 100_000_000
    between = {"lines": ("", "\n", ""), "array": ("[", ",\n", "]"), "csv": ("", "\n", "")}
    before, comma, after = between[name]
    head, tail = '{"instruction": "', '"}'
    row = RECORD
    if name == "csv":
        before, head, tail, row = "instruction,output\n", '"', '",b', '"a ""quoted"" one",b'
    with path.open("w") as file:
        file.write(f"{before}{row}{comma}{head}")
        for _ in range(size // 1_000_000):
            file.write("word " * 200_000)
        file.write(f"{tail}{comma}{row}{after}")
    megabytes, (first, long, last) = grown(path)
    assert (first, last) == ("row", "row")
    length = f"{size + len(head) + len(tail):,}"
    assert f"of {length} characters is longer than 32,000,000: split it" in long
    assert len(long) < 2_000
    assert megabytes < 250


# In a process of its own: Arrow's count of what it held at most begins there at zero.
READ_ALL = """
import sys
from pathlib import Path
import pyarrow
from deita_core.formats.read import read
for _ in read(Path(sys.argv[1])):
    pass
print(pyarrow.default_memory_pool().max_memory())
"""


def test_a_row_group_as_large_as_the_file_is_read_in_batches(tmp_path: Path):
    path = tmp_path / "pool.parquet"
    table = pa.Table.from_pylist(records() * 8)
    parquet.write_table(table, path)
    done = subprocess.run(
        [sys.executable, "-c", READ_ALL, str(path)], capture_output=True, check=True, cwd=ROOT
    )
    assert int(done.stdout) < table.nbytes / 2
