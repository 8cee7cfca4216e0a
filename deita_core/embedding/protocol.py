"""What an embedder is, and the text that it gets for a conversation.

The paper embeds a whole conversation as one text in the template Vicuna v1.1:

    A chat between ... questions. USER: one ASSISTANT: two</s>USER: three ASSISTANT: four</s>

One blank stands after the system sentence and after each user message, "</s>" (which the
tokenizers of LLaMA and Mistral read as their end mark) after each answer, and nothing before
the next "USER:". A message without text leaves the bare name of its speaker.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from deita_core.conversation import Conversation, Message
from deita_core.models.options import Model

TEMPLATE = "vicuna_v1.1"
SYSTEM = (
    "A chat between a curious user and an artificial intelligence assistant. "
    "The assistant gives helpful, detailed, and polite answers to the user's questions."
)
# Tool results are unknown to the template and to the paper: they speak under a name of their own.
_NAMES = {"user": "USER", "assistant": "ASSISTANT", "function_call": "ASSISTANT", "tool": "TOOL"}
_ENDS = {"user": " ", "assistant": "</s>", "function_call": "</s>", "tool": " "}


def vicuna_text(conversation: Conversation) -> str:
    """The conversation in the template; a system message of its own replaces the usual sentence.

    What the assistant says before the first user message is left out, as in the reference.
    """
    said = [message for message in conversation.messages if message.role != "system"]
    users = [place for place, message in enumerate(said) if message.role == "user"]
    system = conversation.system or SYSTEM
    return f"{system} " + "".join(map(_line, said[users[0] if users else 0 :]))


def _line(message: Message) -> str:
    name = f"{_NAMES[message.role]}:"
    return f"{name} {message.content}{_ENDS[message.role]}" if message.content else name


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

    reasons: of the rows known to have failed; others that are NaN, infinite or zero get one here.
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


class Embedder(Model, Protocol):
    """Turns texts into vectors whose cosine similarity tells how alike they are."""

    @property
    def dimension(self) -> int:
        """d, the width of a vector."""

    def embed(self, texts: Sequence[str]) -> EmbeddingBatch:
        """Embeddings in the order of `texts`; an empty text gets a reason, not a vector."""


@runtime_checkable
class Renders(Protocol):
    """An embedder that wants conversations in a template of its own."""

    def render(self, conversation: Conversation) -> str:
        """The text that stands for a conversation."""


@runtime_checkable
class Paced(Protocol):
    """An embedder that knows how many conversations a batch of a job should have."""

    @property
    def rows_at_once(self) -> int:
        """Enough to sort by length, few enough for progress to show."""


def text_for(embedder: Embedder, conversation: Conversation) -> str:
    """What `embed` is given for a conversation: its text, or as the embedder renders it."""
    return embedder.render(conversation) if isinstance(embedder, Renders) else conversation.text
