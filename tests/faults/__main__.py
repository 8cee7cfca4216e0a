"""`python -m tests.faults`, which is `make faults`: kills at random moments, by seed.

Says every trial that ended otherwise than undisturbed work, and how many did not.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import tempfile
from collections import Counter
from pathlib import Path

from tests.faults.kills import STAGES, Kills

WORDS = ("plan", "write", "explain", "compare", "list", "garden", "ocean", "proof", "story")


def pool(path: Path, rows: int, seed: int) -> None:
    """Records of random words; every eleventh is broken."""
    draw = random.Random(seed)
    with path.open("w", encoding="utf-8") as file:
        for row in range(rows):
            asked, said = (" ".join(draw.choices(WORDS, k=draw.randint(2, n))) for n in (25, 80))
            record = json.dumps({"instruction": f"{asked}?", "output": f"{said}."})
            file.write((record[: len(record) // 2] if row % 11 == 10 else record) + "\n")


def main() -> int:
    """Runs the trials; the exit status is 1 when one of them went wrong."""
    parser = argparse.ArgumentParser(prog="tests.faults", description=__doc__)
    parser.add_argument("--kills", type=int, default=50, help="of each stage")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--stages", nargs="*", choices=STAGES, default=list(STAGES))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        pool(Path(folder) / "pool.jsonl", options.rows, options.seed)
        kills = Kills(Path(folder) / "work", Path(folder) / "pool.jsonl")
        kills.prepare()
        good: Counter[str] = Counter()
        wrong = 0
        for trial in kills.trials(options.kills, options.seed, options.stages):
            if trial.wrong:
                wrong += 1
                print(trial, flush=True)
            else:
                good[trial.stage] += 1
    print("as undisturbed:", ", ".join(f"{stage} {count}" for stage, count in good.items()))
    print(f"{wrong} wrong")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
