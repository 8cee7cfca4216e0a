"""scoring.health: a model that is no scorer is seen within a hundred turns."""

import numpy as np
import pytest

from deita_core.scoring.health import HealthTally, health_of
from deita_core.scoring.protocol import ScoreBatch, joined

SPREAD = np.linspace(1, 6, 200).astype(np.float32)


def masses(value: float, n: int = 200) -> np.ndarray:
    return np.full(n, value, np.float32)


def test_a_healthy_scorer_gets_one_good_sentence():
    health = health_of(SPREAD, masses(0.97))
    (verdict,) = health.verdicts()
    assert (health.level, health.hopeless) == ("good", None)
    assert verdict.sentence == (
        "97 % of the probability is on the digits 1 to 6, scores from 1.2 to 5.7"
    )


def test_hardly_any_mass_on_the_digits_is_hopeless():
    health = health_of(SPREAD, masses(0.03))
    assert health.hopeless == (
        "the model puts 3 % of its probability on the digits 1 to 6: "
        "this is probably not a scorer of this prompt"
    )
    assert "0.02 %" in str(health_of(SPREAD, masses(0.0002)).hopeless)


def test_a_few_turns_are_too_few_for_hopeless():
    assert health_of(SPREAD[:99], masses(0.03, 99)).level == "look"
    assert health_of(SPREAD[:100], masses(0.03, 100)).level == "hopeless"


def test_middling_mass_asks_for_a_look():
    assert health_of(SPREAD, masses(0.3)).level == "look"


def test_a_scorer_without_mass_is_never_hopeless():
    assert health_of(SPREAD).level == "good"
    assert health_of(SPREAD, masses(np.nan)).mass_known == 0


def test_constant_scores_are_named():
    scores = np.full(200, 3.0, np.float32)
    scores[:10] = 4
    health = health_of(scores)
    assert (health.most_common, health.constant) == (3.0, 0.95)
    assert health.verdicts()[0].sentence == "95 % of the scores are the same, 3.00"


def test_failures_of_the_scorer_count_and_gaps_of_the_pool_do_not():
    scores = np.full(100, 2.0, np.float32)
    scores[:60] = np.nan
    health = health_of(scores, reasons={"no response": 50, "out of memory": 10})
    assert (health.scored, health.failed) == (40, 10)
    sentence = "10 % of the turns have no score, most often because: out of memory"
    assert sentence in [verdict.sentence for verdict in health.verdicts()]


def test_many_turns_cut_are_named():
    health = health_of(SPREAD, truncated=np.arange(200) < 50)
    assert health.verdicts()[0].sentence == "25 % of the turns were cut to fit the model"


def test_nothing_scored_says_nothing():
    assert health_of(np.zeros(0, np.float32)).verdicts() == ()
    assert HealthTally().health.turns == 0


def test_a_tally_equals_the_health_of_all_batches():
    batches = [
        ScoreBatch(SPREAD[:50], (None,) * 50),
        ScoreBatch(np.full(2, np.nan, np.float32), ("a", "a"), masses(0.5, 2), np.ones(2, bool)),
        ScoreBatch(SPREAD[50:], (None,) * 150, masses(0.9, 150)),
    ]
    tally = HealthTally()
    for batch in batches:
        tally.add(batch)
    whole = joined(batches)
    assert tally.health == health_of(whole.scores, whole.mass, whole.truncated, {"a": 2})
    assert tally.health.mass == pytest.approx((2 * 0.5 + 150 * 0.9) / 152)
