"""`python -m tests.faults`, which is `make faults`: kills and shortages, by seed.

Says every trial that ended otherwise than undisturbed work, and how many did not.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from tests.browser import browser
from tests.faults.kills import STAGES, VICTIMS, Kills, Trial
from tests.faults.servers import Servers
from tests.faults.shortages import Shortages

WHAT = ("kills", "disk", "memory", "clock", "read-only", "server")

WORDS = ("plan", "write", "explain", "compare", "list", "garden", "ocean", "proof", "story")


def pool(path: Path, rows: int, seed: int) -> None:
    """Records of random words; every eleventh is broken."""
    draw = random.Random(seed)
    with path.open("w", encoding="utf-8") as file:
        for row in range(rows):
            asked, said = (" ".join(draw.choices(WORDS, k=draw.randint(2, n))) for n in (25, 80))
            record = json.dumps({"instruction": f"{asked}?", "output": f"{said}."})
            file.write((record[: len(record) // 2] if row % 11 == 10 else record) + "\n")


class Faults(Kills, Shortages, Servers):
    """All of them, on one preparation."""


def trials(folder: Path, options: argparse.Namespace) -> Iterator[Trial]:
    """What was asked for, one after the other."""
    stages, seed = options.stages, options.seed
    faults = Faults(folder / "work", folder / "pool.jsonl")
    faults.prepare(list(STAGES)[: 1 + max(map(list(STAGES).index, stages))])
    if "kills" in options.what:
        yield from faults.kills(options.kills, seed, stages)
    if "disk" in options.what:
        yield from faults.disks(options.disks, seed, stages)
    if "memory" in options.what:
        yield from faults.memory(stages)
    if "clock" in options.what:
        yield from faults.clocks(options.clocks, seed, stages)
    if "read-only" in options.what:
        yield from faults.read_only(stages)
    if "server" in options.what:
        with browser(shutil.which(options.chromium) or options.chromium) as running:
            yield from faults.servers(running.new_page(), options.servers, seed, stages)


def main() -> int:
    """Runs the trials; the exit status is 1 when one of them went wrong."""
    parser = argparse.ArgumentParser(prog="tests.faults", description=__doc__)
    parser.add_argument("--what", nargs="*", choices=WHAT, default=list(WHAT))
    parser.add_argument("--kills", type=int, default=50, help="of each stage")
    parser.add_argument("--disks", type=int, default=10, help="times that the disk is full")
    parser.add_argument("--clocks", type=int, default=2, help="of each stage")
    parser.add_argument("--servers", type=int, default=5, help="kills of it in each stage")
    parser.add_argument("--chromium", default="chromium", help="the browser for these")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--rows", type=int, default=300)
    parser.add_argument("--stages", nargs="*", choices=STAGES, default=list(STAGES))
    options = parser.parse_args()
    good: Counter[str] = Counter()
    wrong = 0
    with tempfile.TemporaryDirectory(prefix="faults-") as folder:
        pool(Path(folder) / "pool.jsonl", options.rows, options.seed)
        for trial in trials(Path(folder), options):
            kind = "kill" if trial.what in VICTIMS else trial.what
            good[f"{kind} in {trial.stage}"] += not trial.wrong
            if trial.wrong:
                wrong += 1
                print(trial, flush=True)
    print("as undisturbed:", ", ".join(f"{stage} {count}" for stage, count in good.items()))
    print(f"{wrong} wrong")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
