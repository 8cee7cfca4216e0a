"""review.agreement: alpha, raw agreement, pairs, answers, clusters."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deita_core.errors import ReviewError
from deita_core.review.agreement import alpha, raw_agreement, reviewer_agreement
from tests.test_review_answers import answers_of

_ = np.nan
# Krippendorff's example with four observers and twelve units; its alphas as published.
PUBLISHED = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, _, _, _],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, _, 3],
        [_, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, _],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, _],
    ]
)


def test_alpha_is_the_published_one() -> None:
    assert alpha(PUBLISHED) == pytest.approx(0.815, abs=0.0005)
    assert alpha(PUBLISHED, nominal=True) == pytest.approx(0.743, abs=0.0005)


@given(st.lists(st.lists(st.sampled_from([0, 1, 2, _]), min_size=6, max_size=6), min_size=1))
def test_raw_agreement_is_the_share_of_equal_pairs(values) -> None:
    pairs = [
        (first, second)
        for column in zip(*values, strict=True)
        for first, second in combinations([v for v in column if v == v], 2)
    ]
    wanted = sum(a == b for a, b in pairs) / len(pairs) if pairs else np.nan
    assert raw_agreement(np.array(values, float)) == pytest.approx(wanted, nan_ok=True)


def test_reviewers_are_compared_in_pairs_by_answer_and_by_cluster() -> None:
    answers = answers_of("kkdk..", "kkddk.", "...kkk")
    cluster = np.array([-1] * 10 + [0, 0, 1, 1, 1, -1])
    found = reviewer_agreement(answers, "verdict", cluster)
    assert (found.rows, found.answers, found.differ.tolist()) == (5, 12, [13])
    assert found.raw == pytest.approx(5 / 7)
    assert [(p.first, p.second, p.rows, p.raw) for p in found.pairs] == [
        ("r0", "r1", 4, 0.75),
        ("r0", "r2", 1, 1.0),
        ("r1", "r2", 2, 0.5),
    ]
    drop, unsure, keep = found.each
    assert (drop.given, unsure.given, keep.given) == (3, 0, 9)
    assert drop.agreed == pytest.approx(2 / 4)
    assert keep.agreed == pytest.approx(8 / 10)
    assert np.isnan(unsure.agreed)
    assert [(c.cluster, c.rows, c.raw) for c in found.clusters] == [(0, 2, 1.0), (1, 3, 0.6)]
    assert "raw agreement 71% over 5 rows" in found.sentence()


def test_scores_and_labels_are_compared_too() -> None:
    scores = {"quality": [[1, 6, 3], [1, 6, 4]], "label": [[0, 1, 0], [0, 0, 0]]}
    answers = answers_of("...", "...", **scores)
    quality, label = (reviewer_agreement(answers, ask) for ask in ("quality", "label"))
    assert [one.given for one in quality.each] == [2, 0, 1, 1, 0, 2]
    assert (quality.differ.tolist(), label.differ.tolist()) == ([12], [11])
    assert [one.answer for one in label.each] == ["good", "bad"]
    with pytest.raises(ReviewError, match="got 'mood'"):
        reviewer_agreement(answers, "mood")


def test_one_answer_a_row_or_one_value_gives_no_alpha() -> None:
    alone = reviewer_agreement(answers_of("kd", ".."), "verdict")
    assert alone.sentence() == "verdict: no row has two answers yet"
    same = reviewer_agreement(answers_of("kk", "kk"), "verdict")
    assert (np.isnan(same.alpha), same.raw) == (True, 1.0)
    assert "alpha unknown" in same.sentence()
