"""deita_core.models.batches: every row once, longest first, less at once when memory ends."""

import pytest

from deita_core.models.batches import (
    TokenBudget,
    first_budget,
    out_of_memory,
    padded,
    run_longest_first,
)


def batches(lengths: list[int], tokens: int) -> list[list[int]]:
    found: list[list[int]] = []
    assert run_longest_first(lengths, TokenBudget(tokens), found.append) == {}
    return found


def test_batches_are_longest_first_and_within_the_budget():
    assert batches([3, 9, 4, 1, 8], 10) == [[1], [4], [2, 0], [3]]


def test_a_row_longer_than_the_budget_comes_alone():
    assert batches([50, 2, 2], 4) == [[0], [1, 2]]


def test_rows_without_a_token_are_left_out():
    assert batches([0, 1, 0], 4) == [[1]]


def test_when_memory_runs_out_the_budget_halves_and_no_row_is_lost():
    done: list[int] = []

    def run(rows: list[int]) -> None:
        if len(rows) > 2:
            raise RuntimeError("CUDA out of memory. Tried to allocate 2 GiB")
        done.extend(rows)

    budget = TokenBudget(100)
    assert run_longest_first([10] * 10, budget, run) == {}
    assert sorted(done) == list(range(10))
    assert (budget.tokens, budget.halved) == (25, 2)


def test_a_row_that_does_not_fit_alone_gets_a_reason_and_the_rest_goes_on():
    def run(rows: list[int]) -> None:
        if 1 in rows:
            raise MemoryError

    reasons = run_longest_first([10, 4000, 10], TokenBudget(5000), run)
    assert reasons == {1: "out of memory: 4,000 tokens do not fit the device"}


def test_other_errors_are_not_taken_for_a_lack_of_memory():
    def run(rows: list[int]) -> None:
        raise RuntimeError("the shapes do not fit")

    with pytest.raises(RuntimeError, match="shapes"):
        run_longest_first([1], TokenBudget(5), run)
    assert not out_of_memory(RuntimeError("the shapes do not fit"))


def test_rows_are_filled_up_on_the_right():
    assert padded([[5, 6, 7], [8]], [1, 0], 0).tolist() == [[8, 0, 0], [5, 6, 7]]


def test_the_first_budget_is_bounded_by_what_is_asked_for():
    assert first_budget("cuda").tokens > first_budget("cpu").tokens > 100
    assert first_budget("cpu", 100).tokens == 100
