"""Strategies that spread a selection over the clusters of the pool: CaR and MIG.

Both take the clusters that are made along with the similarity graph (k-means on the unit vectors,
sqrt(n / 2) of them, 256 at most) and the evol scores.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from deita_core.progress import FilterProgress
from deita_core.selection.candidates import Candidates, Limits, Steps, Strategy
from deita_core.selection.strategies.coverage import (
    GAIN_DECIMALS,
    STEP,
    Admission,
    Progress,
    chosen_steps,
)
from deita_core.selection.strategies.deduplication import cluster_centroids
from deita_core.selection.strategies.greedy import pass_steps
from deita_core.similarity.definition import DECIMALS

Rows = NDArray[np.int64]
Floats = NDArray[np.float64]


def _car_steps(candidates: Candidates, limits: Limits) -> Steps:
    """Clustering and Ranking (arXiv 2402.18191, figure 2): the n1 best rows of all, and the n2
    best of each of sqrt(n / 2) clusters by k-means, each row once. Here n2 is 1, and n1 is what
    the budget leaves, which is our choice (the published program has neither number): the best row
    of each cluster comes first, from the highest score down, then all other rows from the highest
    score down; a row in no cluster is one of these. The published program (IronBeliever/CaR,
    Clustering/cluster.py) clusters by the main axes that keep 95 % of the variance, and ranks by a
    quality model of its own; here it is the evol score.
    """
    order = candidates.best_first()
    if len(order):
        cluster = candidates.clusters()[order]
        first = np.zeros(len(order), np.bool_)
        first[np.unique(cluster, return_index=True)[1]] = True
        first &= cluster >= 0
        order = np.concatenate((order[first], order[~first]))
    return (yield from pass_steps(order, candidates, limits, threshold=None))


CAR = Strategy(
    name="car",
    label="CaR",
    phrase="by CaR",
    source=(
        "Clustering and Ranking, Ge et al. (arXiv 2402.18191): the best row of each cluster, then "
        "the highest evol scores of all others."
    ),
    steps=_car_steps,
    uses_score=True,
    needs_clusters=True,
)


# The defaults of the published program (yichengchen24/MIG, mig/sampler.py).
POWER: Final = 0.8
OFFSET: Final = 1e-6


def _mig_steps(candidates: Candidates, limits: Limits) -> Steps:
    """Maximising information gain (arXiv 2504.13835; yichengchen24/MIG, mig/sampler.py).

    A row carries its score to its labels, from where it spreads to labels like them. A label that
    has x knows phi(x) = x^0.8 of it. Each row selected is the one that adds most by the slope of
    phi: the sum over labels of what the row brings there x 0.8 (x + 1e-6)^-0.2. What it adds is
    rounded to 9 decimals; ties go to the higher score, then to the lower row number.

    The labels are clusters here, one a row (the paper's are tags). Two are alike by the similarity
    of their centroids; below the threshold, or below 0, they are not. What a label gets from all
    labels like it is divided by the sum of their similarities. A row in no cluster adds nothing,
    nor does a score of 0 or less.
    """
    spread = np.ones((0, 0))
    cluster = np.empty(0, np.int32)
    if candidates.eligible.any():
        cluster = candidates.clusters()
        spread = spread_of(cluster_centroids(candidates.table.vectors, cluster), limits.threshold)

    def choose(admission: Admission) -> Progress:
        return _Information(candidates, cluster, spread, admission).choose_steps()

    return (yield from chosen_steps(candidates, limits, choose))


MIG = Strategy(
    name="mig",
    label="MIG",
    phrase="by MIG",
    source=(
        "Chen et al. (arXiv 2504.13835): always the row that adds most information, its score "
        "spread over its cluster and clusters like it, where a cluster that has x already knows "
        "x^0.8. Clusters are alike when their centroids are at least as similar as the threshold."
    ),
    steps=_mig_steps,
    uses_threshold=True,
    uses_score=True,
    needs_clusters=True,
)


def spread_of(centroids: Floats, threshold: float) -> Floats:
    """How much of a label's score each label gets: (c, c) float64, row by row.

    centroids: (c, d), of length 1 or 0. The columns add up to 1.
    """
    alike = np.round(centroids @ centroids.T, DECIMALS)
    alike[alike < max(threshold, 0.0)] = 0.0
    np.fill_diagonal(alike, 1.0)
    spread: Floats = alike / alike.sum(axis=0)
    return spread


class _Information:
    """What each label has so far, and the greedy loop.

    All rows of a cluster spread alike, so of each cluster only the best row that waits is looked
    at. Rows without a cluster wait behind the last one and add nothing.
    """

    def __init__(
        self,
        candidates: Candidates,
        cluster: NDArray[np.int32],
        spread: Floats,
        admission: Admission,
    ) -> None:
        labels = len(spread)
        self._admission, self._spread, self._has = admission, spread, np.zeros(labels)
        self._scores = np.maximum(np.nan_to_num(candidates.scores), 0.0)
        self._label = np.where(cluster >= 0, cluster, labels)
        for place in admission.pins.tolist():
            self._learn(place)
        # Of each label the waiting rows as places in the order of scores, the best last.
        self._waiting: list[list[int]] = [[] for _ in range(labels + 1)]
        for at in range(len(admission.others) - 1, -1, -1):
            self._waiting[self._label[admission.others[at]]].append(at)

    def _learn(self, place: int) -> None:
        label = self._label[place]
        if label < len(self._has):
            self._has += self._scores[place] * self._spread[label]

    def choose_steps(self) -> Progress:
        """Asks for one row after the other, the one that adds most first."""
        others = self._admission.others
        best, at = np.zeros(len(self._waiting)), np.empty(len(self._waiting), np.int64)
        for label in range(len(at)):
            self._look(label, best, at)
        taken = asked = 0
        slope = self._slope()
        while asked < len(others):
            gains = np.where(at < len(others), np.round(best * slope, GAIN_DECIMALS), -1.0)
            tied = np.flatnonzero(gains == gains.max())
            label = int(tied[at[tied].argmin()])
            place = int(others[at[label]])
            is_in = self._admission.take(place)
            if is_in is None:
                break
            if is_in:
                self._learn(place)
                slope, taken = self._slope(), taken + 1
            self._waiting[label].pop()
            self._look(label, best, at)
            asked += 1
            if asked % STEP == 0:
                yield FilterProgress(asked, taken, len(others))

    def _look(self, label: int, best: Floats, at: Rows) -> None:
        """Writes the score of the best waiting row of a label, and where it is in the order."""
        others, waiting = self._admission.others, self._waiting[label]
        at[label] = waiting[-1] if waiting else len(others)
        best[label] = self._scores[others[waiting[-1]]] if waiting else 0.0

    def _slope(self) -> Floats:
        """What a score of 1 adds, by label; the last is that of rows without one."""
        slopes = POWER * (self._has + OFFSET) ** (POWER - 1.0)
        return np.append(self._spread @ slopes, 0.0)
