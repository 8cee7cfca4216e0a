"""The numbers of a training report: rank correlation, pairs, and their resampling by groups."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
Pairs = NDArray[np.int64]
# Fewer turns say nothing about a rank correlation, fewer groups nothing about its spread.
FEWEST, FEWEST_GROUPS = 10, 5
RESAMPLES, LEVEL = 500, 0.95
MOST_PAIRS = 20_000


def spearman(values: Values, labels: Values) -> float | None:
    """Spearman's correlation of the turns that have a value (ties share their mean rank); None
    for fewer than `FEWEST` of them, or where labels or values are all alike."""
    good = np.isfinite(values)
    if good.sum() < FEWEST:
        return None
    found = _correlation(values[good], labels[good])
    return None if np.isnan(found) else found


def _correlation(left: Values, right: Values) -> float:
    from scipy.stats import rankdata

    first, second = (rankdata(one) - (len(one) + 1) / 2 for one in (left, right))
    norm = float(np.sqrt((first**2).sum() * (second**2).sum()))
    return float((first * second).sum()) / norm if norm > 0 else float("nan")


def ordered_pairs(groups: Sequence[str], labels: Values, seed: int) -> tuple[Pairs, bool]:
    """(p, 2) places of turns, the one with the higher label first; whether they are of one group.

    All pairs within a group, or of any two turns where no group has two labels; at most
    `MOST_PAIRS`, drawn by the seed.
    """
    of: dict[str, list[int]] = defaultdict(list)
    for place, group in enumerate(groups):
        of[group].append(place)
    within = [_differing(np.array(places), labels) for places in of.values() if len(places) > 1]
    found = np.concatenate([np.zeros((0, 2), np.int64), *within])
    inside = len(found) > 0
    drawn = found if inside else _drawn_from_all(labels, seed)
    if len(drawn) > MOST_PAIRS:
        chosen = np.random.default_rng(seed).choice(len(drawn), MOST_PAIRS, replace=False)
        drawn = drawn[np.sort(chosen)]
    return drawn, inside


def _drawn_from_all(labels: Values, seed: int) -> Pairs:
    if len(labels) ** 2 <= 4 * MOST_PAIRS:
        return _differing(np.arange(len(labels)), labels)
    drawn = np.random.default_rng(seed).integers(0, len(labels), (2 * MOST_PAIRS, 2))
    return _better_first(drawn, labels)


def _differing(places: NDArray[np.int64], labels: Values) -> Pairs:
    first, second = np.triu_indices(len(places), 1)
    return _better_first(np.stack([places[first], places[second]], axis=1), labels)


def _better_first(pairs: Pairs, labels: Values) -> Pairs:
    """Those of different labels, the higher one first."""
    left, right = labels[pairs[:, 0]], labels[pairs[:, 1]]
    turned = np.where((left < right)[:, None], pairs[:, ::-1], pairs)
    return np.asarray(turned[left != right], np.int64)


def share_right(values: Values, pairs: Pairs) -> float | None:
    """The share of pairs whose better turn has the higher value, a tie counting half; None for no
    pair of two values."""
    margin = values[pairs[:, 0]] - values[pairs[:, 1]]
    margin = margin[np.isfinite(margin)]
    if not len(margin):
        return None
    return float(np.mean((margin > 0) + 0.5 * (margin == 0)))


def mean_error(values: Values, labels: Values) -> float | None:
    """The mean distance of the values that are there from their labels; None for none."""
    off = np.abs(values - labels)
    off = off[np.isfinite(off)]
    return float(off.mean()) if len(off) else None


def line_to(labels: Values, values: Values) -> tuple[float, float]:
    """Slope and height at 0 of the line of least squares from values to labels; level where the
    values are all alike or none is there."""
    good = np.isfinite(values)
    if not good.any() or values[good].std() < 1e-9:
        return 0.0, float(labels.mean())
    slope, height = np.polyfit(values[good], labels[good], 1)
    return float(slope), float(height)


def advantage(
    groups: Sequence[str], labels: Values, values: Values, other: Values, seed: int
) -> tuple[float, float, float] | None:
    """Spearman of `values` less that of `other`, and the ends of its interval at `LEVEL`.

    The interval: percentiles over `RESAMPLES` resamples of whole groups with replacement (the
    cluster bootstrap, Davison and Hinkley 1997, section 3.8). Where `other` is level it counts as
    0. None for fewer than `FEWEST` turns or `FEWEST_GROUPS` groups.
    """
    known = sorted(set(groups))
    if len(known) < FEWEST_GROUPS or len(labels) < FEWEST:
        return None
    number = {group: place for place, group in enumerate(known)}
    of = np.array([number[group] for group in groups])
    order = np.argsort(of, kind="stable")
    rows = np.split(order, np.cumsum(np.bincount(of))[:-1])
    whole = _difference(values, other, labels)
    rng = np.random.default_rng(seed)
    found = np.empty(RESAMPLES)
    for number_of in range(RESAMPLES):
        drawn = rng.integers(0, len(rows), len(rows))
        chosen = np.concatenate([rows[place] for place in drawn.tolist()])
        found[number_of] = _difference(values[chosen], other[chosen], labels[chosen])
    found = found[np.isfinite(found)]
    if np.isnan(whole) or len(found) < RESAMPLES / 2:
        return None
    low, high = np.quantile(found, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return whole, float(low), float(high)


def _difference(values: Values, other: Values, labels: Values) -> float:
    """NaN where the labels are all alike."""
    if labels.min() == labels.max():
        return float("nan")
    return float(
        np.nan_to_num(_correlation(values, labels)) - np.nan_to_num(_correlation(other, labels))
    )
