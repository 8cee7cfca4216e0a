"""Groups of near-duplicates against chains followed one pair at a time."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deita_core.errors import SelectionError
from deita_core.similarity.definition import cosines
from deita_core.similarity.graph_build import build_graph
from deita_core.similarity.neighbours import near_duplicate_groups


def naive(vectors, threshold):
    usable = [i for i, v in enumerate(vectors) if v.any()]
    similar = np.full((len(vectors),) * 2, -2.0)
    rows = np.array(usable, np.int64)
    similar[np.ix_(rows, rows)] = cosines(vectors, rows, rows)
    groups, seen = [], set()
    for row in usable:
        group, todo = set(), [row]
        while todo:
            one = todo.pop()
            if one not in group and one not in seen:
                group.add(one)
                todo += [other for other in usable if similar[one, other] > threshold]
        seen |= group
        if len(group) > 1:
            groups.append(sorted(group))
    found = np.full(len(vectors), -1)
    for number, group in enumerate(sorted(groups, key=lambda g: (-len(g), g[0]))):
        found[group] = number
    return found


@settings(deadline=None)  # the first example compiles
@given(st.integers(0, 10_000), st.integers(1, 30), st.sampled_from([0.5, 0.8, 0.95, 1.0]))
def test_groups_are_the_rows_that_chains_of_pairs_join(seed, rows, threshold):
    vectors = np.random.default_rng(seed).integers(-2, 3, (rows, 3)).astype(np.float32)
    found = near_duplicate_groups(build_graph(vectors, 0.5), threshold)
    np.testing.assert_array_equal(found, naive(vectors, threshold))


def test_a_threshold_below_the_floor_is_refused():
    graph = build_graph(np.eye(4, dtype=np.float32), 0.5)
    with pytest.raises(SelectionError, match=r"above 0\.50.*choose a higher threshold"):
        near_duplicate_groups(graph, 0.4)
