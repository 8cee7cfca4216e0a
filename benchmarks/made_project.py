"""A made project of any size, as if it had been imported, scored, embedded and mapped.

Vectors gather around as many centres as the square root of the rows; every tenth row is a close
paraphrase of another one and every hundredth a copy, so that thresholds have something to do.
Places on the map are two of the directions, spread around the centres.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from deita_core.conversation import Conversation, Message
from deita_core.project import Project
from deita_core.project.models import ModelIdentity, register_model
from deita_core.project.pool import add_rows, add_source, finish_source
from deita_core.project.scores import add_scores
from deita_core.project.vectors import add_embeddings, set_map

BATCH = 20_000
DIMENSION = 384
_LANGUAGES = ("en", "en", "en", "de", "fr", "zh")


def make_project(path: Path, rows: int, seed: int = 0) -> Path:
    """A closed project file with `rows` conversations of one to three turns."""
    random = np.random.default_rng(seed)
    with Project.open(path, create=True) as project:
        turns = random.choice([1, 1, 1, 2, 3], rows)
        _add_rows(project, turns)
        for dimension in ("complexity", "quality"):
            scorer = register_model(
                project, dimension, ModelIdentity(id=f"made/{dimension}", revision="1")
            )
            _add_scores(project, scorer, turns, random)
        embedder = register_model(
            project,
            "embedding",
            ModelIdentity(
                id="made/embedder", revision="1", parameters={"max_tokens": 256}, width=DIMENSION
            ),
        )
        _add_vectors(project, embedder, rows, random)
    return path


def made_vectors(
    rows: int, random: np.random.Generator
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """(rows, 384) float32 unit vectors, and the number of each one's centre."""
    centres = random.normal(size=(max(2, round(rows**0.5)), DIMENSION)).astype(np.float32)
    centre = random.integers(0, len(centres), rows)
    spread = random.uniform(0.5, 1.2, len(centres)).astype(np.float32)[centre]
    vectors = centres[centre] + spread[:, None] * random.normal(size=(rows, DIMENSION)).astype("f4")
    near = np.arange(10, rows, 10)
    noise = random.normal(size=(len(near), DIMENSION)).astype(np.float32)
    vectors[near] = vectors[near - 7] + random.uniform(0, 0.6, (len(near), 1)).astype("f4") * noise
    vectors[100::100] = vectors[93:-7:100][: len(vectors[100::100])]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors, centre


def _conversation(row: int, turns: int) -> Conversation:
    said = []
    for turn in range(turns):
        said += [
            Message("user", f"Question {turn + 1} of conversation {row}: what follows from it?"),
            Message("assistant", f"From {row} follows {row + turn + 1}, and so on. " * 3),
        ]
    return Conversation(tuple(said))


def _add_rows(project: Project, turns: NDArray[np.int64]) -> None:
    source = add_source(project, "made.jsonl", "/made.jsonl", None)
    empty = pa.table({"position": [], "line": [], "reason": [], "raw": []})
    for start in range(0, len(turns), BATCH):
        numbers = range(start, min(start + BATCH, len(turns)))
        made = [_conversation(row, int(turns[row])) for row in numbers]
        texts = [c.messages[0].content for c in made]
        table = {
            "id": [c.id for c in made],
            "position": list(numbers),
            "line": list(numbers),
            "messages": [c.to_json() for c in made],
            "tools": pa.array([None] * len(made), pa.string()),
            "original": ["{}"] * len(made),
            "notes": pa.array([[]] * len(made), pa.list_(pa.string())),
            "preview": texts,
            "language": [_LANGUAGES[row % len(_LANGUAGES)] for row in numbers],
            "language_confidence": [1.0] * len(made),
            "turns": turns[numbers.start : numbers.stop],
            "characters": [sum(len(m.content) for m in c.messages) for c in made],
            "tokens": [sum(len(m.content) for m in c.messages) // 4 for c in made],
            "flags": pa.array([[]] * len(made), pa.list_(pa.string())),
            "instruction_characters": [[len(t.instruction) for t in c.turns] for c in made],
            "response_characters": [[len(t.response or "") for t in c.turns] for c in made],
        }
        add_rows(project, source, pa.table(table), empty)
    finish_source(project, source, len(turns))


def _add_scores(
    project: Project, scorer: int, turns: NDArray[np.int64], random: np.random.Generator
) -> None:
    row = np.repeat(np.arange(len(turns)), turns)
    turn = np.arange(len(row)) - np.repeat(np.cumsum(turns) - turns, turns)
    scores = np.clip(random.gamma(4, 0.6, len(row)) + 1, 1, 6).astype(np.float32)
    for start in range(0, len(row), 10 * BATCH):
        part = slice(start, start + 10 * BATCH)
        reasons = pa.array([None] * len(row[part]), pa.string())
        columns = {"row": pa.array(row[part], pa.int32()), "turn": pa.array(turn[part], pa.int32())}
        batch = {**columns, "score": scores[part], "reason": reasons}
        batch["mass"] = pa.array([None] * len(row[part]), pa.float32())
        batch["truncated"] = pa.array([None] * len(row[part]), pa.bool_())
        add_scores(project, scorer, pa.table(batch))


def _add_vectors(project: Project, embedder: int, rows: int, random: np.random.Generator) -> None:
    vectors, centre = made_vectors(rows, random)
    add_vectors(project, embedder, vectors)
    places = random.normal(size=(int(centre.max()) + 1, 2))[centre]
    places += 0.06 * random.standard_t(4, (rows, 2))
    points = {"row": pa.array(range(rows), pa.int32()), "x": places[:, 0], "y": places[:, 1]}
    set_map(project, embedder, pa.table(points), {"seed": 42})


def add_vectors(project: Project, embedder: int, vectors: NDArray[np.float32]) -> None:
    """Store the vectors of all rows, (n, DIMENSION), batch by batch."""
    for start in range(0, len(vectors), BATCH):
        part = vectors[start : start + BATCH]
        offsets = pa.array(np.arange(0, part.size + 1, DIMENSION), pa.int32())
        batch = {
            "row": pa.array(range(start, start + len(part)), pa.int32()),
            "vector": pa.ListArray.from_arrays(offsets, pa.array(part.ravel())),
            "tokens": pa.array([60] * len(part), pa.int32()),
            "truncated": pa.array([False] * len(part)),
            "reason": pa.array([None] * len(part), pa.string()),
        }
        add_embeddings(project, embedder, pa.table(batch))


if __name__ == "__main__":
    print(make_project(Path(sys.argv[1]), int(sys.argv[2])))
