"""Token lists into padded batches that waste little work."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

# Larger batches carry more padding and fill no core better.
BATCH_TOKENS = 1024
# Lengths are rounded up to a multiple: few distinct shapes, for each new one is compiled.
LENGTH_STEP = 4


@dataclass(frozen=True, slots=True, eq=False)
class TokenBatch:
    """Texts of about the same length, padded with zeros.

    rows: (b,) int64, where the vectors belong. ids: (b, t) int32, token ids.
    mask: (b, t) float32, 1 for a token, 0 for padding.
    """

    rows: NDArray[np.int64]
    ids: NDArray[np.int32]
    mask: NDArray[np.float32]


def batches(
    tokens: Sequence[Sequence[int]], rows: Sequence[int], budget: int = BATCH_TOKENS
) -> Iterator[TokenBatch]:
    """Batches of `tokens[row] for row in rows`, longest first, about `budget` tokens each.

    The longest come first so that the memory is as high as it will get from the start.
    """
    order = sorted(rows, key=lambda row: -len(tokens[row]))
    start = 0
    while start < len(order):
        width = -(-len(tokens[order[start]]) // LENGTH_STEP) * LENGTH_STEP
        chosen = order[start : start + max(1, budget // width)]
        yield _padded(tokens, chosen, width)
        start += len(chosen)


def _padded(tokens: Sequence[Sequence[int]], rows: list[int], width: int) -> TokenBatch:
    ids = np.zeros((len(rows), width), dtype=np.int32)
    mask = np.zeros((len(rows), width), dtype=np.float32)
    for place, row in enumerate(rows):
        length = len(tokens[row])
        ids[place, :length] = tokens[row]
        mask[place, :length] = 1.0
    return TokenBatch(np.array(rows, dtype=np.int64), ids, mask)
