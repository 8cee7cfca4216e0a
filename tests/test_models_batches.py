"""deita_core.models.batches: every row once, longest first, less at once when memory ends."""

import pytest
import torch

from deita_core.models import batches as models_batches
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


def test_the_first_budget_is_what_is_asked_for_on_a_gpu_and_none_on_a_cpu():
    assert (first_budget("cuda").tokens or 0) > 10_000
    assert first_budget("cuda:1", 100).tokens == 100
    assert first_budget("cpu", 100).tokens is None


def test_without_a_budget_each_row_comes_alone_and_torch_has_one_thread_for_it(monkeypatch):
    monkeypatch.setattr(models_batches, "cpu_threads", lambda: 8)
    found: list[tuple[list[int], int]] = []

    def run(rows: list[int]) -> None:
        found.append((rows, torch.get_num_threads()))

    before = torch.get_num_threads()
    assert run_longest_first([3, 0, 9, 4], TokenBudget(None), run) == {}
    assert sorted(found) == [([0], 1), ([2], 1), ([3], 1)]
    assert torch.get_num_threads() == before


def test_what_does_not_fit_beside_others_is_tried_again_alone():
    tries: list[int] = []

    def run(rows: list[int]) -> None:
        tries.append(rows[0])
        if rows == [1] or (rows == [2] and tries.count(2) == 1):
            raise MemoryError

    reasons = run_longest_first([1, 20, 3, 4], TokenBudget(None), run)
    assert reasons == {1: "out of memory: 20 tokens do not fit the device"}
    assert sorted(tries) == [0, 1, 1, 2, 2, 3]
