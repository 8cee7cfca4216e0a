"""What an embedder is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from deita_core.conversation import Conversation


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


def finished(
    vectors: NDArray[np.float32],
    tokens: NDArray[np.int32],
    truncated: NDArray[np.bool_],
    reasons: Mapping[int, str],
) -> EmbeddingBatch:
    """A batch from raw vectors: rows normalised, and a reason wherever there is no direction.

    reasons: for rows that are known to have failed; a row that is NaN, infinite or zero without
    being among them gets a reason here.
    """
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    failed: NDArray[np.bool_] = np.logical_not(np.isfinite(vectors).all(axis=1))
    failed[list(reasons)] = True
    vectors[failed] = np.nan
    said = tuple(
        reasons.get(row, "the embedder gave a vector that is not a number") if bad else None
        for row, bad in enumerate(failed.tolist())
    )
    return EmbeddingBatch(vectors, tokens, truncated, said)


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


@runtime_checkable
class Renders(Protocol):
    """An embedder that wants conversations in a template of its own."""

    def render(self, conversation: Conversation) -> str:
        """The text that stands for a conversation."""
        ...


@runtime_checkable
class Paced(Protocol):
    """An embedder that knows how many conversations a batch of a job should have."""

    @property
    def rows_at_once(self) -> int:
        """Enough to sort by length, few enough for progress to show."""
        ...


def text_for(embedder: Embedder, conversation: Conversation) -> str:
    """What `embed` is given for a conversation: its text, or as the embedder renders it."""
    return embedder.render(conversation) if isinstance(embedder, Renders) else conversation.text
