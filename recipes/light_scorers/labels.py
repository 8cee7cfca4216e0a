"""The labels that the light scorers are trained and judged on, read and split.

Training only: nothing here runs when a pool is scored. Splits go by a hash of the instruction,
so all rows of one instruction fall on the same side, whatever the order of the files.
"""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from deita_core.training.split import bucket

RATERS = ("gpt4omini", "llama31_8b", "mistral7b")
FLASK_LEVELS = (
    "simple lifestyle knowledge",
    "advanced lifestyle knowledge",
    "formal education knowledge",
    "major level knowledge",
    "expert level knowledge",
)
FOLLOWBENCH = ("content", "format", "situation", "style")


@dataclass(frozen=True, slots=True)
class Rated:
    """Alpaca rows with ratings: (n, 3) float32, 0 to 5, in the order of RATERS."""

    instructions: tuple[str, ...]
    responses: tuple[str, ...]
    ratings: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Levelled:
    """Instructions with a difficulty 0..4 and the task each was taken from."""

    instructions: tuple[str, ...]
    levels: NDArray[np.float32]
    tasks: tuple[str, ...]


class Pair(NamedTuple):
    """Two answers to one instruction."""

    instruction: str
    better: str
    worse: str


def in_training_half(chain: Sequence[str]) -> bool:
    """Whether the steps head may be fitted on this chain (by its first instruction)."""
    return bucket(chain[0], 2, "chain") == 0


def joined(instruction: str, material: str) -> str:
    """Instruction and input as the Alpaca reader joins them: one line break between."""
    return f"{instruction}\n{material}" if material else instruction


def read_rated(labels: Path, pools: Path) -> Rated:
    """The rated Alpaca rows; the rating file's `index` is the position in the pool."""
    pool = json.loads((pools / "alpaca_52k.json").read_text(encoding="utf-8"))
    with (labels / "alpaca52k_ds2_ratings_80.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    records = [pool[int(row["index"])] for row in rows]
    return Rated(
        tuple(joined(r["instruction"], r["input"]) for r in records),
        tuple(r["output"] for r in records),
        np.array([[float(row[rater]) for rater in RATERS] for row in rows], np.float32),
    )


def read_flask(labels: Path) -> Levelled:
    """FLASK's instructions with GPT-4's difficulty."""
    rows = _lines(labels / "flask_difficulty_no_wizardlm.jsonl")
    levels = [FLASK_LEVELS.index(row["difficulty"]) for row in rows]
    return Levelled(
        tuple(row["instruction"] for row in rows),
        np.array(levels, np.float32),
        tuple(row["task"] for row in rows),
    )


def read_evol_chains(labels: Path) -> list[tuple[str, ...]]:
    """Chains of instructions, each harder than the one before."""
    rows = json.loads((labels / "derived_evol_chains.json").read_text(encoding="utf-8"))
    steps = ("seed", "evol1", "evol2")
    return [tuple(row[step] for step in steps if step in row) for row in rows]


def read_followbench(labels: Path) -> list[tuple[str, ...]]:
    """Chains of instructions, each with one more constraint than the one before."""
    chains: list[tuple[str, ...]] = []
    for name in FOLLOWBENCH:
        rows = json.loads((labels / f"followbench_{name}.json").read_text(encoding="utf-8"))
        examples: dict[int, list[tuple[int, str]]] = {}
        for row in rows:
            examples.setdefault(row["example_id"], []).append((row["level"], row["instruction"]))
        chains += [tuple(text for _, text in sorted(levels)) for levels in examples.values()]
    return chains


def read_ultrafeedback(labels: Path) -> list[Pair]:
    """Chosen and rejected answers."""
    rows = _lines(labels / "ultrafeedback_1000.jsonl")
    return _usable(Pair(r["prompt"], r["chosen"], r["rejected"]) for r in rows)


def read_revisions(labels: Path) -> list[Pair]:
    """Answers revised by experts (better) and as they were (worse), same instruction only."""
    rows = json.loads((labels / "expert_revision.json").read_text(encoding="utf-8"))
    found = []
    for r in rows:
        raw = joined(r["Raw Instruction"], r["Raw Input"] or "")
        if raw == joined(r["Revised Instruction"], r["Revised Input"] or ""):
            found.append(Pair(raw, r["Revised Response"], r["Raw Response"]))
    return _usable(found)


def read_alpaca_eval(labels: Path, margin: float = 0.2) -> list[Pair]:
    """Answers of eight models to one instruction, paired where the win rates differ by `margin`."""
    answers: dict[str, list[tuple[float, str]]] = {}
    for row in _lines(labels / "alpaca_eval_v2_half_a.jsonl"):
        answers.setdefault(row["instruction"], []).append((row["win_prob"], row["output"]))
    return _usable(
        Pair(instruction, better, worse)
        for instruction, given in answers.items()
        for high, better in given
        for low, worse in given
        if high - low >= margin
    )


def read_autoj(labels: Path) -> list[tuple[str, str, float]]:
    """(instruction, response, rating 1 to 10 by GPT-4) each."""
    parts = re.compile(r"\[Query\]: (.*)\n\*\*\*\n\[Response\]: (.*)\n\*\*\*\n\[END DATA\]", re.S)
    found = []
    for row in _lines(labels / "autoj_single_960.jsonl"):
        match = parts.search(row["usrmsg"])
        if match:
            found.append((match[1], match[2], float(row["pred_score"])))
    return found


def _usable(pairs: Iterable[Pair]) -> list[Pair]:
    return [p for p in pairs if all(text.strip() for text in p) and p.better != p.worse]


def _lines(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8") as file:
        return [json.loads(line) for line in file if line.strip()]
