"""Strategies that spread a selection over the clusters or the tags of the pool: CaR and MIG.

They take the clusters that are made along with the similarity graph (k-means on the unit vectors,
sqrt(n / 2) of them, 256 at most), or what people tagged, and the evol scores.
"""

from __future__ import annotations

from dataclasses import dataclass
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
from deita_core.selection.strategies.deduplication import cluster_centroids, group_centroids
from deita_core.selection.strategies.greedy import pass_steps
from deita_core.similarity.definition import DECIMALS

Rows = NDArray[np.int64]
Floats = NDArray[np.float64]


def _car_steps(candidates: Candidates, limits: Limits) -> Steps:
    """Clustering and Ranking (arXiv 2402.18191, figure 2): the n1 best rows of all, and the n2
    best of each of sqrt(n / 2) clusters by k-means, each row once. The published program
    (IronBeliever/CaR, Clustering/cluster.py) has n1 = 1,000 and n2 = 1. Here n2 is 1 too, and n1
    is the number with which both together fill the budget: the best row of each cluster comes
    first, from the highest score down, then all other rows from the highest score down; a row in
    no cluster is one of these. The program clusters by the main axes that keep 95 % of the
    variance, and ranks by a quality model of its own; here it is the evol score.
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

    A row carries its score to its labels, in equal parts (`vectorize` in mig/label.py), from where
    it spreads to labels like them. A label that has x knows phi(x) = x^0.8 of it. Each row selected
    is the one that adds most by the slope of phi: the sum over labels of what the row brings there
    x 0.8 (x + 1e-6)^-0.2. What it adds is rounded to 9 decimals; ties go to the higher score, then
    to the lower row number.

    The labels are clusters, one a row. Two are alike by the similarity of their centroids; below
    the threshold, or below 0, they are not. What a label gets from all labels like it is divided
    by the sum of their similarities. A row in no cluster adds nothing, nor does a score of 0 or
    less.
    """
    carried, spread = _Labels.none(), np.ones((0, 0))
    if candidates.eligible.any():
        cluster = candidates.clusters()
        spread = spread_of(cluster_centroids(candidates.table.vectors, cluster), limits.threshold)
        rows = np.flatnonzero(cluster >= 0)
        carried = _Labels.of(rows, cluster[rows], len(cluster))
    return (yield from _informed_steps(candidates, limits, carried, spread))


def _mig_tags_steps(candidates: Candidates, limits: Limits) -> Steps:
    """The same over tags, as in the paper: a row may have several, or none. The paper compares the
    words of two tags by an embedder; here the centroids of the rows that have them, so that tags of
    any kind are compared, and by the pool's own vectors."""
    carried, spread = _Labels.none(), np.ones((0, 0))
    if candidates.eligible.any():
        tags = candidates.tags()
        rows, tag = np.nonzero(tags)
        centroids = group_centroids(candidates.table.vectors, rows, tag, tags.shape[1])
        carried, spread = _Labels.of(rows, tag, len(tags)), spread_of(centroids, limits.threshold)
    return (yield from _informed_steps(candidates, limits, carried, spread))


def _informed_steps(
    candidates: Candidates, limits: Limits, carried: _Labels, spread: Floats
) -> Steps:
    def choose(admission: Admission) -> Progress:
        return _Information(candidates, carried, spread, admission).choose_steps()

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


MIG_TAGS = Strategy(
    name="mig_tags",
    label="MIG over tags",
    phrase="by MIG over tags",
    source=(
        "Chen et al. (arXiv 2504.13835): always the row that adds most information, its score "
        "spread over its tags and tags like them, where a tag that has x already knows x^0.8. "
        "Tags are alike when the centroids of their rows are at least as similar as the threshold. "
        "Tags stand in the project and not in the rule, so an export of it cannot be replayed."
    ),
    steps=_mig_tags_steps,
    uses_threshold=True,
    uses_score=True,
    needs_tags=True,
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


@dataclass(frozen=True, slots=True)
class _Labels:
    """The labels that rows carry. Rows of the same labels are of one kind.

    kind: (m,), of each place; the last kind is that of places without a label. label: the labels
    of all kinds, one kind after the other; start: (kinds,), where each begins.
    """

    kind: Rows
    label: Rows
    start: Rows

    @staticmethod
    def none() -> _Labels:
        nothing = np.empty(0, np.int64)
        return _Labels(nothing, nothing, nothing)

    @staticmethod
    def of(rows: Rows, label: NDArray[np.integer], places: int) -> _Labels:
        """rows, label: (k,), a place and a label of it; rows ascending. places: m."""
        ends = np.searchsorted(rows, np.arange(places), side="right").tolist()
        sets = [tuple(one) for one in np.split(label.astype(np.int64), ends[:-1])] if places else []
        kinds = sorted({one for one in sets if one})
        number = {labels: place for place, labels in enumerate(kinds)}
        kind = np.array([number.get(one, len(kinds)) for one in sets], np.int64)
        lengths = np.array([len(one) for one in kinds], np.int64)
        flat = np.array([label for one in kinds for label in one], np.int64)
        return _Labels(kind, flat, np.cumsum(lengths) - lengths)

    @property
    def kinds(self) -> int:
        """How many kinds of rows have a label."""
        return len(self.start)

    def of_kind(self, kind: int) -> Rows:
        """The labels of a kind."""
        after = self.start[kind + 1] if kind + 1 < self.kinds else len(self.label)
        found: Rows = self.label[self.start[kind] : after]
        return found

    def mean(self, values: Floats) -> Floats:
        """Of values by label, (l,), the mean over the labels of each kind: (kinds,)."""
        if not self.kinds:
            return np.empty(0)
        lengths = np.diff(np.append(self.start, len(self.label)))
        means: Floats = np.add.reduceat(values[self.label], self.start) / lengths
        return means


class _Information:
    """What each label has so far, and the greedy loop.

    All rows of a kind spread alike, so of each kind only the best row that waits is looked at.
    Rows without a label wait behind the last kind and add nothing.
    """

    def __init__(
        self, candidates: Candidates, carried: _Labels, spread: Floats, admission: Admission
    ) -> None:
        self._carried = carried
        self._admission, self._spread = admission, spread
        self._has = np.zeros(len(spread))
        self._scores = np.maximum(np.nan_to_num(candidates.scores), 0.0)
        for place in admission.pins.tolist():
            self._learn(place)
        # Of each kind the waiting rows as places in the order of scores, the best last.
        self._waiting: list[list[int]] = [[] for _ in range(carried.kinds + 1)]
        for at in range(len(admission.others) - 1, -1, -1):
            self._waiting[carried.kind[admission.others[at]]].append(at)

    def _learn(self, place: int) -> None:
        kind = int(self._carried.kind[place])
        if kind < self._carried.kinds:
            brings = self._spread[self._carried.of_kind(kind)].mean(axis=0)
            self._has += self._scores[place] * brings

    def choose_steps(self) -> Progress:
        """Asks for one row after the other, the one that adds most first."""
        others = self._admission.others
        best, at = np.zeros(len(self._waiting)), np.empty(len(self._waiting), np.int64)
        for kind in range(len(at)):
            self._look(kind, best, at)
        taken = asked = 0
        slope = self._slope()
        while asked < len(others):
            gains = np.where(at < len(others), np.round(best * slope, GAIN_DECIMALS), -1.0)
            tied = np.flatnonzero(gains == gains.max())
            kind = int(tied[at[tied].argmin()])
            place = int(others[at[kind]])
            is_in = self._admission.take(place)
            if is_in is None:
                break
            if is_in:
                self._learn(place)
                slope, taken = self._slope(), taken + 1
            self._waiting[kind].pop()
            self._look(kind, best, at)
            asked += 1
            if asked % STEP == 0:
                yield FilterProgress(asked, taken, len(others))

    def _look(self, kind: int, best: Floats, at: Rows) -> None:
        """Writes the score of the best waiting row of a kind, and where it is in the order."""
        others, waiting = self._admission.others, self._waiting[kind]
        at[kind] = waiting[-1] if waiting else len(others)
        best[kind] = self._scores[others[waiting[-1]]] if waiting else 0.0

    def _slope(self) -> Floats:
        """What a score of 1 adds, by kind; the last is that of rows without a label."""
        slopes = POWER * (self._has + OFFSET) ** (POWER - 1.0)
        return np.append(self._carried.mean(self._spread @ slopes), 0.0)
