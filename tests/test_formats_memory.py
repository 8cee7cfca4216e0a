"""Reading is streamed: what it holds does not grow with the file."""

from __future__ import annotations

import csv
import gzip
import json
import random
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as parquet
import pytest

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
