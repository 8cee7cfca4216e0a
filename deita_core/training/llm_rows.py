"""Labelled turns as tokens: what a language model learns from is what it will be asked.

The prompt of a row is made by `PromptTokenizer`, the same that asks a trained scorer, so the two
agree token for token, also where a text is too long: its end is cut, which lies in the middle of
the row, and the cue and the score stay. (TRL, left to itself, tokenizes prompt and score once more
and cuts what is too long at its end, where the score stands.)
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np

from deita_core.errors import ModelError
from deita_core.scoring.llm.prompts import PromptTokenizer, prompt_of
from deita_core.scoring.protocol import Dimension, TurnText, why_unscorable
from deita_core.training.labels import LabelledTurn

# Six variants of a seed make 15 pairs. A group of hundreds would drown all the others.
PAIRS_A_GROUP = 60
IGNORED = -100  # a place that counts for no loss, in torch


@dataclass(frozen=True, slots=True)
class Usable:
    """turns: those that the dimension can be learnt from. left_out: why others were not taken, and
    how many."""

    turns: tuple[LabelledTurn, ...]
    left_out: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class ScoreRows:
    """ids: of n rows, the prompt and behind it the token of the score. cut: how many lost text."""

    ids: list[list[int]]
    cut: int

    @property
    def labels(self) -> list[list[int]]:
        """The same with every place ignored but the last: only the score is learnt."""
        return [[IGNORED] * (len(row) - 1) + row[-1:] for row in self.ids]


@dataclass(frozen=True, slots=True)
class PairRows:
    """better, worse: token ids of n pairs, each of one group. left_out: pairs over the limit of a
    group. cut: how many of the turns in them lost text."""

    better: list[list[int]]
    worse: list[list[int]]
    left_out: int
    cut: int


def usable(dimension: Dimension, rows: Iterable[LabelledTurn]) -> Usable:
    """The rows that can be learnt from, in their order.

    Raises ModelError for a score that is not within 1 to 6, and when no row is left.
    """
    kept: list[LabelledTurn] = []
    left_out: Counter[str] = Counter()
    for number, row in enumerate(rows, start=1):
        if not 1 <= row.score <= 6:
            raise ModelError(
                f"label {number} is {row.score:g}: scores lie within 1 to 6; map yours to that"
            )
        reason = why_unscorable(dimension, turn_of(row))
        if reason is None:
            kept.append(row)
        else:
            left_out[reason] += 1
    if not kept:
        why = ", ".join(f"{count:,} with {reason}" for reason, count in left_out.items())
        raise ModelError(
            f"there is no row to learn {dimension} from: {why or 'there are no labels'}"
        )
    return Usable(tuple(kept), dict(left_out))


def turn_of(row: LabelledTurn) -> TurnText:
    """What a scorer would see of it."""
    return TurnText(row.instruction, row.response)


def score_rows(
    dimension: Dimension, rows: Sequence[LabelledTurn], tokenizer: PromptTokenizer, seed: int
) -> ScoreRows:
    """A row of tokens for each labelled turn, at most `tokenizer.max_tokens` + 1 long.

    A score between two whole numbers (a mean over rankings) becomes one of them, drawn by the seed
    and the row so that the expectation is the score: what a scorer gives is an expectation as well.
    """
    digits = tokenizer.score_tokens(dimension)
    encoded = tokenizer.encode([prompt_of(dimension, turn_of(row)) for row in rows])
    whole = [whole_score(row, seed) for row in rows]
    ids = [[*prompt, digits[score - 1]] for prompt, score in zip(encoded.ids, whole, strict=True)]
    return ScoreRows(ids, int(encoded.truncated.sum()))


def whole_score(row: LabelledTurn, seed: int) -> int:
    """1 to 6: the score itself, or one of its neighbours, the nearer the likelier."""
    below = math.floor(row.score)
    return below + int(_uniform(seed, row) < row.score - below)


def pair_rows(
    dimension: Dimension, rows: Sequence[LabelledTurn], tokenizer: PromptTokenizer, seed: int
) -> PairRows:
    """All pairs of a group whose scores differ, at most `PAIRS_A_GROUP` of one, drawn by seed.

    Raises ModelError when there is no such pair.
    """
    encoded = tokenizer.encode([prompt_of(dimension, turn_of(row)) for row in rows])
    pairs, left_out = ordered_pairs(rows, seed)
    if not pairs:
        raise ModelError(
            "pairs are made of turns of one seed with different scores, and these labels have "
            "none: take ranked chains as labels, or train by scores (light or llm)"
        )
    inside = sorted({place for pair in pairs for place in pair})
    return PairRows(
        [encoded.ids[better] for better, _ in pairs],
        [encoded.ids[worse] for _, worse in pairs],
        left_out,
        int(encoded.truncated[inside].sum()),
    )


def ordered_pairs(rows: Sequence[LabelledTurn], seed: int) -> tuple[list[tuple[int, int]], int]:
    """(place of the better, place of the worse) for pairs within a group, groups in order of their
    first row; and how many were left out."""
    groups: dict[str, list[int]] = defaultdict(list)
    for place, row in enumerate(rows):
        groups[row.group].append(place)
    rng, found, left_out = np.random.default_rng(seed), list[tuple[int, int]](), 0
    for places in groups.values():
        pairs = [
            (a, b) if rows[a].score > rows[b].score else (b, a)
            for a, b in combinations(places, 2)
            if rows[a].score != rows[b].score
        ]
        if len(pairs) > PAIRS_A_GROUP:
            left_out += len(pairs) - PAIRS_A_GROUP
            chosen = rng.choice(len(pairs), PAIRS_A_GROUP, replace=False)
            pairs = [pairs[n] for n in sorted(chosen.tolist())]
        found += pairs
    return found, left_out


def _uniform(seed: int, row: LabelledTurn) -> float:
    """In [0, 1), by seed and content."""
    content = repr((seed, row.group, row.instruction, row.response))
    digest = hashlib.blake2b(content.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return (int.from_bytes(digest, "little") >> 11) * 2.0**-53
