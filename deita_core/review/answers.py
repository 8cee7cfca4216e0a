"""The answers of a queue, and what follows from them: pins, exclusions, rows to ask again.

Verdicts are numbers here, 0 drop, 1 unsure, 2 keep, in the order that agreement counts them in.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import ReviewError
from deita_core.review.decision import VERDICTS

DROP, UNSURE, KEEP = range(len(VERDICTS))
ActingRule = Literal["majority", "any", "adjudicated"]
ACTING_RULES: Final[tuple[ActingRule, ...]] = get_args(ActingRule)
RULE_WORDS: Final[Mapping[ActingRule, str]] = MappingProxyType(
    {
        "majority": "more than half of all answers, unsure ones counted too",
        "any": "one drop excludes; without any, one keep pins",
        "adjudicated": "the adjudicator's verdict; without one, an answer that all gave",
    }
)
# Scores that lie further apart than this are a disagreement.
FAR_APART: Final = 1.0
Rows = NDArray[np.int64]
Values = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Answers:
    """What r reviewers said of the u rows of a queue; NaN where they said nothing.

    rows: (u,) int64, in the order of the queue. verdict: (r, u) float64, 0 to 2. complexity,
    quality: (r, u) float64, 1 to 6. label: (r, u) float64, places in `label_names`.
    adjudicated: (u,) float64, the verdicts of the adjudicator. needed: (u,) int64, how many
    reviewers each row asks for.
    """

    rows: Rows
    reviewers: tuple[str, ...]
    verdict: Values
    complexity: Values
    quality: Values
    label: Values
    label_names: tuple[str, ...]
    adjudicated: Values
    needed: Rows

    def of(self, ask: str) -> Values:
        """The (r, u) answers to "verdict", "complexity", "quality" or "label"."""
        values: Values = getattr(self, ask)
        return values

    def whole(self, asks: Sequence[str]) -> NDArray[np.bool_]:
        """Who has answered which row whole: (r, u) bool, every one of `asks` answered."""
        found = np.ones(self.verdict.shape, np.bool_)
        for ask in asks:
            found &= np.isfinite(self.of(ask))
        return found

    def words(self, ask: str) -> tuple[str, ...]:
        """What the values of an answer mean, from 0 (scores: from 1)."""
        if ask == "verdict":
            return VERDICTS
        return self.label_names if ask == "label" else tuple("123456")


@dataclass(frozen=True, slots=True, eq=False)
class Effect:
    """What the verdicts do by a rule: rows to pin and to exclude, ascending, (k,) int64.

    undecided: rows with answers that decide nothing. unanswered: rows without any answer.
    """

    rule: ActingRule
    pinned: Rows
    excluded: Rows
    undecided: Rows
    unanswered: Rows

    def sentence(self) -> str:
        """What would happen, with numbers."""
        return (
            f"{len(self.pinned):,} rows pinned, {len(self.excluded):,} excluded by {self.rule} "
            f"({RULE_WORDS[self.rule]}); {len(self.undecided):,} undecided, "
            f"{len(self.unanswered):,} without an answer"
        )


def effect_of(answers: Answers, rule: str) -> Effect:
    """What the verdicts of a queue do to its rows by a rule; ReviewError for an unknown one."""
    if rule not in ACTING_RULES:
        raise ReviewError(f"verdicts act by {', '.join(ACTING_RULES)}, got {rule!r}")
    verdict = answers.verdict
    given = np.isfinite(verdict).sum(axis=0) + np.isfinite(answers.adjudicated)
    keep, drop = _DECIDING[rule](answers)
    rows, decided = answers.rows, keep | drop
    return Effect(
        rule,
        np.sort(rows[keep]),
        np.sort(rows[drop]),
        np.sort(rows[(given > 0) & ~decided]),
        np.sort(rows[given == 0]),
    )


def _counts(answers: Answers) -> tuple[Rows, Rows, Rows]:
    """How many keep, how many drop, and how many answered, by row."""
    verdict = answers.verdict
    keep, drop = (verdict == KEEP).sum(axis=0), (verdict == DROP).sum(axis=0)
    return keep, drop, np.isfinite(verdict).sum(axis=0)


Deciding = Callable[[Answers], tuple[NDArray[np.bool_], NDArray[np.bool_]]]


def _majority(answers: Answers) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    keep, drop, given = _counts(answers)
    return 2 * keep > given, 2 * drop > given


def _any(answers: Answers) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    keep, drop, _ = _counts(answers)
    return (keep > 0) & (drop == 0), drop > 0


def _adjudicated(answers: Answers) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    keep, drop, given = _counts(answers)
    judged = np.isfinite(answers.adjudicated)
    alone = ~judged & (given > 0)
    return (
        (answers.adjudicated == KEEP) | (alone & (keep == given)),
        (answers.adjudicated == DROP) | (alone & (drop == given)),
    )


_DECIDING: Final[Mapping[str, Deciding]] = {
    "majority": _majority,
    "any": _any,
    "adjudicated": _adjudicated,
}


def disagreeing(answers: Answers) -> Rows:
    """Rows on which reviewers differ, in the order of the queue: an adjudicator's queue.

    They differ in the verdict or the label, or by more than one point in a score.
    """
    apart = np.zeros(len(answers.rows), np.bool_)
    for ask, allowed in (("verdict", 0.0), ("label", 0.0), ("complexity", 1.0), ("quality", 1.0)):
        values = answers.of(ask)
        if len(values):
            spread = np.where(np.isfinite(values), values, -np.inf).max(axis=0) - np.where(
                np.isfinite(values), values, np.inf
            ).min(axis=0)
            apart |= np.nan_to_num(spread, neginf=0.0) > allowed
    return answers.rows[apart]


def uncertain(answers: Answers, least: float = 2 / 3) -> Rows:
    """Rows answered as often as they ask for, without a clear verdict, in the order of the queue.

    A verdict is clear when `least` of all answers or more are that keep or that drop.
    """
    keep, drop, given = _counts(answers)
    full = (given > 0) & (given >= answers.needed)
    return answers.rows[full & (np.maximum(keep, drop) < least * given - 1e-9)]


def answered_once(answers: Answers, asks: Sequence[str]) -> Rows:
    """Rows that one reviewer alone has answered and that ask for no other, in the queue's order."""
    once = (answers.whole(asks).sum(axis=0) == 1) & (answers.needed == 1)
    rows: Rows = answers.rows[once]
    return rows
