"""Light scorers: rows/s of both scores together, in batches and one row at a time.

    python -m benchmarks.light_scorers [--pool ../shared/data/pools/alpaca_52k.json]

The single-row loop runs in the same process on a part of the same rows, so the ratio says what
batching is worth on this machine, whatever else the machine is doing.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

from deita_core.scoring import LightScorer, TurnText

PLAIN = 300


def main() -> None:
    """Reads the pool (Alpaca format), scores it both ways, prints one JSON object."""
    parser = argparse.ArgumentParser(description="Measure the light scorers.")
    parser.add_argument("--pool", type=Path, default=Path("../shared/data/pools/alpaca_52k.json"))
    parser.add_argument("--rows", type=int, default=8000)
    asked = parser.parse_args()
    turns = read_turns(asked.pool, asked.rows)
    scorers = (LightScorer("complexity"), LightScorer("quality"))
    for scorer in scorers:
        scorer.score(turns[:64])  # loads tokenizer and embeddings, not measured
    batched = _rows_per_second(scorers, [turns])
    single = _rows_per_second(scorers, [[turn] for turn in turns[:PLAIN]])
    print(
        json.dumps(
            {
                "rows": len(turns),
                "batched_rows_per_s": round(batched),
                "single_rows_per_s": round(single),
                "ratio": round(batched / single, 1),
            }
        )
    )


def read_turns(pool: Path, rows: int) -> list[TurnText]:
    """The first rows of an Alpaca file as turns."""
    records = json.loads(pool.read_text(encoding="utf-8"))[:rows]
    return [
        TurnText(
            f"{r['instruction']}\n{r['input']}" if r["input"] else r["instruction"], r["output"]
        )
        for r in records
    ]


def _rows_per_second(scorers: tuple[LightScorer, ...], batches: list[list[TurnText]]) -> float:
    start = time.perf_counter()
    for batch in batches:
        for scorer in scorers:
            scorer.score(batch)
    return sum(map(len, batches)) / (time.perf_counter() - start)


if __name__ == "__main__":
    main()
