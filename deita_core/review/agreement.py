"""How far the reviewers of a queue agree: Krippendorff's alpha, raw, by pair, answer and cluster.

Alpha is 1 - observed / expected disagreement (K. Krippendorff: Content Analysis, 4th edition,
chapter 12): 1 for reviewers who agree, 0 for what chance gives. It takes missing answers and any
number of reviewers; verdicts and scores are ordinal, labels nominal.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import ReviewError
from deita_core.review.answers import Answers, Rows, Values
from deita_core.review.decision import ASKS


@dataclass(frozen=True, slots=True)
class PairAgreement:
    """Two reviewers: rows both answered, and how they agree on them; NaN where it is unknown."""

    first: str
    second: str
    rows: int
    raw: float
    alpha: float


@dataclass(frozen=True, slots=True)
class AnswerAgreement:
    """How far reviewers agree on one answer.

    given: answers that say it. agreed: of the pairs of answers to a row, weighted by their
    answers, the share in which both say it: 2a / (2a + b), where a pairs have it twice and b once
    (specific agreement: Cicchetti and Feinstein, J. Clin. Epidemiol. 43, 1990). NaN for no pair.
    """

    answer: str
    given: int
    agreed: float


@dataclass(frozen=True, slots=True)
class ClusterAgreement:
    """Agreement within a cluster; -1 are the rows of none."""

    cluster: int
    rows: int
    raw: float
    alpha: float


@dataclass(frozen=True, slots=True, eq=False)
class ReviewerAgreement:
    """Agreement on what a queue asks for ("verdict", "complexity", "quality" or "label").

    rows: those with two answers or more. answers: all that were given. raw: share of equal ones
    among the pairs of answers to a row. alpha: NaN without two answers that differ somewhere.
    differ: rows where answers differ, (k,) int64, in the order of the queue.
    """

    ask: str
    rows: int
    answers: int
    alpha: float
    raw: float
    pairs: tuple[PairAgreement, ...]
    each: tuple[AnswerAgreement, ...]
    clusters: tuple[ClusterAgreement, ...]
    differ: Rows

    def sentence(self) -> str:
        """The agreement in plain words."""
        if not self.rows:
            return f"{self.ask}: no row has two answers yet"
        alpha = "alpha unknown (all answers are the same)"
        if np.isfinite(self.alpha):
            alpha = f"Krippendorff's alpha {self.alpha:.2f}"
        rows = "1 row" if self.rows == 1 else f"{self.rows:,} rows"
        differ = "1 row differs" if len(self.differ) == 1 else f"{len(self.differ):,} rows differ"
        return (
            f"{self.ask}: {alpha}, raw agreement {self.raw:.0%} over {rows} with two answers or "
            f"more; {differ}"
        )


def reviewer_agreement(
    answers: Answers, ask: str, cluster: NDArray[np.integer] | None = None
) -> ReviewerAgreement:
    """How far reviewers agree on the verdict, a score or the label.

    cluster: (n,) of each row of the pool, -1 for none. Raises ReviewError for another question.
    """
    if ask not in ASKS:
        raise ReviewError(f"reviewers are asked for {', '.join(ASKS)}, got {ask!r}")
    values, nominal = answers.of(ask), ask == "label"
    given = np.isfinite(values).sum(axis=0)
    several = given >= 2
    return ReviewerAgreement(
        ask=ask,
        rows=int(several.sum()),
        answers=int(given.sum()),
        alpha=alpha(values, nominal=nominal),
        raw=raw_agreement(values),
        pairs=_pairs(values, answers.reviewers, nominal),
        each=_each(values, answers.words(ask), 1 if ask in ("complexity", "quality") else 0),
        clusters=_clusters(values, answers.rows, cluster, nominal),
        differ=answers.rows[several & (_equal_pairs(values) < given * (given - 1) // 2)],
    )


def alpha(values: Values, *, nominal: bool = False) -> float:
    """Krippendorff's alpha of (r, u) answers, NaN for those not given; NaN where it is unknown."""
    import krippendorff

    paired = values[:, np.isfinite(values).sum(axis=0) >= 2]
    if len(np.unique(paired[np.isfinite(paired)])) < 2:
        return float("nan")
    level: Literal["nominal", "ordinal"] = "nominal" if nominal else "ordinal"
    return float(krippendorff.alpha(reliability_data=paired, level_of_measurement=level))


def raw_agreement(values: Values) -> float:
    """Share of equal ones among the pairs of answers to the same row; NaN for no pair."""
    given = np.isfinite(values).sum(axis=0)
    pairs = int((given * (given - 1) // 2).sum())
    return float(_equal_pairs(values).sum() / pairs) if pairs else float("nan")


def _equal_pairs(values: Values) -> Rows:
    """How many pairs of answers to a row are equal: (u,) int64."""
    equal = np.zeros(values.shape[1], np.int64)
    for value in np.unique(values[np.isfinite(values)]):
        said = (values == value).sum(axis=0)
        equal += said * (said - 1) // 2
    return equal


def _pairs(values: Values, reviewers: Sequence[str], nominal: bool) -> tuple[PairAgreement, ...]:
    found = []
    for first, second in combinations(range(len(reviewers)), 2):
        two = values[[first, second]]
        both = int(np.isfinite(two).all(axis=0).sum())
        if both:
            found.append(
                PairAgreement(
                    reviewers[first],
                    reviewers[second],
                    both,
                    raw_agreement(two),
                    alpha(two, nominal=nominal),
                )
            )
    return tuple(found)


def _each(values: Values, words: Sequence[str], lowest: int) -> tuple[AnswerAgreement, ...]:
    given = np.isfinite(values).sum(axis=0)
    found = []
    for place, word in enumerate(words):
        said = (values == place + lowest).sum(axis=0)
        twice = int((said * (said - 1) // 2).sum())
        once = int((said * (given - said)).sum())
        agreed = 2 * twice / (2 * twice + once) if twice or once else float("nan")
        found.append(AnswerAgreement(word, int(said.sum()), agreed))
    return tuple(found)


def _clusters(
    values: Values, rows: Rows, cluster: NDArray[np.integer] | None, nominal: bool
) -> tuple[ClusterAgreement, ...]:
    if cluster is None:
        return ()
    found = []
    of_row = cluster[rows]
    for number in np.unique(of_row):
        part = values[:, of_row == number]
        several = int((np.isfinite(part).sum(axis=0) >= 2).sum())
        if several:
            made = (several, raw_agreement(part), alpha(part, nominal=nominal))
            found.append(ClusterAgreement(int(number), *made))
    return tuple(found)
