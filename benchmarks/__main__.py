"""`python -m benchmarks`, which is `make bench`: every benchmark, one after the other.

Each prints its own table; give one of them arguments of its own with `python -m benchmarks.NAME`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
# Files that other benchmarks import and that measure nothing themselves.
PARTS = ("__main__", "results", "filter_contenders", "pools", "made_project")


def main() -> int:
    """Run all benchmarks; the exit status is the number of those that failed."""
    argparse.ArgumentParser(description=__doc__).parse_args()
    names = sorted(p.stem for p in HERE.glob("*.py") if p.stem not in PARTS)
    failed = 0
    for name in names:
        print(f"\n== {name}", flush=True)
        failed += subprocess.run([sys.executable, "-m", f"benchmarks.{name}"]).returncode != 0
    return failed


if __name__ == "__main__":
    sys.exit(main())
