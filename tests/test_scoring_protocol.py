"""The contract every scorer keeps."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

from deita_core.scoring.protocol import DIMENSIONS, ScoreBatch, TurnText


def batch(scores: list[float], reasons: tuple[str | None, ...]) -> ScoreBatch:
    return ScoreBatch(np.array(scores, np.float32), reasons)


def test_a_score_and_a_reason_for_its_absence_can_stand_side_by_side() -> None:
    made = batch([3.5, np.nan], (None, "no response"))
    assert made.reasons == (None, "no response")


def test_a_missing_score_needs_a_reason() -> None:
    with pytest.raises(ValueError, match="contradict"):
        batch([np.nan], (None,))


def test_a_score_may_not_carry_a_reason() -> None:
    with pytest.raises(ValueError, match="no response"):
        batch([3.0], ("no response",))


def test_scores_and_reasons_have_the_same_length() -> None:
    with pytest.raises(ValueError, match="1 reasons"):
        batch([3.0, 4.0], (None,))


def test_scores_are_one_dimensional() -> None:
    with pytest.raises(ValueError, match=r"\(1, 1\)"):
        ScoreBatch(np.ones((1, 1), np.float32), (None,))


def test_mass_and_truncated_have_one_entry_a_score() -> None:
    with pytest.raises(ValueError, match="mass must be"):
        ScoreBatch(np.ones(2, np.float32), (None, None), mass=np.ones(1, np.float32))
    with pytest.raises(ValueError, match="truncated must be"):
        ScoreBatch(np.ones(1, np.float32), (None,), truncated=np.zeros(2, np.bool_))


def test_a_turn_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        TurnText("a", "b").response = "c"  # type: ignore[misc]


def test_there_are_two_dimensions() -> None:
    assert DIMENSIONS == ("complexity", "quality")


def test_importing_scoring_loads_no_model_library() -> None:
    code = (
        "import sys, deita_core.scoring; from deita_core.scoring import LightScorer; "
        "print([m for m in ('wordllama', 'torch', 'sklearn', 'scipy', 'lightgbm', 'streamlit') "
        "if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
