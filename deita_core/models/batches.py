"""Token lists in batches, within a budget of tokens; on a CPU one text at a time on each core.

A matrix library adds up in another order for other shapes and numbers of threads, and with the
order the last bits change. So that a text has the same numbers in any company, its shape on a CPU
depends on nothing but itself: MiniLM pads it to a step of lengths and shares batches within a step
alone; torch, whose sums also depend on the number of rows, reads each text alone and on one thread.
A GPU is fed in batches, so there the last digits depend on them.

Longest texts first, so that the memory is as high as it will get from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_core.models.device import cpu_threads

# Larger batches carry more padding and fill no core better.
BATCH_TOKENS = 1024
# A text is padded to a multiple of this. With shorter steps the last bits of a vector depend on the
# batch: 16 float32 fill a register of AVX-512.
LENGTH_STEP = 16
# Tokens of a first batch: CUDA devices want some ten thousand; Apple's share the memory.
CUDA_TOKENS, MPS_TOKENS = 65_536, 2_048


@dataclass(frozen=True, slots=True, eq=False)
class TokenBatch:
    """Texts of the same padded length. rows: (b,) int64, where the vectors belong. ids: (b, t)
    int32, padded with zeros. mask: (b, t) float32, 1 for a token, 0 for padding."""

    rows: NDArray[np.int64]
    ids: NDArray[np.int32]
    mask: NDArray[np.float32]


def batches(
    tokens: Sequence[Sequence[int]], rows: Sequence[int], budget: int = BATCH_TOKENS
) -> Iterator[TokenBatch]:
    """Batches of `tokens[row] for row in rows`, longest first, up to `budget` tokens each."""

    def width_of(row: int) -> int:
        return -(-len(tokens[row]) // LENGTH_STEP) * LENGTH_STEP

    for width, alike in groupby(sorted(rows, key=width_of, reverse=True), width_of):
        same, count = list(alike), max(1, budget // width)
        for start in range(0, len(same), count):
            chosen = same[start : start + count]
            lengths = np.array([len(tokens[row]) for row in chosen])
            mask = (np.arange(width) < lengths[:, None]).astype(np.float32)
            ids = _filled(tokens, chosen, width, 0)
            yield TokenBatch(np.array(chosen, np.int64), ids.astype(np.int32), mask)


def padded(tokens: Sequence[Sequence[int]], rows: Sequence[int], filler: int) -> Any:
    """`tokens[row] for row in rows` as one tensor, (b, t) int64, filled up on the right: with
    causal attention a filler is seen by no token before it, so no mask is needed."""
    import torch

    width = max(len(tokens[row]) for row in rows)
    return torch.from_numpy(_filled(tokens, rows, width, filler))  # (B, T)


def _filled(
    tokens: Sequence[Sequence[int]], rows: Sequence[int], width: int, filler: int
) -> NDArray[np.int64]:
    ids = np.full((len(rows), width), filler, np.int64)
    for place, row in enumerate(rows):
        ids[place, : len(tokens[row])] = tokens[row]
    return ids


@dataclass(slots=True)
class TokenBudget:
    """tokens: how many a batch may have, padding included; None: each text alone, on a thread of
    its own, `at_once` at most. halved: how often the memory ran out."""

    tokens: int | None
    halved: int = 0
    at_once: int = 1024


def first_budget(device: str, wanted: int | None = None) -> TokenBudget:
    """The budget to begin with: none on "cpu"; on a GPU as wanted, or what keeps it busy."""
    usual = CUDA_TOKENS if device.startswith("cuda") else MPS_TOKENS
    return TokenBudget(None if device == "cpu" else wanted or usual)


def run_longest_first(
    lengths: Sequence[int], budget: TokenBudget, run: Callable[[list[int]], None]
) -> dict[int, str]:
    """Calls `run` with rows (numbers into `lengths`) until all have been run, longest first.

    Rows x longest length is within the budget (a row that alone is longer comes alone). When `run`
    is out of memory, the budget is halved and the rows come again: it must allow a second call,
    and without a budget of tokens calls in several threads.
    Returns the reason for each row that does not fit even alone. Rows of length 0 are left out.
    """
    order = sorted((row for row, n in enumerate(lengths) if n), key=lambda row: -lengths[row])
    if budget.tokens is None:
        return {row: _too_long(lengths[row]) for row in _alone(order, budget.at_once, run)}
    reasons: dict[int, str] = {}
    start = 0
    while start < len(order):
        longest = lengths[order[start]]
        rows = order[start : start + max(1, budget.tokens // longest)]
        try:
            run(rows)
        except (MemoryError, RuntimeError) as error:
            _free_after(error)
            if len(rows) > 1:
                budget.tokens = max(1, min(budget.tokens, len(rows) * longest) // 2)
                budget.halved += 1
                continue
            reasons[rows[0]] = _too_long(longest)
        start += len(rows)
    return reasons


def _alone(order: Sequence[int], at_once: int, run: Callable[[list[int]], None]) -> list[int]:
    """Calls `run` with one row at a time on each core; returns the rows that do not fit."""

    def fits(row: int) -> bool:
        try:
            run([row])
        except (MemoryError, RuntimeError) as error:
            _free_after(error)
            return False
        return True

    with one_thread_each(at_once) as threads:
        done = list(threads.map(fits, order))
        # What did not fit beside others has the memory to itself now.
        crowded = [row for row, fitted in zip(order, done, strict=True) if not fitted]
        return [row for row in crowded if not threads.submit(fits, row).result()]


@contextmanager
def one_thread_each(most: int = 1024) -> Iterator[ThreadPoolExecutor]:
    """A thread for each core, up to `most`, in which torch multiplies on that thread alone.

    Its sums are the same then on any number of cores, and it is faster than all threads on one
    product. On a GPU products in bf16 add up exactly.
    """
    import torch

    threads = torch.get_num_threads()
    matmul = torch.backends.cuda.matmul
    reduced = matmul.allow_bf16_reduced_precision_reduction
    matmul.allow_bf16_reduced_precision_reduction = False
    pool = ThreadPoolExecutor(
        min(most, cpu_threads()), initializer=torch.set_num_threads, initargs=(1,)
    )
    try:
        yield pool
    finally:
        pool.shutdown(cancel_futures=True)
        torch.set_num_threads(threads)
        matmul.allow_bf16_reduced_precision_reduction = reduced


def _too_long(tokens: int) -> str:
    return f"out of memory: {tokens:,} tokens do not fit the device"


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory of a GPU or of the machine ran out."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    said = str(error).lower()
    return "out of memory" in said or "can't allocate memory" in said


def _free_after(error: BaseException) -> None:
    """Frees what a lack of memory has left behind; any other error is raised again."""
    import gc

    import torch

    if not out_of_memory(error):
        raise error
    error.__traceback__ = None  # its frames hold the tensors that filled the memory
    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
