"""`python -m tests.fuzz --target T --seconds N`: a target under atheris (`pip install atheris`).

A crash, a hang (20 s) or 2 GB of memory ends it with the input in the folder of `--keep`.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

LONGEST_SECONDS = 20
MOST_MEGABYTES = 2_048


def main() -> None:
    """Fuzzes one target until the time is over; atheris ends the process."""
    import atheris

    with atheris.instrument_imports(include=["deita_core", "tests.fuzz", "json", "csv"]):
        from tests.fuzz.targets import TARGETS

    parser = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__)
    parser.add_argument("--target", choices=TARGETS, required=True)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--keep", type=Path, default=Path(tempfile.gettempdir()))
    chosen = parser.parse_args()
    target = TARGETS[chosen.target]
    with tempfile.TemporaryDirectory(prefix="fuzz-") as corpus:
        for number, seed in enumerate(target.seeds):
            (Path(corpus) / str(number)).write_bytes(seed)
        arguments = [
            sys.argv[0],
            corpus,
            f"-max_total_time={chosen.seconds}",
            f"-timeout={LONGEST_SECONDS}",
            f"-rss_limit_mb={MOST_MEGABYTES}",
            f"-seed={chosen.seed}",
            f"-artifact_prefix={chosen.keep}/{chosen.target}-",
            "-print_final_stats=1",
            "-max_len=4096",
            "-verbosity=1",
        ]
        atheris.Setup(arguments, target.run)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
