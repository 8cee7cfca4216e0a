"""Which labelled turns a scorer is fitted on, and which it never sees: by a hash of their group."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from deita_core.conversation import without_surrogates
from deita_core.errors import ModelError
from deita_core.training.labels import LabelledTurn

# Below these there is nothing to fit, or nothing left to look at.
FEWEST_LABELS, FEWEST_GROUPS, FEWEST_LEARNT = 20, 5, 10


def bucket(text: str, buckets: int, salt: str = "") -> int:
    """A stable number in [0, buckets) for a text."""
    return _hashed(text, salt) % buckets


def buckets_of(texts: Iterable[str], count: int, salt: str = "") -> NDArray[np.int64]:
    """`bucket` of each text: (n,) int64."""
    return np.array([bucket(text, count, salt) for text in texts], np.int64)


def held_out_rows(groups: Sequence[str], share: float, seed: int) -> NDArray[np.bool_]:
    """The rows that are not learnt from: (n,) bool, alike for all rows of a group.

    share: of the groups, in (0, 1). They are drawn by a hash of seed and group, so that the order
    of the rows says nothing, and a group that is added moves hardly any other. At least one group
    is held out, and one is not.
    """
    known = sorted(set(groups), key=lambda group: (_hashed(group, f"held out {seed} "), group))
    count = min(max(round(share * len(known)), 1), len(known) - 1)
    chosen = set(known[:count])
    return np.array([group in chosen for group in groups], np.bool_)


def split_turns(
    turns: Sequence[LabelledTurn], share: float, seed: int
) -> tuple[list[LabelledTurn], list[LabelledTurn]]:
    """What is learnt from, and what is held out (see `held_out_rows`), each in the order given.

    Raises ModelError where there are too few labels, or too few of them are left to learn from.
    """
    check_labels(turns)
    away = held_out_rows([turn.group for turn in turns], share, seed).tolist()
    learnt = [turn for turn, out in zip(turns, away, strict=True) if not out]
    check_learnt(learnt)
    return learnt, [turn for turn, out in zip(turns, away, strict=True) if out]


def check_labels(turns: Sequence[LabelledTurn]) -> None:
    """Raises ModelError, with the remedy, for labels that no scorer can be trained on."""
    groups = len({turn.group for turn in turns})
    if len(turns) < FEWEST_LABELS or groups < FEWEST_GROUPS:
        raise ModelError(
            f"training needs at least {FEWEST_LABELS} labelled turns of {FEWEST_GROUPS} groups "
            f"(a group is a seed instruction), and there are {len(turns):,} of {groups:,}: label "
            "more rows, or evolve and rank more seeds"
        )
    if len({turn.score for turn in turns}) == 1:
        raise ModelError(
            f"all {len(turns):,} labels are {turns[0].score:g}: a scorer learns from differences; "
            "add rows that score higher or lower"
        )


def check_learnt(turns: Sequence[LabelledTurn]) -> None:
    """The same for what is left to learn from once the held-out groups are away."""
    if len(turns) < FEWEST_LEARNT or len({turn.group for turn in turns}) < 2:
        raise ModelError(
            f"only {len(turns):,} labelled turns are left to learn from, and it takes at least "
            f"{FEWEST_LEARNT} of 2 groups: hold out less, or label more"
        )
    if len({turn.score for turn in turns}) == 1:
        raise ModelError(
            f"all {len(turns):,} labels that are left to learn from are {turns[0].score:g}: hold "
            "out less, or label rows that score higher or lower"
        )


def _hashed(text: str, salt: str) -> int:
    digest = hashlib.blake2b(without_surrogates(salt + text).encode(), digest_size=8).digest()
    return int.from_bytes(digest, "big")
