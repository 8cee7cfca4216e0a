"""The health of a scorer: whether its numbers look like scores at all.

An LLM that was trained to score puts nearly all of its probability on the digits 1 to 6. One that
was not still yields numbers between 1 and 6; the mass tells them apart after a hundred turns.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from deita_core.scoring.protocol import ScoreBatch, joined

Level = Literal["good", "look", "hopeless"]

# Turns with a known mass before a scorer is judged hopeless.
ENOUGH = 100
# Mean probability on the six digits below which a model is no scorer of this prompt, and below
# which its scores deserve a look. Trained scorers are above 0.95.
HOPELESS_MASS, LOW_MASS = 0.1, 0.5
_CONSTANT_SHARE, _CUT_SHARE, _FAILED_SHARE = 0.9, 0.2, 0.05
# What the pool lacks, not what the scorer fails at.
_OF_THE_POOL = frozenset({"empty instruction", "no response", "empty response"})

F32 = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class Verdict:
    """A sentence for people, and how bad it is."""

    level: Level
    sentence: str


@dataclass(frozen=True, slots=True)
class Health:
    """What is known of a scorer from its scores.

    turns: all it was given; scored of them; failed: without a score although the pool has what
    is needed; truncated: cut to fit (0 where the scorer does not say). mass_known: turns with a
    known mass; mass: mean of it. low, high: 5th and 95th percentile of the scores. most_common,
    constant: the most common score, to two decimals, and the share of turns that have it. NaN
    where nothing is known. reasons: why scores are missing, turns each.
    """

    turns: int
    scored: int
    failed: int
    truncated: int
    mass_known: int
    mass: float
    low: float
    high: float
    most_common: float
    constant: float
    reasons: Mapping[str, int]

    @property
    def hopeless(self) -> str | None:
        """Why going on would be a waste, or None."""
        return next((v.sentence for v in self.verdicts() if v.level == "hopeless"), None)

    @property
    def level(self) -> Level:
        """The worst of the verdicts."""
        return next((v.level for v in self.verdicts()), "good")

    def verdicts(self) -> tuple[Verdict, ...]:
        """What stands out, worst first; one good verdict when nothing does; none of nothing."""
        if not self.turns:
            return ()
        found = [*self._of_mass(), *self._of_scores()]
        if not found and self.scored:
            mass = f"{_percent(self.mass)} of the probability is on the digits 1 to 6, "
            scores = f"scores from {self.low:.1f} to {self.high:.1f}"
            good = mass + scores if self.mass_known else f"{scores}, nothing stands out"
            found = [Verdict("good", good)]
        return tuple(found)

    def _of_mass(self) -> list[Verdict]:
        if not self.mass_known or self.mass >= LOW_MASS:
            return []
        share = f"the model puts {_percent(self.mass)} of its probability on the digits 1 to 6"
        if self.mass < HOPELESS_MASS and self.mass_known >= ENOUGH:
            return [Verdict("hopeless", f"{share}: this is probably not a scorer of this prompt")]
        return [Verdict("look", f"{share}: look at its scores before you trust them")]

    def _of_scores(self) -> list[Verdict]:
        found = []
        if self.scored >= ENOUGH and self.constant > _CONSTANT_SHARE:
            share = _percent(self.constant)
            found.append(f"{share} of the scores are the same, {self.most_common:.2f}")
        if self.failed > _FAILED_SHARE * self.turns:
            of_scorer = {r: n for r, n in self.reasons.items() if r not in _OF_THE_POOL}
            worst = max(of_scorer, key=of_scorer.__getitem__)
            share = _percent(self.failed / self.turns)
            found.append(f"{share} of the turns have no score, most often because: {worst}")
        if self.truncated > _CUT_SHARE * self.turns:
            share = _percent(self.truncated / self.turns)
            found.append(f"{share} of the turns were cut to fit the model")
        return [Verdict("look", sentence) for sentence in found]


def health_of(
    scores: F32,
    mass: F32 | None = None,
    truncated: NDArray[np.bool_] | None = None,
    reasons: Mapping[str, int] | None = None,
) -> Health:
    """Health from (n,) scores with NaN for missing ones, and (n,) mass with NaN for unknown."""
    good = scores[~np.isnan(scores)].astype(np.float64)
    known = np.zeros(0) if mass is None else mass[~np.isnan(mass)].astype(np.float64)
    reasons = dict(reasons or {})
    low = high = common = math.nan
    constant = 0.0
    if len(good):
        low, high = np.percentile(good, [5, 95]).tolist()
        values, counts = np.unique(np.round(good, 2), return_counts=True)
        common, constant = float(values[counts.argmax()]), float(counts.max() / len(good))
    return Health(
        turns=len(scores),
        scored=len(good),
        failed=sum(n for reason, n in reasons.items() if reason not in _OF_THE_POOL),
        truncated=0 if truncated is None else int(truncated.sum()),
        mass_known=len(known),
        mass=float(known.mean()) if len(known) else math.nan,
        low=low,
        high=high,
        most_common=common,
        constant=constant,
        reasons=reasons,
    )


class HealthTally:
    """Collects batches of one scorer while a job runs; `health` tells how it looks so far."""

    def __init__(self) -> None:
        self._seen = ScoreBatch(np.zeros(0, np.float32), ())

    def add(self, batch: ScoreBatch) -> None:
        """One more batch."""
        self._seen = joined([self._seen, batch])

    @property
    def health(self) -> Health:
        """Of everything added so far."""
        seen = self._seen
        reasons = Counter(reason for reason in seen.reasons if reason is not None)
        return health_of(seen.scores, seen.mass, seen.truncated, reasons)


def _percent(share: float) -> str:
    """3 %, 0.04 %: enough digits to see that it is not zero."""
    percent = 100 * share
    return f"{percent:.0f} %" if percent >= 1 or percent == 0 else f"{percent:.1g} %"
