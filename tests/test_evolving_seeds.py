"""Seeds: an order by rule whose beginnings are the smaller choices, and the turn that is taken."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from deita_core.conversation import Conversation, Message
from deita_core.errors import EvolvingError
from deita_core.evolving.plan import EvolvePlan
from deita_core.evolving.seeds import SeedRule, seed_order, take_seeds

ROWS = np.arange(100, 160)
CLUSTERS = np.repeat([0, 1, 2, -1], [40, 15, 4, 1])


def test_seeds_are_spread_over_clusters_as_far_as_these_have_rows():
    order = seed_order(SeedRule(), ROWS, CLUSTERS)
    for size, counts in ((4, [1, 1, 1, 1]), (13, [4, 4, 4, 1]), (25, [10, 10, 4, 1])):
        of_seeds = CLUSTERS[order[:size] - 100]
        assert [int((of_seeds == c).sum()) for c in (0, 1, 2, -1)] == counts


@given(
    st.sampled_from(["clusters", "random", "rows"]),
    st.lists(st.tuples(st.integers(0, 10_000), st.integers(-1, 4)), min_size=1, max_size=40),
    st.integers(0, 5),
)
def test_every_row_comes_once_and_lots_are_of_the_row_alone(kind, pairs, seed):
    pool = dict(pairs)
    rows, clusters = np.array(list(pool)), np.array(list(pool.values()))
    rule = SeedRule(kind=kind, seed=seed)
    order = seed_order(rule, rows, clusters)
    assert sorted(order) == sorted(pool)
    if kind != "rows":
        back = np.argsort(-rows)
        np.testing.assert_array_equal(seed_order(rule, rows[back], clusters[back]), order)
    if kind == "random":
        half = rows[::2]
        np.testing.assert_array_equal(seed_order(rule, half), order[np.isin(order, half)])


def test_another_seed_draws_others_and_given_rows_stay_in_their_order():
    draws = {tuple(seed_order(SeedRule(kind="random", seed=n), ROWS)[:5]) for n in range(5)}
    assert len(draws) == 5
    given_rows = np.array([5, 3, 9])
    assert list(seed_order(SeedRule(kind="rows"), given_rows)) == [5, 3, 9]


def test_what_is_not_there_is_said():
    with pytest.raises(EvolvingError, match="no clusters to spread seeds over: make them, or draw"):
        seed_order(SeedRule(), ROWS)
    with pytest.raises(EvolvingError, match="no row to take a seed from"):
        seed_order(SeedRule(), ROWS[:0], CLUSTERS[:0])
    with pytest.raises(EvolvingError, match=r"size of a rule for seeds: .*got 0"):
        SeedRule(size=0)


def talk(*texts: str | None) -> Conversation:
    roles = ("user", "assistant") * len(texts)
    said = [Message(r, t) for r, t in zip(roles, texts, strict=False) if t is not None]
    return Conversation(tuple(said))


def test_the_first_turn_of_each_row_is_taken_until_there_are_enough():
    rows = iter([(4, talk("Name a sea.", "The Red Sea.", "Why?", "Algae.")), (2, talk("Sing."))])
    seeds, unfit = take_seeds(rows, 1, EvolvePlan(kind="complexity"))
    assert [(s.chain, s.row, s.turn, s.instruction, s.response) for s in seeds] == [
        (0, 4, 0, "Name a sea.", "The Red Sea.")
    ]
    assert unfit == []
    assert next(rows)[0] == 2


def test_rows_that_cannot_evolve_are_passed_over_with_a_reason():
    rows = [
        (0, talk("Sing.", None)),
        (1, talk("Sing.", "  ")),
        (2, Conversation(())),
        (3, talk("word " * 3000, "Yes.")),
        (4, talk("Sing.", "La la.")),
    ]
    seeds, unfit = take_seeds(rows, 5, EvolvePlan(kind="quality"))
    assert [(s.chain, s.row) for s in seeds] == [(0, 4)]
    assert [(u.row, u.reason) for u in unfit[:3]] == [
        (0, "the seed has no response"),
        (1, "the seed has no response"),
        (2, "it has no turn"),
    ]
    assert "at most 1,024" in unfit[3].reason
    seeds, _ = take_seeds(rows, 5, EvolvePlan(kind="complexity"))
    assert [s.row for s in seeds] == [0, 1, 4]
