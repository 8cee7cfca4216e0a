"""Any causal language model as an embedder: the paper's way, in batches.

The embedding of a conversation is the last layer's hidden state at its last token (the whole
conversation in the template Vicuna v1.1, cut at 2,048 tokens), as in the reference
implementation of the paper (hkust-nlp/deita), which takes Mistral-7B. Rows are filled up on
the right: with causal attention no token sees what comes after it, so the batch changes
nothing but the last bits, and no mask is needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from deita_core.conversation import Conversation
from deita_core.embedding.protocol import EmbeddingBatch, finished
from deita_core.embedding.vicuna import NAME as TEMPLATE
from deita_core.embedding.vicuna import vicuna_text
from deita_core.errors import ModelError
from deita_core.language_models.load import load_language_model
from deita_core.language_models.token_batches import first_budget, padded, run_longest_first
from deita_core.scoring.options import ModelOptions

Pooling = Literal["last", "mean"]
POOLINGS: tuple[Pooling, ...] = get_args(Pooling)
MAX_TOKENS = 2048  # the reference's


class LLMEmbedder:
    """The hidden states of a causal language model as vectors.

    Use one instance from one thread at a time, and hand it many texts at once: they are sorted
    by length inside.
    """

    def __init__(
        self, name: str, *, pooling: Pooling = "last", options: ModelOptions | None = None
    ) -> None:
        """Loads the model.

        name: a local folder, or a model on the hub. pooling: "last" takes the last token (the
        paper's), "mean" the mean over all tokens. Raises ModelError.
        """
        if pooling not in POOLINGS:
            raise ModelError(f"pooling must be {' or '.join(POOLINGS)}, got {pooling!r}")
        options = options or ModelOptions()
        self._pooling = pooling
        self._model = load_language_model(
            name, head=False, precision=options.precision, device=options.device
        )
        self._limit = min(self._model.limit, options.max_tokens or MAX_TOKENS)
        self._budget = first_budget(self._model.device.split(":")[0])
        if options.batch_tokens is not None:
            self._budget.tokens = options.batch_tokens

    @property
    def id(self) -> str:
        """The name that loads it again: "llm:" or "llm-mean:", then the folder or hub name."""
        return f"{'llm' if self._pooling == 'last' else 'llm-mean'}:{self._model.name}"

    @property
    def revision(self) -> str:
        """The hub's commit, or a hash of the folder."""
        return self._model.revision

    @property
    def dimension(self) -> int:
        """The width of the model's hidden states."""
        return int(self._model.network.config.get_text_config().hidden_size)

    @property
    def parameters(self) -> Mapping[str, str | int | float | bool]:
        """precision, max_tokens, pooling, template."""
        return {
            "precision": self._model.precision,
            "max_tokens": self._limit,
            "pooling": self._pooling,
            "template": TEMPLATE,
        }

    @property
    def rows_at_once(self) -> int:
        """How many conversations a batch of a job has: some seconds of work."""
        return 64 if self._model.device == "cpu" else 1024

    def render(self, conversation: Conversation) -> str:
        """The text that stands for a conversation."""
        return vicuna_text(conversation)

    def embed(self, texts: Sequence[str]) -> EmbeddingBatch:
        """Embeddings in the order of `texts`; see `EmbeddingBatch`."""
        # An empty text would be the mark at its start alone, the same for every empty text.
        tokens = [self._tokens(text) if text.strip() else [] for text in texts]
        lengths = np.array([len(ids) for ids in tokens], dtype=np.int32)
        read = [ids[: self._limit] for ids in tokens]
        vectors = np.full((len(texts), self.dimension), np.nan, dtype=np.float32)

        def run(rows: list[int]) -> None:
            vectors[rows] = self._pooled(read, rows)

        failed = run_longest_first([len(ids) for ids in read], self._budget, run)
        failed |= {row: "the text is empty" for row, length in enumerate(lengths) if not length}
        return finished(vectors, lengths, lengths > self._limit, failed)

    def _tokens(self, text: str) -> list[int]:
        return list(self._model.tokenizer(_storable(text)).input_ids)

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
                kept = torch.arange(ids.shape[1], device=ids.device) < ends[:, None]  # (B, T)
                pooled = (hidden.float() * kept[:, :, None]).sum(1) / ends[:, None]
        result: NDArray[np.float32] = pooled.cpu().numpy()
        return result


def _storable(text: str) -> str:
    # Half of a surrogate pair cannot be encoded, and the tokenizer would refuse the text.
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
