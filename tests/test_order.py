"""The order of rows by score."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from deita_core.selection.evol import from_highest

values = st.sampled_from([0.0, -0.0, 1.5, 2.5, -3.0, np.inf, -np.inf, np.nan]) | st.floats()


@given(arrays(np.float64, st.integers(0, 40), elements=values))
def test_the_order_is_that_of_a_stable_sort(scores):
    np.testing.assert_array_equal(from_highest(scores), np.argsort(-scores, kind="stable"))


def test_ties_of_a_large_pool_are_visited_by_place():
    scores = np.random.default_rng(0).integers(0, 50, 100_000).astype(np.float64)
    np.testing.assert_array_equal(from_highest(scores), np.argsort(-scores, kind="stable"))
