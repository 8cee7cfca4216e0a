"""Near-duplicates by text, names of clusters, and 13-word runs: time for a pool of real size.

    python -m benchmarks.groups [POOL.json] [--against FILE] [--rows N]

POOL.json is any pool file; without, one is generated. Without --against, two hundred of its own
instructions are the benchmark, so that there is something to find. The plain reference looks for
each run of the benchmark in the set of runs of each row, in Python.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks.results import timed
from deita_core.conversation import Conversation, Message
from deita_core.formats.read import PoolRow, read
from deita_core.map.cluster_names import cluster_words, opening
from deita_core.map.clusters import cluster_map, default_clusters
from deita_core.similarity.contamination import RUN, BenchmarkRuns
from deita_core.similarity.duplicates import groups_by_text
from deita_core.similarity.words import words

_BATCH = 2048


def generated(rows: int) -> list[Conversation]:
    """Conversations of a hundred words out of 20,000, some of which are much more frequent."""
    random = np.random.default_rng(0)
    made = []
    for _ in range(rows):
        said = [f"w{n}" for n in np.minimum(random.zipf(1.3, 100), 20_000)]
        made.append(
            Conversation(
                (Message("user", " ".join(said[:30])), Message("assistant", " ".join(said[30:])))
            )
        )
    return made


def shared(index: BenchmarkRuns, talks: list[Conversation]) -> int:
    """How many rows share a run with the benchmark."""
    found: set[int] = set()
    for start in range(0, len(talks), _BATCH):
        part = talks[start : start + _BATCH]
        messages = [[m.content for m in talk.messages] for talk in part]
        found |= {one.row for one in index.shared(range(start, start + len(part)), messages)}
    return len(found)


def plainly_shared(texts: list[str], talks: list[Conversation]) -> int:
    """The same, run by run."""
    runs: set[tuple[str, ...]] = set()
    for text in texts:
        own = words(text)
        length = min(RUN, len(own))
        if length >= 8:
            runs |= {tuple(own[i : i + length]) for i in range(len(own) - length + 1)}
    lengths = sorted({len(run) for run in runs})
    found = 0
    for talk in talks:
        said = [words(message.content) for message in talk.messages]
        found += any(
            tuple(one[i : i + length]) in runs
            for one in said
            for length in lengths
            for i in range(len(one) - length + 1)
        )
    return found


def main() -> None:
    """Prints one line per measurement."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("pool", nargs="?", type=Path)
    parser.add_argument("--against", type=Path)
    parser.add_argument("--rows", type=int, default=52_002)
    options = parser.parse_args()
    if options.pool:
        talks = [row.conversation for row in read(options.pool) if isinstance(row, PoolRow)]
        talks = talks[: options.rows]
    else:
        talks = generated(options.rows)
    if options.against:
        given = (row for row in read(options.against) if isinstance(row, PoolRow))
        texts = [m.content for row in given for m in row.conversation.messages]
    else:
        texts = [talk.messages[0].content for talk in talks[:: max(1, len(talks) // 200)]]
    print(f"{len(talks):,} rows; {len(texts):,} texts of a benchmark")
    found = timed("runs of 13 words", lambda: shared(BenchmarkRuns(texts), talks))
    plain = timed("the same, plainly", lambda: plainly_shared(texts, talks))
    print(f"rows found: {found:,} and {plain:,}")
    everything = np.arange(len(talks))
    groups = timed(
        "near-duplicates by text at 0.8",
        lambda: groups_by_text((talk.text for talk in talks), everything, len(talks), 0.8),
    )
    print(f"near-duplicates: {len(groups.dropped):,}")
    random = np.random.default_rng(0)
    labels = random.integers(0, default_clusters(len(talks)), len(talks))
    openings = (opening(talk) for talk in talks)
    timed("names of clusters", lambda: cluster_words(openings, labels, ["en"] * len(talks)))
    centres = random.uniform(-10, 10, (150, 2))
    points = centres[labels % 150] + random.normal(0, 0.4, (len(talks), 2))
    timed("first clusters of a map, compilation included", lambda: cluster_map(points[:1000]))
    timed("clusters of the map", lambda: cluster_map(points))


if __name__ == "__main__":
    main()
