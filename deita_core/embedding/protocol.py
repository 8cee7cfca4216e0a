"""What an embedder is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class EmbeddingBatch:
    """Embeddings of a batch of texts.

    vectors: (n, d) float32, rows L2-normalised; NaN rows where `reasons` is not None.
    tokens: (n,) int32, length of each text in the model's tokens before truncation.
    truncated: (n,) bool, True where the text was longer than the model reads.
    reasons: n entries; None where the embedding is good, else why there is none.
    """

    vectors: NDArray[np.float32]
    tokens: NDArray[np.int32]
    truncated: NDArray[np.bool_]
    reasons: tuple[str | None, ...]


class Embedder(Protocol):
    """Turns texts into vectors whose cosine similarity tells how alike they are."""

    @property
    def id(self) -> str:
        """The model's official id."""
        ...

    @property
    def revision(self) -> str:
        """The exact weights."""
        ...

    @property
    def dimension(self) -> int:
        """d, the width of a vector."""
        ...

    @property
    def parameters(self) -> Mapping[str, str | int | float | bool]:
        """What else the vectors depend on (precision, longest text in tokens)."""
        ...

    def embed(self, texts: Sequence[str]) -> EmbeddingBatch:
        """Embeddings in the order of `texts`; an empty text gets a reason, not a vector."""
        ...
