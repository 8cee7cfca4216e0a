"""Many texts through the replicas of a model, tokenizing ahead of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from deita_core.language_models.replicas import run_on_replicas
from deita_core.scoring.llm_replica import Replica
from deita_core.scoring.llm_tokens import Encoded, PromptTokenizer
from deita_core.scoring.protocol import Dimension

# The first texts are few, so that the model starts at once; then as many as sort well by length.
FIRST_WINDOW, WINDOW = 64, 2048
Bodies = Sequence[Sequence[str]]


@dataclass(frozen=True, slots=True, eq=False)
class Raw:
    """What the model said about n texts.

    logits: (n, 7) float32, see `Replica.logits`. truncated: (n,) bool. reasons: row -> why it
    has no logits.
    """

    logits: NDArray[np.float32]
    truncated: NDArray[np.bool_]
    reasons: Mapping[int, str]


def raw_logits(
    replicas: Sequence[Replica],
    tokenizer: PromptTokenizer,
    dimension: Dimension,
    digits: Sequence[int],
    bodies: Bodies,
) -> Iterator[Raw]:
    """Window by window, in order; the next window is tokenized while the model has this one.

    A thread does it, not a process: the tokenizers library is native code that lets Python go
    on and uses all cores by itself, and nothing has to be copied.
    """
    window = WINDOW * len(replicas)
    starts = [0, *range(FIRST_WINDOW, len(bodies), window)] if bodies else []
    ends = [*starts[1:], len(bodies)] if bodies else []
    with ThreadPoolExecutor(1) as ahead:
        waiting = None
        for start, end in zip(starts, ends, strict=True):
            following = ahead.submit(tokenizer.encode, dimension, bodies[start:end])
            if waiting is not None:
                yield _run(replicas, waiting.result(), digits)
            waiting = following
        if waiting is not None:
            yield _run(replicas, waiting.result(), digits)


def _run(replicas: Sequence[Replica], encoded: Encoded, digits: Sequence[int]) -> Raw:
    logits = np.full((len(encoded.ids), 7), np.nan, np.float32)
    reasons = run_on_replicas(
        [len(ids) for ids in encoded.ids],
        [replica.budget for replica in replicas],
        [_Batches(replica, encoded.ids, digits, logits) for replica in replicas],
    )
    return Raw(logits, encoded.truncated, reasons)


class _Batches:
    """The batches of one replica: all are started before the first is waited for."""

    def __init__(
        self,
        replica: Replica,
        ids: Sequence[Sequence[int]],
        digits: Sequence[int],
        out: NDArray[np.float32],
    ) -> None:
        self._replica, self._ids, self._digits, self._out = replica, ids, digits, out
        self._started: list[tuple[list[int], Any]] = []

    def run(self, rows: list[int]) -> None:
        """Start a batch."""
        self._started.append((rows, self._replica.logits(self._ids, rows, self._digits)))

    def finish(self) -> None:
        """Store the logits of all batches."""
        for rows, logits in self._started:
            self._out[rows] = logits.cpu().numpy()
        self._started.clear()
