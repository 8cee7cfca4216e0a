"""DS2 (Pang et al., arXiv 2410.10877): ratings corrected by those of similar rows, then the best.

A rating is noise around what the row deserves, and rows that lie close together mostly deserve the
same. From how often a row and its two nearest neighbours agree, the chance of each rating given
each true one is estimated (Zhu, Song and Liu, arXiv 2102.05291). It says how many ratings of a
kind are wrong; which they are, and what they should be, the nearest rows say (Zhu, Dong and Liu,
arXiv 2110.06283). The published program (UCSC-REAL/DS2, folder score_curation) does this on 51
random nine tenths of the pool and keeps what most of them find; here it is done once, on all rows,
so that the same pool gives the same ratings.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from deita_core.errors import SelectionError
from deita_core.progress import FilterProgress
from deita_core.selection.candidates import Candidates, Limits, Steps, Strategy
from deita_core.selection.evol import row_scores
from deita_core.selection.pool_table import PoolTable
from deita_core.selection.strategies.greedy import pass_steps
from deita_core.similarity.neighbours import nearest_neighbours

Ints = NDArray[np.int64]
Floats = NDArray[np.float64]

NEAREST: Final = 9  # the reference's ten, of which the row itself is one
HIGHEST: Final = 10.0
_FEWEST: Final = 3
_SMALL: Final = 1e-8
_LEAST_WRONG, _MOST_WRONG = 0.05, 0.95


@dataclass(frozen=True, slots=True, eq=False)
class Correction:
    """What became of the ratings of m rows with a vector.

    given, corrected: (m,) int64, the mean quality of the turns as a whole number, before and
    after; -1 for a row without one. rarity: (m,) float64, mean cosine distance to the nearest
    rows (the paper's long-tail score without its sigmoid, which keeps the order).
    """

    given: Ints
    corrected: Ints
    rarity: Floats

    @property
    def changed(self) -> int:
        """Rows whose rating was corrected."""
        return int(np.count_nonzero(self.given != self.corrected))


def _ds2_steps(candidates: Candidates, limits: Limits) -> Steps:
    """From the highest corrected rating down; among equals the rows farthest from their nearest
    neighbours first ("final data selection" in the README of UCSC-REAL/DS2). Further ties go to
    the higher evol score, then to the lower row number. Neighbours are all rows of the pool,
    candidates or not.
    """
    order = candidates.best_first()
    yield FilterProgress(0, 0, len(order))
    if len(order):
        found = correction_of(candidates.table)
        keys = (np.arange(len(order)), -found.rarity[order], -found.corrected[order])
        order = order[np.lexsort(keys)]
    return (yield from pass_steps(order, candidates, limits, threshold=None))


DS2 = Strategy(
    name="ds2",
    label="DS2",
    phrase="by DS2",
    source=(
        "Pang et al. (arXiv 2410.10877): quality, as a whole number, is corrected where the "
        "nearest rows disagree with it; then the highest first, and among equals the rows "
        "farthest from their nearest neighbours. Corrected once, on all rows; the authors' program "
        "takes the majority of 51 runs on random parts of the pool."
    ),
    steps=_ds2_steps,
    uses_score=True,
)


def correction_of(table: PoolTable) -> Correction:
    """The corrected ratings of a pool's rows with a vector, kept with the table.

    Raises SelectionError for quality scores that are no ratings from 0 to 10.
    """
    return table.remember("ds2", lambda: _correction(table))


def _correction(table: PoolTable) -> Correction:
    turns = (table.turn_row, table.turn_complexity, table.turn_quality)
    quality = row_scores(*turns, len(table)).quality[table.vector_rows]
    low, high = np.nanmin(quality, initial=0.0), np.nanmax(quality, initial=0.0)
    if low < 0 or high > HIGHEST:
        raise SelectionError(
            f"DS2 corrects ratings from 0 to {HIGHEST:g}, but the active quality scores go from "
            f"{low:.3g} to {high:.3g}: activate another quality scorer, or choose another strategy"
        )
    given = np.where(np.isnan(quality), -1, np.rint(np.nan_to_num(quality))).astype(np.int64)
    corrected, rarity = given.copy(), np.zeros(len(given))
    usable = np.flatnonzero(table.place[table.vector_rows] >= 0)
    if len(usable) > _FEWEST:
        whole = len(usable) == len(given)
        near = nearest_neighbours(
            table.vectors if whole else table.vectors[usable],
            min(NEAREST, len(usable) - 1),
            graph=table.graph if whole else None,
        )
        distance = 1.0 - near.similarities.astype(np.float64)
        corrected[usable] = correct_ratings(given[usable], near.indices, distance)
        rarity[usable] = distance.sum(axis=1) / (distance.shape[1] + 1)
    return Correction(given, corrected, rarity)


def correct_ratings(given: Ints, nearest: NDArray[np.integer], distance: Floats) -> Ints:
    """The ratings after correction: (n,) int64.

    given: (n,) int64, ratings, -1 for none; such rows stay as they are and have no vote. nearest:
    (n, k), the k >= 2 nearest other rows, nearest first. distance: (n, k), cosine, to them.
    """
    rated = given >= 0
    kinds, label = np.unique(given[rated], return_inverse=True)
    if len(kinds) < 2:
        return given.copy()
    of = np.full(len(given), -1, np.int64)
    of[rated] = label
    votes = neighbour_votes(of, nearest, distance, len(kinds))
    sure = rated & (of[nearest[:, :2]] >= 0).all(axis=1)
    right = chance_right(np.column_stack((of[sure], of[nearest[sure, :2]])), len(kinds))
    length = np.linalg.norm(votes, axis=1)
    own = votes[np.arange(len(of)), of] / np.where(length > 0, length, 1.0)
    doubt = -np.log(np.maximum(own, 0.0) + _SMALL)
    corrected = given.copy()
    for kind in range(len(kinds)):
        rows = np.flatnonzero(of == kind)
        wrong = 1.0 - min(right[kind], 1.0)
        if not 0.0 < wrong < 1.0:  # as in docta/core/knn.py: all or none cannot be
            wrong = _MOST_WRONG if wrong >= 1.0 else _LEAST_WRONG
        doubted = rows[doubt[rows] >= np.percentile(doubt[rows], 100 * (1.0 - wrong))]
        corrected[doubted] = kinds[votes[doubted].argmax(axis=1)]
    return corrected


def neighbour_votes(of: Ints, nearest: NDArray[np.integer], distance: Floats, kinds: int) -> Floats:
    """Votes of each row and its nearest for each kind of rating: (n, kinds) float64.

    of: (n,), the kind of each row's rating, -1 for none. A vote weighs 1 - distance; so that a row
    counts for no more than a neighbour would there, its own distance is set to 2 x that of the
    nearest less that of the second (docta/core/knn.py of the reference).
    """
    votes = np.zeros((len(of), kinds))
    own = 1.0 - (2.0 * distance[:, 0] - distance[:, 1])
    everyone = np.column_stack((np.arange(len(of)), nearest))
    weight = np.column_stack((own, 1.0 - distance))
    for column in range(everyone.shape[1]):
        kind = of[everyone[:, column]]
        there = np.flatnonzero(kind >= 0)
        votes[there, kind[there]] += weight[there, column]
    return votes


def chance_right(triples: Ints, kinds: int) -> Floats:
    """Of each kind of rating the chance that it is the true one: (kinds,) float64, 0 and up.

    triples: (t, 3), the kinds of a row's rating and of its two nearest rows' ratings.
    """
    if not len(triples):
        return np.ones(kinds)
    seen = agreement_of(triples, kinds)
    transition, prior = solve_transition(seen)
    there = np.maximum(seen[0], _SMALL)
    chance: Floats = np.diagonal(transition) * prior / there
    return chance


def agreement_of(triples: Ints, kinds: int) -> tuple[Floats, Floats, Floats]:
    """How often each kind, each pair and each triple of kinds is seen: shares that add up to 1."""
    one, two, three = (np.zeros((kinds,) * order) for order in (1, 2, 3))
    np.add.at(one, triples[:, 0], 1.0)
    np.add.at(two, (triples[:, 0], triples[:, 1]), 1.0)
    np.add.at(three, (triples[:, 0], triples[:, 1], triples[:, 2]), 1.0)
    return one / len(triples), two / len(triples), three / len(triples)


def solve_transition(seen: tuple[Floats, Floats, Floats]) -> tuple[Floats, Floats]:
    """The chance of each rating (column) given the true one (row), (k, k), and the share of each
    true rating, (k,), under which singles, pairs and triples are seen as often as they were.

    Least squares on softmaxes, from a matrix that favours its diagonal, as in docta/core/hoc.py;
    that adds up the three norms and takes steps by Adam from a random prior, this adds up their
    squares, which are smooth at the solution, and takes L-BFGS from an even prior.
    """
    from scipy.optimize import minimize

    kinds = len(seen[0])
    start = np.concatenate(((5.0 * np.eye(kinds) - 1.0).ravel(), np.zeros(kinds)))
    found = minimize(misfit, start, args=(seen,), jac=True, method="L-BFGS-B")
    return _chances(found.x, kinds)


def misfit(free: Floats, seen: tuple[Floats, Floats, Floats]) -> tuple[float, Floats]:
    """Squared error of the shares that a transition and a prior make, and its gradient.

    free: (k x k + k,), before the softmaxes.
    """
    kinds = len(seen[0])
    t, p = _chances(free, kinds)
    one = np.einsum("y,yi->i", p, t) - seen[0]
    two = np.einsum("y,yi,yj->ij", p, t, t) - seen[1]
    three = np.einsum("y,yi,yj,yk->ijk", p, t, t, t) - seen[2]
    error = float((one**2).sum() + (two**2).sum() + (three**2).sum())
    # By the product rule: each of the like factors in turn.
    pairs = np.einsum("ij,yj->yi", two + two.T, t)
    turned = three + three.transpose(1, 0, 2) + three.transpose(2, 0, 1)
    triples = np.einsum("ijk,yj,yk->yi", turned, t, t)
    by_transition = 2.0 * p[:, None] * (one[None, :] + pairs + triples)
    by_prior = 2.0 * (
        t @ one + np.einsum("ij,yi,yj->y", two, t, t) + np.einsum("ijk,yi,yj,yk->y", three, t, t, t)
    )
    gradient = np.concatenate((_through(by_transition, t).ravel(), _through(by_prior, p)))
    return error, gradient


def _chances(free: Floats, kinds: int) -> tuple[Floats, Floats]:
    transition = free[: kinds * kinds].reshape(kinds, kinds)
    return _softmax(transition), _softmax(free[kinds * kinds :])


def _softmax(values: Floats) -> Floats:
    raised = np.exp(values - values.max(axis=-1, keepdims=True))
    chances: Floats = raised / raised.sum(axis=-1, keepdims=True)
    return chances


def _through(gradient: Floats, chances: Floats) -> NDArray[Any]:
    """A gradient by the chances as one by what the softmax made them of."""
    mean = (gradient * chances).sum(axis=-1, keepdims=True)
    through: NDArray[Any] = chances * (gradient - mean)
    return through
