"""`python -m tests.hostile`: imports every hostile file in a child and prints what became of it.

The exit status is 1 when one of them ended otherwise than in rows, rejects or an error of ours.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter

from tests.hostile.files import every_file, name_of
from tests.hostile.trial import MOST_GROWTH, MOST_SECONDS, Outcome, attempt


def line(key: str, outcome: Outcome) -> str:
    """One line of the table."""
    counts = f"{outcome.rows:>8,} rows {outcome.rejects:>8,} rejects"
    cost = f"{outcome.growth / 1e6:>6,.0f} MB {outcome.seconds:>5.1f} s"
    return f"{key:<50} {outcome.said:<10} {counts} {cost}  {' '.join(outcome.error.split())[:90]}"


def main() -> int:
    """Runs them all, or those whose name holds the words given."""
    parser = argparse.ArgumentParser(prog="tests.hostile", description=__doc__)
    parser.add_argument("words", nargs="*", help="only files whose name holds one of these")
    parser.add_argument("--short", action="store_true", help="without bombs and giants")
    options = parser.parse_args()
    said: Counter[str] = Counter()
    wrong, growth, seconds = 0, 0, 0.0
    for key, content in every_file(heavy=not options.short).items():
        if options.words and not any(word in key for word in options.words):
            continue
        outcome = attempt(content(), name_of(key))
        said[outcome.said] += 1
        growth, seconds = max(growth, outcome.growth), max(seconds, outcome.seconds)
        wrong += not outcome.good
        print(line(key, outcome), flush=True)
        if not outcome.good:
            print(outcome.error, flush=True)
    print(f"{said.total()} files: {', '.join(f'{n} {what}' for what, n in said.most_common())}")
    print(f"at most {growth / 1e6:,.0f} MB (limit {MOST_GROWTH / 1e6:,.0f}) and {seconds:.1f} s")
    print(f"(limit {MOST_SECONDS} s); {wrong} wrong")
    return int(wrong > 0)


if __name__ == "__main__":
    sys.exit(main())
