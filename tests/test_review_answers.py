"""review.answers: verdicts into pins by rule, disagreements, rows to ask again."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deita_core.errors import ReviewError
from deita_core.review.answers import ACTING_RULES, Answers, disagreeing, effect_of, uncertain

_CODES = {"d": 0.0, "u": 1.0, "k": 2.0, ".": np.nan}


def answers_of(
    *lines: str, judged: str = "", needed: int = 2, **scores: list[list[float]]
) -> Answers:
    """Verdicts of each reviewer as a text: d, u, k, or a point for none."""
    verdict = np.array([[_CODES[mark] for mark in line] for line in lines]).reshape(len(lines), -1)
    rows = verdict.shape[1]
    none = np.full(verdict.shape, np.nan)
    found = {ask: np.array(scores.get(ask, none)) for ask in ("complexity", "quality", "label")}
    return Answers(
        rows=np.arange(rows) + 10,
        reviewers=tuple(f"r{n}" for n in range(len(lines))),
        verdict=verdict,
        label_names=("good", "bad"),
        adjudicated=np.array([_CODES[mark] for mark in judged.ljust(rows, ".")]),
        needed=np.full(rows, needed),
        **found,
    )


@pytest.mark.parametrize(
    ("rule", "pinned", "excluded"),
    [
        ("majority", [10, 11], [12]),
        ("any", [10, 16], [11, 12, 13, 14]),
        ("adjudicated", [10, 13], [12, 14]),
    ],
)
def test_each_rule_pins_and_excludes_what_it_says(rule, pinned, excluded) -> None:
    # by column: all keep, most keep, all drop, one each, most drop, unsure, keep and unsure
    answers = answers_of("kkdk.uk", "kkdddu.", "kddukuu", judged="...kd")
    effect = effect_of(answers, rule)
    assert effect.pinned.tolist() == pinned
    assert effect.excluded.tolist() == excluded
    assert f"{len(pinned)} rows pinned, {len(excluded)} excluded by {rule}" in effect.sentence()


MARKS = st.lists(st.text("kdu.", min_size=5, max_size=5), min_size=1, max_size=4)


@given(MARKS, st.text("kdu.", min_size=5, max_size=5))
def test_the_rules_do_what_a_plain_count_does(lines: list[str], judged: str) -> None:
    answers = answers_of(*lines, judged=judged)
    for rule in ACTING_RULES:
        effect = effect_of(answers, rule)
        for row in range(5):
            said = Counter(line[row] for line in lines if line[row] != ".")
            wanted = plainly(rule, said, judged[row])
            found = (row + 10 in effect.pinned, row + 10 in effect.excluded)
            assert found == (wanted == "k", wanted == "d")
            assert (row + 10 in effect.unanswered) == (not said and judged[row] == ".")


def plainly(rule: str, said: Counter[str], judged: str) -> str:
    if rule == "majority":
        return next((mark for mark in "kd" if said[mark] > said.total() / 2), "")
    if rule == "any":
        return "d" if said["d"] else "k" if said["k"] else ""
    if judged != ".":
        return judged
    return next(iter(said)) if len(said) == 1 else ""


def test_a_rule_that_is_unknown_is_refused() -> None:
    with pytest.raises(ReviewError, match="majority, any, adjudicated, got 'mine'"):
        effect_of(answers_of("k"), "mine")


def test_reviewers_differ_in_verdicts_labels_or_by_more_than_a_point() -> None:
    answers = answers_of(
        "kkkkk.",
        "kdu.kk",
        quality=[[1, 1, 1, 1, 2, 5], [2, 1, 1, np.nan, 4, 5]],
        label=[[0, 0, 0, 1, 1, 0], [0, 0, 0, np.nan, 1, 1]],
    )
    assert disagreeing(answers).tolist() == [11, 12, 14, 15]
    assert disagreeing(answers_of("")).tolist() == []


def test_rows_without_a_clear_verdict_are_uncertain_once_they_are_answered() -> None:
    answers = answers_of("kku.uk", "kdk..k", "d....k", needed=2)
    assert uncertain(answers).tolist() == [11, 12]
    assert uncertain(answers, least=0.7).tolist() == [10, 11, 12]
    assert uncertain(answers_of("u", needed=2)).tolist() == []
