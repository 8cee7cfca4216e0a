"""Models of one's own choice as embedders: causal language models and sentence-transformers.

The embedding of a conversation by a language model is the last layer's hidden state at its last
token (the whole conversation in the template Vicuna v1.1, truncated at 2,048 tokens), as in the
reference implementation of the paper (hkust-nlp/deita), which takes Mistral-7B.

On a CPU a vector depends on its text alone, to the last bit; on a GPU its last digits depend on the
batch.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from deita_core.conversation import Conversation, without_surrogates
from deita_core.embedding.protocol import TEMPLATE, EmbeddingBatch, finished, vicuna_text
from deita_core.errors import ModelError
from deita_core.models.batches import first_budget, padded, run_longest_first
from deita_core.models.device import pick_device
from deita_core.models.language_model import (
    DTYPES,
    load_language_model,
    located,
    pick_precision,
    revision_of,
)
from deita_core.models.options import ModelOptions, Parameters

Pooling = Literal["last", "mean", "weighted"]
# How each pooling's embedder is named; the name loads it again.
NAMES: dict[Pooling, str] = {"last": "llm", "mean": "llm-mean", "weighted": "llm-weighted"}
MAX_TOKENS = 2048  # the reference's


class LLMEmbedder:
    """The hidden states of a causal language model as vectors.

    For one thread at a time; hand it many texts at once, they are sorted by length inside.
    """

    def __init__(
        self, name: str, *, pooling: Pooling = "last", options: ModelOptions | None = None
    ) -> None:
        """Loads the model in a local folder or on the hub; ModelError where that fails.

        pooling: "last" takes the last token (the paper's), "mean" the mean over all tokens,
        "weighted" the mean in which token i of T weighs i / (1 + ... + T), so that those count most
        that have seen most: SGPT (Muennighoff 2022, arXiv 2202.08904, section 4.1), which RDS+
        (arXiv 2503.01807) takes to choose rows like a target task's.
        """
        options = options or ModelOptions()
        self._pooling = pooling
        self._model = model = load_language_model(
            name, head="none", precision=options.precision, device=options.device
        )
        self._limit = min(model.limit, options.max_tokens or MAX_TOKENS)
        self._budget = first_budget(model.device, options.batch_tokens)
        self.id = f"{NAMES[pooling]}:{model.name}"
        self.revision = model.revision
        self.dimension = int(model.network.config.get_text_config().hidden_size)
        self.parameters: Parameters = {
            "precision": model.precision,
            "max_tokens": self._limit,
            "pooling": pooling,
            "template": TEMPLATE,
        }
        self.rows_at_once = 64 if model.device == "cpu" else 1024  # some seconds of work

    def render(self, conversation: Conversation) -> str:
        """The text that stands for a conversation."""
        return vicuna_text(conversation)

    def embed(self, texts: Sequence[str]) -> EmbeddingBatch:
        """Embeddings in the order of `texts`; see `EmbeddingBatch`."""
        # An empty text would be the mark at its start alone, the same for every empty text.
        tokens = [self._model.tokens(text) if text.strip() else [] for text in texts]
        read = [ids[: self._limit] for ids in tokens]
        lengths = np.array([len(ids) for ids in tokens], np.int32)
        vectors = np.full((len(texts), self.dimension), np.nan, np.float32)

        def run(rows: list[int]) -> None:
            vectors[rows] = self._pooled(read, rows)

        failed = run_longest_first([len(ids) for ids in read], self._budget, run)
        failed |= {row: "the text is empty" for row, length in enumerate(lengths) if not length}
        return finished(vectors, lengths, lengths > self._limit, failed)

    def _pooled(self, tokens: list[list[int]], rows: list[int]) -> NDArray[np.float32]:
        """(b, d) float32, not normalised."""
        import torch

        ids = padded(tokens, rows, self._model.filler).to(self._model.device)  # (B, T)
        ends = torch.tensor([len(tokens[row]) for row in rows], device=ids.device)  # (B,)
        with torch.inference_mode():
            hidden = self._model.network(input_ids=ids, use_cache=False)[0]  # (B, T, D)
            if self._pooling == "last":
                pooled = hidden[torch.arange(len(rows), device=ids.device), ends - 1].float()
            else:
                places = torch.arange(ids.shape[1], device=ids.device)  # (T,)
                weights = (places < ends[:, None]).float()  # (B, T)
                if self._pooling == "weighted":
                    weights = weights * (places + 1)
                pooled = (hidden.float() * weights[:, :, None]).sum(1)
                pooled = pooled / weights.sum(1, keepdim=True)
        result: NDArray[np.float32] = pooled.cpu().numpy()
        return result


class SentenceEmbedder:
    """A model of sentence-transformers; it pools, truncates and normalises as its folder says."""

    def __init__(self, name: str, options: ModelOptions | None = None) -> None:
        """Loads the model; name: a local folder, or a model on the hub. Raises ModelError."""
        options = options or ModelOptions()
        device = options.device or pick_device().kind
        # These models are small: the exact numbers are worth more than the speed of bf16.
        wanted = options.precision or ("fp32" if device == "cpu" else None)
        precision = pick_precision(wanted, device)
        name, folder = located(name)
        self._model = model = _load(name, device, precision)
        self._limit = int(model.max_seq_length or 1_000_000)
        if options.max_tokens is not None:
            self._limit = model.max_seq_length = min(options.max_tokens, self._limit)
        self._budget = first_budget(device, options.batch_tokens)
        self.id = f"st:{name}"  # loads it again
        config = getattr(getattr(model[0], "auto_model", None), "config", None)
        self.revision = revision_of(folder, config)
        self.dimension = int(model.get_embedding_dimension())
        self.parameters: Parameters = {"precision": precision, "max_tokens": self._limit}
        self.rows_at_once = 256 if device == "cpu" else 4096

    def embed(self, texts: Sequence[str]) -> EmbeddingBatch:
        """Embeddings in the order of `texts`; see `EmbeddingBatch`."""
        clean = list(map(without_surrogates, texts))
        # The model's own marks included and nothing cut.
        tokens = self._model.tokenizer(clean, truncation=False, verbose=False).input_ids
        lengths = np.array([len(ids) for ids in tokens], dtype=np.int32)
        vectors = np.full((len(texts), self.dimension), np.nan, dtype=np.float32)

        # The first call sets the tokenizer's limits: two threads must not do that at once.
        self._model.encode("a", show_progress_bar=False)

        def run(rows: list[int]) -> None:
            some = [clean[row] for row in rows]
            vectors[rows] = self._model.encode(some, batch_size=len(rows), show_progress_bar=False)

        empty = {row: "the text is empty" for row, text in enumerate(clean) if not text.strip()}
        read = [0 if row in empty else min(int(n), self._limit) for row, n in enumerate(lengths)]
        failed = run_longest_first(read, self._budget, run)
        return finished(vectors, lengths, lengths > self._limit, failed | empty)


def _load(name: str, device: str, precision: str) -> Any:
    import torch
    from sentence_transformers import SentenceTransformer

    if precision not in DTYPES:
        raise ModelError(
            f"a model of sentence-transformers runs in {', '.join(DTYPES)}, not in {precision}"
        )
    try:
        kind = getattr(torch, DTYPES[precision])
        return SentenceTransformer(name, device=device, model_kwargs={"dtype": kind})
    except (OSError, ValueError, ImportError, KeyError, RuntimeError) as error:
        raise ModelError(
            f"the model {name!r} cannot be loaded by sentence-transformers: {error}; give a "
            "folder or the name of a model on the hub"
        ) from error
