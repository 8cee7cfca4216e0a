"""Words of a text in any script, and runs of them as numbers."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deita_core.similarity.words import Vocabulary, runs, words


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Stop, NOW! (a_b) 3.5", ["stop", "now", "a", "b", "3", "5"]),
        ("Straße STRASSE", ["strasse", "strasse"]),
        ("ｆｕｌｌ ﬁne", ["full", "fine"]),
        ("東京tower", ["東", "京", "tower"]),
        ("हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        ("한국어 문장", ["한국어", "문장"]),
        ("", []),
        ("… — !", []),
    ],
)
def test_words_are_told_apart_in_every_script(text: str, found: list[str]) -> None:
    assert words(text) == found


@given(st.lists(st.integers(0, 3), max_size=20), st.integers(1, 6))
def test_runs_are_the_same_where_their_numbers_are(numbers: list[int], length: int) -> None:
    found = runs(np.array(numbers, np.int64), length).tolist()
    plain = [tuple(numbers[i : i + length]) for i in range(len(numbers) - length + 1)]
    assert len(found) == len(plain)
    assert [[a == b for b in found] for a in found] == [[a == b for b in plain] for a in plain]


def test_a_vocabulary_numbers_words_in_the_order_seen_and_knows_no_others() -> None:
    vocabulary = Vocabulary()
    assert vocabulary.learn(["b", "a", "b"]).tolist() == [0, 1, 0]
    assert vocabulary.known(["a", "c"]) == [1, -1]
