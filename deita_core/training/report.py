"""How good a trained scorer is on turns it never saw, beside length alone and the shipped scorer.

Length alone is the number of characters (of the instruction for complexity, of the response for
quality); whether longer or shorter is better, the turns learnt from say. A scorer beats length only
where the difference of the two rank correlations stays above 0 in the interval over resamples of
whole groups: rows of one seed instruction are no independent witnesses.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, ValidationError

from deita_core.errors import ModelError
from deita_core.scoring.protocol import Dimension
from deita_core.training import figures
from deita_core.training.figures import FEWEST, FEWEST_GROUPS, LEVEL, Values
from deita_core.training.labels import LabelledTurn

REPORT = "report.json"
BINS, LENGTH_PARTS, MOST_CLUSTERS = 10, 4, 50


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Figure(_Told):
    """One measure of the scorer, of length alone and of the shipped light scorer; None where it
    cannot be had. name: what is measured. n: of turns or pairs. sentence: what it means."""

    name: str
    n: int
    scorer: float | None
    length: float | None
    shipped: float | None
    sentence: str = ""


class CalibrationPoint(_Told):
    """Turns of about one score: how many, the mean of their scores and of their labels."""

    n: int
    score: float
    label: float


class TrainingReport(_Told):
    """What `measure` found.

    unscored: held-out turns that the scorer gave no score; they count in no figure. pairs_within:
    two turns of one group are compared or, where no group has two labels, any two. clusters,
    lengths: Spearman within each part. advantage, low, high: the scorer's Spearman less that of
    length, and its interval; None where there are too few turns. verdict: a sentence.
    """

    dimension: Dimension
    seed: int
    learnt: int
    held_out: int
    groups_learnt: int
    groups_held_out: int
    unscored: int
    spearman: Figure
    mean_error: Figure
    pairs: Figure
    shorter_pairs: Figure
    pairs_within: Literal["group", "all"]
    calibration: tuple[CalibrationPoint, ...]
    clusters: tuple[Figure, ...]
    lengths: tuple[Figure, ...]
    advantage: float | None
    low: float | None
    high: float | None
    beats_length: bool
    verdict: str

    @property
    def figures(self) -> tuple[Figure, ...]:
        """The four that sum it up."""
        return self.spearman, self.mean_error, self.pairs, self.shorter_pairs


@dataclass(frozen=True, slots=True)
class Sides:
    """What is compared, (n,) float64 each, NaN for no score, the higher the better.

    length: the labels as length alone guesses them.
    """

    scorer: Values
    length: Values
    shipped: Values

    def figure(
        self, name: str, n: int, of: Callable[[Values], float | None], sentence: str = ""
    ) -> Figure:
        """`of` each of them."""
        found = [of(one) for one in (self.scorer, self.length, self.shipped)]
        return Figure(
            name=name,
            n=n,
            scorer=found[0],
            length=found[1],
            shipped=found[2],
            sentence=sentence,
        )

    def where(self, chosen: NDArray[np.bool_]) -> Sides:
        """Of these turns only."""
        return Sides(self.scorer[chosen], self.length[chosen], self.shipped[chosen])


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Turns that the scorer never saw, its scores of them and those of the shipped scorer, (n,)
    float64 with NaN for none."""

    turns: Sequence[LabelledTurn]
    scorer: Values
    shipped: Values


def length_of(turn: LabelledTurn, dimension: Dimension) -> int:
    """In characters, of the text that the dimension is about."""
    return len(turn.instruction if dimension == "complexity" else turn.response or "")


def measure(
    dimension: Dimension,
    learnt: Sequence[LabelledTurn],
    shipped: Values,
    held_out: HeldOut,
    seed: int,
) -> TrainingReport:
    """The report on `held_out`. learnt: the turns that the scorer was fitted on, and shipped: what
    the shipped scorer says of them; from these come the lines that bring length and the shipped
    scorer to the labels' scale."""
    known = np.isfinite(held_out.scorer)
    turns = [one for one, good in zip(held_out.turns, known.tolist(), strict=True) if good]
    labels = _scores(turns)
    lengths = np.array([length_of(one, dimension) for one in turns], np.float64)
    slope, height = figures.line_to(
        _scores(learnt), np.log1p([float(length_of(one, dimension)) for one in learnt])
    )
    guess = slope * np.log1p(lengths) + height
    sides = Sides(held_out.scorer[known], guess, held_out.shipped[known])
    slope, height = figures.line_to(_scores(learnt), shipped)
    on_scale = Sides(sides.scorer, guess, slope * sides.shipped + height)
    pairs, shorter, inside = _pair_figures(turns, labels, lengths, sides, seed)
    groups = [one.group for one in turns]
    found = figures.advantage(groups, labels, sides.scorer, guess, seed)
    gain, low, high = found or (None, None, None)
    return TrainingReport(
        dimension=dimension,
        seed=seed,
        learnt=len(learnt),
        held_out=len(held_out.turns),
        groups_learnt=len({one.group for one in learnt}),
        groups_held_out=len({one.group for one in held_out.turns}),
        unscored=int((~known).sum()),
        spearman=_rank_figure("Spearman", sides, labels, _RANK),
        mean_error=on_scale.figure(
            "mean error", len(turns), lambda values: figures.mean_error(values, labels), _ERROR
        ),
        pairs=pairs,
        shorter_pairs=shorter,
        pairs_within="group" if inside else "all",
        calibration=_calibration(sides.scorer, labels),
        clusters=_by_cluster(turns, labels, sides),
        lengths=_by_length(lengths, labels, sides),
        advantage=gain,
        low=low,
        high=high,
        beats_length=low is not None and low > 0,
        verdict=_verdict(gain, low, high, len(turns), len(set(groups))),
    )


_RANK = "how far the order of the scores is that of the labels: 1 the same, 0 none"
_ERROR = "points between score and label; length and the shipped scorer by their best line"
_PAIRS = "share in which the turn with the higher label scores higher, a tie counting half"
_SHORTER = "of these, where the turn with the higher label is the shorter one"


def _scores(turns: Sequence[LabelledTurn]) -> Values:
    return np.array([one.score for one in turns], np.float64)


def _rank_figure(name: str, sides: Sides, labels: Values, sentence: str = "") -> Figure:
    return sides.figure(
        name, len(labels), lambda values: figures.spearman(values, labels), sentence
    )


def _pair_figures(
    turns: Sequence[LabelledTurn], labels: Values, lengths: Values, sides: Sides, seed: int
) -> tuple[Figure, Figure, bool]:
    pairs, inside = figures.ordered_pairs([one.group for one in turns], labels, seed)
    shorter = pairs[lengths[pairs[:, 0]] < lengths[pairs[:, 1]]]

    def of(name: str, chosen: figures.Pairs, sentence: str) -> Figure:
        return sides.figure(
            name, len(chosen), lambda values: figures.share_right(values, chosen), sentence
        )

    return of("pairs", pairs, _PAIRS), of("pairs, better one shorter", shorter, _SHORTER), inside


def _calibration(scores: Values, labels: Values) -> tuple[CalibrationPoint, ...]:
    """Up to `BINS` parts of like size, at least five turns each, by score."""
    count = min(BINS, len(scores) // 5)
    if not count:
        return ()
    parts = np.array_split(np.argsort(scores, kind="stable"), count)
    return tuple(
        CalibrationPoint(
            n=len(part), score=float(scores[part].mean()), label=float(labels[part].mean())
        )
        for part in parts
    )


def _by_cluster(turns: Sequence[LabelledTurn], labels: Values, sides: Sides) -> tuple[Figure, ...]:
    """The largest first; those without `FEWEST` turns are there without figures."""
    names = [one.cluster for one in turns]
    found = []
    for name, _ in Counter(one for one in names if one is not None).most_common(MOST_CLUSTERS):
        chosen = np.array([one == name for one in names], np.bool_)
        found.append(_rank_figure(str(name), sides.where(chosen), labels[chosen]))
    return tuple(found)


def _by_length(lengths: Values, labels: Values, sides: Sides) -> tuple[Figure, ...]:
    """Quarters of the turns, the shortest first; fewer where there are few turns."""
    count = min(LENGTH_PARTS, len(lengths) // FEWEST)
    if not count:
        return ()
    found = []
    for part in np.array_split(np.argsort(lengths, kind="stable"), count):
        chosen = np.zeros(len(lengths), np.bool_)
        chosen[part] = True
        name = f"{lengths[part].min():,.0f} to {lengths[part].max():,.0f} characters"
        found.append(_rank_figure(name, sides.where(chosen), labels[chosen]))
    return tuple(found)


def _verdict(
    gain: float | None, low: float | None, high: float | None, turns: int, groups: int
) -> str:
    if gain is None or low is None or high is None:
        return (
            "Whether it beats length alone cannot be told: it takes at least "
            f"{FEWEST} held-out turns of {FEWEST_GROUPS} groups with different labels, and there "
            f"are {turns:,} of {groups:,}. Label more, or hold out more."
        )
    interval = f"{gain:+.2f} in Spearman ({LEVEL:.0%} interval {low:+.2f} to {high:+.2f})"
    if low > 0:
        return f"Beats length alone: {interval}."
    return f"Does not beat length alone: {interval}."


def write_report(report: TrainingReport, folder: Path) -> None:
    """Into `report.json` of a trained scorer's folder."""
    text = f"{report.model_dump_json(indent=2)}\n"
    (folder / REPORT).write_text(text, encoding="utf-8")


def read_report(folder: Path) -> TrainingReport:
    """The report of a trained scorer; ModelError when there is none that can be read."""
    try:
        return TrainingReport.model_validate_json((folder / REPORT).read_bytes())
    except OSError as error:
        raise ModelError(f"{folder / REPORT} cannot be read: {error.strerror}") from error
    except ValidationError as error:
        raise ModelError(f"{folder / REPORT} is damaged: train the scorer anew") from error
