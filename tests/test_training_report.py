"""The report of a trained scorer: against plain references, and honest about length."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest
from scipy.stats import spearmanr

from deita_core.errors import ModelError
from deita_core.scoring.trained import TrainedScorer
from deita_core.training import figures
from deita_core.training.card import card_text
from deita_core.training.labels import LabelledTurn
from deita_core.training.report import (
    HeldOut,
    TrainingReport,
    length_of,
    measure,
    read_report,
    write_report,
)


def made_up(count: int, seed: int, groups: int | None = None) -> list[LabelledTurn]:
    """Labels that follow the length of the response, with noise."""
    random = np.random.default_rng(seed)
    found = []
    for number in range(count):
        length = int(random.integers(10, 400))
        score = float(np.clip(1 + length / 80 + random.normal(0, 0.8), 1, 6))
        group = f"seed {number if groups is None else number % groups}"
        cluster = "bread" if number % 3 else "rivers"
        found.append(LabelledTurn(group, "question", "x" * length, score, cluster))
    return found


def report_of(turns: list[LabelledTurn], scores: np.ndarray, seed: int = 1) -> TrainingReport:
    learnt = made_up(200, 99)
    random = np.random.default_rng(5)
    shipped = random.uniform(1, 6, len(learnt))
    held_out = HeldOut(turns, scores, random.uniform(1, 6, len(turns)))
    return measure("quality", learnt, shipped, held_out, seed)


def labels_of(turns: list[LabelledTurn]) -> np.ndarray:
    return np.array([turn.score for turn in turns])


def test_its_figures_are_those_of_a_plain_reference() -> None:
    turns = made_up(60, 1, groups=12)
    scores = labels_of(turns) + np.random.default_rng(2).normal(0, 0.5, 60)
    scores[::9] = np.round(scores[::9])
    found = report_of(turns, scores)
    labels = labels_of(turns)
    assert found.spearman.scorer == pytest.approx(spearmanr(scores, labels).statistic)
    lengths = [length_of(turn, "quality") for turn in turns]
    assert found.spearman.length == pytest.approx(spearmanr(lengths, labels).statistic)
    assert found.mean_error.scorer == pytest.approx(np.abs(scores - labels).mean())
    right, total, shorter_right, shorter = 0.0, 0, 0.0, 0
    for a in range(60):
        for b in range(60):
            if turns[a].group == turns[b].group and labels[a] > labels[b]:
                point = 1.0 if scores[a] > scores[b] else 0.5 if scores[a] == scores[b] else 0.0
                total, right = total + 1, right + point
                if lengths[a] < lengths[b]:
                    shorter, shorter_right = shorter + 1, shorter_right + point
    assert (found.pairs.n, found.shorter_pairs.n) == (total, shorter)
    assert found.pairs.scorer == pytest.approx(right / total)
    assert found.shorter_pairs.scorer == pytest.approx(shorter_right / shorter)
    assert found.shorter_pairs.length == 0
    assert found.pairs_within == "group"
    assert sum(point.n for point in found.calibration) == 60


def test_a_scorer_that_knows_more_than_length_beats_it() -> None:
    turns = made_up(150, 1)
    found = report_of(turns, labels_of(turns) + np.random.default_rng(2).normal(0, 0.2, 150))
    assert found.low is not None
    assert found.low > 0
    assert found.beats_length
    assert found.verdict.startswith("Beats length alone: +0.")


def test_a_scorer_that_is_length_itself_does_not_beat_it() -> None:
    turns = made_up(150, 1)
    lengths = np.array([length_of(turn, "quality") for turn in turns], float)
    found = report_of(turns, lengths)
    assert found.advantage == 0
    assert not found.beats_length
    assert found.verdict.startswith("Does not beat length alone: +0.00")


def test_where_shorter_is_better_length_counts_the_other_way() -> None:
    turns = made_up(100, 1)
    turned = [LabelledTurn(t.group, t.instruction, t.response, 7 - t.score) for t in turns]
    learnt = [
        LabelledTurn(t.group, t.instruction, t.response, 7 - t.score) for t in made_up(200, 9)
    ]
    noise = np.random.default_rng(1).uniform(1, 6, 100)
    found = measure("quality", learnt, np.full(200, 3.0), HeldOut(turned, noise, noise), 1)
    assert found.spearman.length is not None
    assert found.spearman.length > 0.5


def test_few_held_out_groups_say_that_nothing_can_be_told() -> None:
    turns = made_up(40, 1, groups=2)
    found = report_of(turns, labels_of(turns))
    assert (found.low, found.beats_length) == (None, False)
    assert "cannot be told" in found.verdict
    found = report_of(turns[:1], np.array([3.0]))
    assert found.spearman.scorer is None
    assert found.pairs.n == 0


def test_turns_without_a_score_count_in_no_figure_and_are_counted() -> None:
    turns = made_up(50, 1)
    scores = labels_of(turns)
    scores[:7] = np.nan
    found = report_of(turns, scores)
    assert found.unscored == 7
    assert found.spearman.n == 43
    assert {part.name: part.n for part in found.clusters} == {"bread": 29, "rivers": 14}
    assert sum(part.n for part in found.lengths) == 43


def test_rows_of_one_group_are_no_independent_witnesses() -> None:
    random = np.random.default_rng(1)
    labels, noise = random.uniform(1, 6, 20), random.uniform(1, 6, 20)
    values = labels + random.normal(0, 2.5, 20)
    groups = [f"{n}" for n in range(20)]
    alone = figures.advantage(groups, labels, values, noise, 1)
    copies = figures.advantage(
        groups * 10, np.tile(labels, 10), np.tile(values, 10), np.tile(noise, 10), 1
    )
    assert alone is not None
    assert copies is not None
    assert copies == pytest.approx(alone, abs=0.02)


def test_it_reads_back_and_the_card_says_its_figures_and_its_verdict(tmp_path: Path) -> None:
    turns = made_up(60, 1)
    report = report_of(turns, labels_of(turns))
    write_report(report, tmp_path)
    assert read_report(tmp_path) == report
    facts = TrainedScorer(
        name="mine|*",
        dimension="quality",
        method="light",
        source="a test",
        labels_sha256="0" * 64,
        learnt=200,
        held_out=60,
        groups=260,
        seed=1,
        beats_length=report.beats_length,
        made=datetime(2026, 11, 29, tzinfo=UTC),
    )
    card = card_text(facts, report, {"fitted": "ridge regression"})
    assert card.startswith("# mine\\|\\*\n")
    assert report.verdict in card
    assert f"| Spearman | 60 | 1.000 | {report.spearman.length:.3f} |" in card
    (tmp_path / "report.json").write_text('{"seed": 1}', encoding="utf-8")
    with pytest.raises(ModelError, match="damaged"):
        read_report(tmp_path)
