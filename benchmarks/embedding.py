"""Rows per second of the MiniLM embedder, its start and its memory, on a pool of real rows.

    python -m benchmarks.embedding POOL.json [ROWS] [VECTORS.npy]

POOL.json is an Alpaca-style array (instruction, input, output). The vectors are saved when a
third argument is given, for the benchmark of the neighbours.
"""

from __future__ import annotations

import json
import resource
import sys
import time
from pathlib import Path

import numpy as np

CHUNK = 4096


def texts_of(pool: Path) -> list[str]:
    """Instruction, input and output of each record as one text."""
    records = json.loads(pool.read_text(encoding="utf-8"))
    fields = ("instruction", "input", "output")
    return ["\n\n".join(r[f] for f in fields if r.get(f)) for r in records]


def main() -> None:
    """Embeds the pool in chunks and prints one line per chunk, then the totals."""
    texts = texts_of(Path(sys.argv[1]))[: int(sys.argv[2]) if len(sys.argv) > 2 else None]
    started = time.perf_counter()
    from deita_core.embedding.minilm import MiniLM

    minilm = MiniLM()
    ready = time.perf_counter()
    print(f"start {ready - started:.2f} s, {dict(minilm.parameters)}")
    parts, truncated, cpu = [], 0, time.process_time()
    for begin in range(0, len(texts), CHUNK):
        found = minilm.embed(texts[begin : begin + CHUNK])
        parts.append(found.vectors)
        truncated += int(found.truncated.sum())
        done = min(begin + CHUNK, len(texts))
        print(f"{done:,} rows, {done / (time.perf_counter() - ready):.0f} rows/s", flush=True)
    used = time.process_time() - cpu
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{len(texts):,} rows in {time.perf_counter() - ready:.1f} s ({used:.1f} CPU seconds), ")
    print(f"{truncated:,} truncated, peak memory {peak} MB")
    if len(sys.argv) > 3:
        np.save(sys.argv[3], np.concatenate(parts))


if __name__ == "__main__":
    main()
