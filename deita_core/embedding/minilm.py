"""The default embedder: all-MiniLM-L6-v2, without a hub and without a GPU."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from deita_core.device import Device, pick_device
from deita_core.embedding.batching import BATCH_TOKENS, TokenBatch, batches
from deita_core.embedding.protocol import EmbeddingBatch
from deita_core.embedding.weights import MODEL_ID, REVISION, model_folder, verified
from deita_core.errors import ModelError

DIMENSION = 384
MAX_TOKENS = 256
PRECISIONS = ("fp32", "bf16")
# A GPU wants far more work at once than the caches of a CPU can hold.
GPU_BATCH_TOKENS = 131_072
SPECIAL_TOKENS = 2  # [CLS] before the text, [SEP] after it


class Encoder(Protocol):
    """Where the network runs."""

    def encode(self, batches: Iterable[TokenBatch], out: NDArray[np.float32]) -> None:
        """Fills `out[batch.rows]` with mean-pooled vectors, (rows, 384) float32."""
        ...


class MiniLM:
    """all-MiniLM-L6-v2: 384 dimensions, reads the first 256 tokens of a text.

    Vectors agree with those of sentence-transformers in float32 to a cosine of at least 0.9999.
    `embed` sorts by length inside, so hand it thousands of texts at once.
    Use one instance from one thread at a time.
    """

    def __init__(self, precision: str | None = None, device: Device | None = None) -> None:
        """Loads and checks the weights (about 1 s on a CPU).

        precision: "bf16" or "fp32"; None takes bf16 on a CPU that multiplies it natively,
        else fp32. device: where to run; None picks. Raises ModelError.
        """
        from tokenizers import Tokenizer

        self._device = device or pick_device()
        self._precision = _precision(precision, self._device)
        folder = model_folder()
        self._tokenizer = Tokenizer.from_file(str(verified(folder, "tokenizer.json")))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        weights = verified(folder, "model.safetensors")
        self._encoder: Encoder
        if self._device.kind == "cpu":
            from deita_core.embedding.minilm_openvino import OpenVinoEncoder

            self._budget = BATCH_TOKENS
            self._encoder = OpenVinoEncoder(weights, self._precision, self._device.threads)
        else:
            from deita_core.embedding.minilm_torch import TorchEncoder

            self._budget = GPU_BATCH_TOKENS
            self._encoder = TorchEncoder(folder, self._precision, self._device.kind)

    @property
    def id(self) -> str:
        """The model's official id."""
        return MODEL_ID

    @property
    def revision(self) -> str:
        """The revision of the official weights on the hub."""
        return REVISION

    @property
    def dimension(self) -> int:
        """384."""
        return DIMENSION

    @property
    def parameters(self) -> Mapping[str, str | int | float | bool]:
        """precision, max_tokens, and the backend ("openvino" or "torch")."""
        backend = "openvino" if self._device.kind == "cpu" else "torch"
        return {"precision": self._precision, "max_tokens": MAX_TOKENS, "backend": backend}

    def embed(self, texts: Sequence[str]) -> EmbeddingBatch:
        """Embeddings in the order of `texts`; a text without a token gets a reason, no vector.

        `tokens` counts the two marks the model puts around a text, as its limit of 256 does.
        """
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(_clean(texts))]
        lengths = np.array([len(ids) for ids in tokens], dtype=np.int32)
        read = [_truncated(ids) for ids in tokens]
        readable = np.flatnonzero(lengths > SPECIAL_TOKENS)
        vectors = np.full((len(texts), DIMENSION), np.nan, dtype=np.float32)
        self._encoder.encode(batches(read, readable.tolist(), self._budget), vectors)
        with np.errstate(invalid="ignore", divide="ignore"):
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        failed: NDArray[np.bool_] = np.logical_not(np.isfinite(vectors).all(axis=1))
        vectors[failed] = np.nan
        reasons = tuple(
            _reason(text, int(length)) if bad else None
            for text, length, bad in zip(texts, lengths, failed, strict=True)
        )
        return EmbeddingBatch(vectors, lengths, lengths > MAX_TOKENS, reasons)


def _precision(wanted: str | None, device: Device) -> str:
    if wanted is None:
        return "bf16" if device.kind == "cpu" and device.bf16 else "fp32"
    if wanted not in PRECISIONS:
        raise ModelError(f"precision must be one of {', '.join(PRECISIONS)}, got {wanted!r}")
    return wanted


def _clean(texts: Sequence[str]) -> list[str]:
    # Half of a surrogate pair (from broken JSON escapes) cannot be encoded as UTF-8, and the
    # tokenizer would refuse the whole batch; the model ignores its replacement, U+FFFD.
    return [text.encode("utf-16", "surrogatepass").decode("utf-16", "replace") for text in texts]


def _truncated(ids: list[int]) -> list[int]:
    """The first tokens that the model reads; the closing mark stays the last one."""
    return ids if len(ids) <= MAX_TOKENS else [*ids[: MAX_TOKENS - 1], ids[-1]]


def _reason(text: str, length: int) -> str:
    if not text.strip():
        return "the text is empty"
    if length <= SPECIAL_TOKENS:
        return "the text has no character that the embedder reads"
    return "the embedder gave a vector that is not a number"
