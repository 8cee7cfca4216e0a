"""Any model of sentence-transformers as an embedder, by its name on the hub or its folder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from deita_core.device import named_device, pick_device
from deita_core.embedding.protocol import EmbeddingBatch, finished
from deita_core.errors import ModelError
from deita_core.language_models.load import pick_precision
from deita_core.language_models.revision import folder_revision
from deita_core.language_models.token_batches import first_budget, run_longest_first
from deita_core.scoring.options import ModelOptions

_DTYPES = {"fp32": "float32", "bf16": "bfloat16", "fp16": "float16"}


class SentenceEmbedder:
    """A model of sentence-transformers; it pools, cuts and normalises as its folder says."""

    def __init__(self, name: str, options: ModelOptions | None = None) -> None:
        """Loads the model; name: a local folder, or a model on the hub. Raises ModelError."""
        options = options or ModelOptions()
        self._device = options.device or pick_device().kind
        # These models are small: the exact numbers are worth more than the speed of bf16.
        wanted = options.precision or ("fp32" if self._device == "cpu" else None)
        self._precision = pick_precision(wanted, named_device(self._device))
        local = Path(name).expanduser()
        self._name = str(local.resolve()) if local.is_dir() else name
        self._model = _load(self._name, self._device, self._precision)
        if options.max_tokens is not None:
            self._model.max_seq_length = min(options.max_tokens, self._limit)
        self._revision = folder_revision(local) if local.is_dir() else _commit(self._model)
        self._budget = first_budget(self._device.split(":")[0])
        if options.batch_tokens is not None:
            self._budget.tokens = options.batch_tokens

    @property
    def id(self) -> str:
        """The name that loads it again: "st:", then the folder or hub name."""
        return f"st:{self._name}"

    @property
    def revision(self) -> str:
        """The hub's commit, or a hash of the folder."""
        return self._revision

    @property
    def dimension(self) -> int:
        """The width of a vector."""
        return int(self._model.get_embedding_dimension())

    @property
    def parameters(self) -> Mapping[str, str | int | float | bool]:
        """precision, max_tokens."""
        return {"precision": self._precision, "max_tokens": self._limit}

    @property
    def rows_at_once(self) -> int:
        """How many conversations a batch of a job has."""
        return 256 if self._device == "cpu" else 4096

    @property
    def _limit(self) -> int:
        return int(self._model.max_seq_length or 1_000_000)

    def embed(self, texts: Sequence[str]) -> EmbeddingBatch:
        """Embeddings in the order of `texts`; see `EmbeddingBatch`."""
        clean = [t.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for t in texts]
        lengths = np.array(self._lengths(clean), dtype=np.int32)
        vectors = np.full((len(texts), self.dimension), np.nan, dtype=np.float32)

        def run(rows: list[int]) -> None:
            vectors[rows] = self._model.encode(
                [clean[row] for row in rows],
                batch_size=len(rows),
                show_progress_bar=False,
                convert_to_numpy=True,
            )

        empty = {row: "the text is empty" for row, text in enumerate(clean) if not text.strip()}
        read = [0 if row in empty else min(int(n), self._limit) for row, n in enumerate(lengths)]
        failed = run_longest_first(read, self._budget, run)
        return finished(vectors, lengths, lengths > self._limit, failed | empty)

    def _lengths(self, texts: list[str]) -> list[int]:
        """Tokens of each text, the model's own marks included and nothing cut."""
        found = self._model.tokenizer(texts, truncation=False, verbose=False).input_ids
        return [len(ids) for ids in found]


def _load(name: str, device: str, precision: str) -> Any:
    import torch
    from sentence_transformers import SentenceTransformer

    if precision not in _DTYPES:
        raise ModelError(
            f"a model of sentence-transformers runs in {', '.join(_DTYPES)}, not in {precision}"
        )
    try:
        return SentenceTransformer(
            name, device=device, model_kwargs={"dtype": getattr(torch, _DTYPES[precision])}
        )
    except (OSError, ValueError, ImportError, KeyError, RuntimeError) as error:
        raise ModelError(
            f"the model {name!r} cannot be loaded by sentence-transformers: {error}; give a "
            "folder or the name of a model on the hub"
        ) from error


def _commit(model: Any) -> str:
    config = getattr(getattr(model[0], "auto_model", None), "config", None)
    return str(getattr(config, "_commit_hash", None) or "unknown")
