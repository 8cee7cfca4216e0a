"""The light embedding path against sentence-transformers' default, in one run on the same rows.

    python -m benchmarks.embedding                          the sample pool
    python -m benchmarks.embedding --pool POOL.json         an Alpaca-style array of one's own
    python -m benchmarks.embedding --rows 4000              how many rows (seeded choice)
    python -m benchmarks.embedding --save VECTORS.npy       keep our vectors of all rows
    python -m benchmarks.embedding --write                  add to benchmarks/RESULTS.md

sentence-transformers runs as its documentation shows: float32, `encode(texts)`, batches of 32,
sorted by length by itself; the same weights, out of the same folder. Where there is a CUDA device
both run on it. The agreement is the lowest cosine of a row's vector with theirs.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.results import write_section
from deita_core.formats.read import PoolRow, read
from deita_core.jobs.chains import sample_files
from deita_core.models.device import pick_device

Vectors = NDArray[np.float32]


def texts_of(pool: Path | None) -> list[str]:
    """The texts of the conversations of a pool, as the embedder gets them."""
    files = [pool] if pool else sample_files()
    return [
        row.conversation.text for file in files for row in read(file) if isinstance(row, PoolRow)
    ]


def ours(precision: str | None) -> Callable[[list[str]], Vectors]:
    """MiniLM as the app runs it."""
    from deita_core.embedding.minilm import MiniLM

    model = MiniLM(precision)
    return lambda texts: model.embed(texts).vectors


def theirs() -> Callable[[list[str]], Vectors]:
    """sentence-transformers' default."""
    from sentence_transformers import SentenceTransformer

    from deita_core.embedding.minilm import model_folder

    kind = pick_device().kind
    model = SentenceTransformer(str(model_folder()), device=kind)
    return lambda texts: np.asarray(model.encode(texts, show_progress_bar=False), np.float32)


def timed(embed: Callable[[list[str]], Vectors], texts: list[str]) -> tuple[Vectors, float]:
    """Vectors and seconds, after a warm-up."""
    embed(texts[:64])
    start = time.perf_counter()
    return embed(texts), time.perf_counter() - start


def agreement(first: Vectors, second: Vectors) -> float:
    """The lowest cosine of two sets of vectors, row by row."""
    a = first / np.linalg.norm(first, axis=1, keepdims=True)
    b = second / np.linalg.norm(second, axis=1, keepdims=True)
    return float(np.einsum("ij,ij->i", a, b).min())


def main() -> None:
    """Prints a line for each contender."""
    parser = argparse.ArgumentParser(prog="benchmarks.embedding", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--pool", type=Path)
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--save", type=Path)
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    everything = texts_of(options.pool)
    chosen = np.random.default_rng(0).permutation(len(everything))[: options.rows]
    texts = [everything[place] for place in sorted(chosen.tolist())]
    baseline, slow = timed(theirs(), texts)
    lines = [
        "| contender | rows/s | times theirs | lowest cosine with theirs |",
        "| --- | --- | --- | --- |",
        f"| sentence-transformers, fp32, default | {len(texts) / slow:,.0f} | 1.0 | 1 |",
    ]
    for label, precision in (("ours, fp32", "fp32"), ("ours, as it comes", None)):
        found, seconds = timed(ours(precision), texts)
        lines.append(
            f"| {label} | {len(texts) / seconds:,.0f} | {slow / seconds:.1f} | "
            f"{agreement(found, baseline):.5f} |"
        )
    lines += ["", f"{len(texts):,} rows; {pick_device().label}."]
    print("\n".join(lines))
    if options.save:
        np.save(options.save, ours(None)(everything))
    if options.write:
        name = options.pool.name if options.pool else "the sample pool"
        write_section(f"MiniLM embeddings of {name}", "\n".join(lines))


if __name__ == "__main__":
    main()
