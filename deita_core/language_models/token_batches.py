"""Token lists into padded batches by a budget of tokens, halved when the memory runs out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

# Tokens of one batch to begin with. A GPU is busy from some ten thousand on; on a CPU larger
# batches only carry more padding.
GPU_TOKENS = 65_536
CPU_TOKENS = 2_048


@dataclass(slots=True)
class TokenBudget:
    """How many tokens a batch may have, padding included; what a model learns, it keeps.

    halved: how often the memory ran out.
    """

    tokens: int
    halved: int = 0

    def halve(self, tried: int) -> None:
        """The memory ran out at a batch of `tried` tokens: half of that from now on."""
        self.tokens = max(1, min(self.tokens, tried) // 2)
        self.halved += 1


def first_budget(kind: str, most: int | None = None) -> TokenBudget:
    """The budget to begin with on a device of this kind; `most` bounds it."""
    tokens = GPU_TOKENS if kind == "cuda" else CPU_TOKENS
    return TokenBudget(tokens if most is None else max(1, min(tokens, most)))


def run_longest_first(
    lengths: Sequence[int], budget: TokenBudget, run: Callable[[list[int]], None]
) -> dict[int, str]:
    """Calls `run` with rows (numbers into `lengths`) until all have been run, longest first.

    Rows of a batch are of about the same length; rows x longest length is within the budget
    (a row that alone is longer comes alone). The longest come first, so that the memory is as
    high as it will get from the start. When `run` is out of memory, the budget is halved and
    the rows come again in smaller batches; `run` must therefore allow being called twice.
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
            if len(rows) == 1:
                reasons[rows[0]] = f"out of memory: {longest:,} tokens do not fit the device"
                start += 1
            else:
                budget.halve(len(rows) * longest)
            continue
        start += len(rows)
    return reasons


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory of a GPU or of the machine ran out."""
    if isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError":
        return True
    said = str(error).lower()
    return "out of memory" in said or "can't allocate memory" in said


def padded(tokens: Sequence[Sequence[int]], rows: Sequence[int], filler: int) -> Any:
    """`tokens[row] for row in rows` as one tensor, (b, t) int64, filled up on the right.

    With causal attention a filler is seen by no token before it, so no mask is needed.
    """
    import torch

    width = max(len(tokens[row]) for row in rows)
    ids: NDArray[np.int64] = np.full((len(rows), width), filler, np.int64)
    for place, row in enumerate(rows):
        ids[place, : len(tokens[row])] = tokens[row]
    return torch.from_numpy(ids)  # (B, T)


def _free_memory() -> None:
    import gc

    import torch

    gc.collect()
    if torch.cuda.is_available():
        torch.cuda.empty_cache()
