"""Token lists in batches: padded with little waste, within a budget of tokens.

Batches take the longest texts first, so that the memory is as high as it will get from the start.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Larger batches carry more padding and fill no core better.
BATCH_TOKENS = 1024
# Lengths are rounded up to a multiple: few distinct shapes, for each new one is compiled.
LENGTH_STEP = 4
# Tokens of a first batch. A GPU is busy from some ten thousand on; on a CPU larger batches only
# carry more padding.
GPU_TOKENS, CPU_TOKENS = 65_536, 2_048


@dataclass(frozen=True, slots=True, eq=False)
class TokenBatch:
    """Texts of about the same length. rows: (b,) int64, where the vectors belong. ids: (b, t)
    int32, padded with zeros. mask: (b, t) float32, 1 for a token, 0 for padding."""

    rows: NDArray[np.int64]
    ids: NDArray[np.int32]
    mask: NDArray[np.float32]


def batches(
    tokens: Sequence[Sequence[int]], rows: Sequence[int], budget: int = BATCH_TOKENS
) -> Iterator[TokenBatch]:
    """Batches of `tokens[row] for row in rows`, longest first, about `budget` tokens each."""
    order = sorted(rows, key=lambda row: -len(tokens[row]))
    start = 0
    while start < len(order):
        width = -(-len(tokens[order[start]]) // LENGTH_STEP) * LENGTH_STEP
        chosen = order[start : start + max(1, budget // width)]
        lengths = np.array([len(tokens[row]) for row in chosen])
        mask = (np.arange(width) < lengths[:, None]).astype(np.float32)
        ids = _filled(tokens, chosen, width, 0)
        yield TokenBatch(np.array(chosen, np.int64), ids.astype(np.int32), mask)
        start += len(chosen)


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
    """How many tokens a batch may have, padding included, and how often the memory ran out."""

    tokens: int
    halved: int = 0


def first_budget(device: str, wanted: int | None = None) -> TokenBudget:
    """The budget to begin with: as wanted, or what suits a device, named as torch does."""
    return TokenBudget(wanted or (GPU_TOKENS if device.startswith("cuda") else CPU_TOKENS))


def run_longest_first(
    lengths: Sequence[int], budget: TokenBudget, run: Callable[[list[int]], None]
) -> dict[int, str]:
    """Calls `run` with rows (numbers into `lengths`) until all have been run, longest first.

    Rows x longest length is within the budget (a row that alone is longer comes alone). When `run`
    is out of memory, the budget is halved and the rows come again: it must allow a second call.
    Returns the reason for each row that does not fit even alone. Rows of length 0 are left out.
    """
    order = sorted((row for row, n in enumerate(lengths) if n), key=lambda row: -lengths[row])
    reasons: dict[int, str] = {}
    start = 0
    while start < len(order):
        longest = lengths[order[start]]
        rows = order[start : start + max(1, budget.tokens // longest)]
        try:
            run(rows)
        except (MemoryError, RuntimeError) as error:
            if not out_of_memory(error):
                raise
            error.__traceback__ = None  # its frames hold the tensors that filled the memory
            _free_memory()
            if len(rows) > 1:
                budget.tokens = max(1, min(budget.tokens, len(rows) * longest) // 2)
                budget.halved += 1
                continue
            reasons[rows[0]] = f"out of memory: {longest:,} tokens do not fit the device"
        start += len(rows)
    return reasons


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory of a GPU or of the machine ran out."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    said = str(error).lower()
    return "out of memory" in said or "can't allocate memory" in said


def _free_memory() -> None:
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
